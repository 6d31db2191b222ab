//! Counts the instructions of each piece of an invocation's way, and compares them with what they were.
//! `cargo run --profile pieces -p pieces`
//!
//! Each piece runs under valgrind twice, a few times and many times; the difference is what one run takes, without
//! the start and the end of the process. Time says little on a machine that others use too; this is the same on each.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a command that prints")]

mod edge_piece;
mod plain;

use clap::{Parser, ValueEnum};
use serde_json::{Map, Value};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

type Failure = Box<dyn std::error::Error>;

/// By how much a count may differ from the one that was written down.
const TOLERANCE: f64 = 0.03;
/// What else is written down: another compiler makes other instructions.
const COMPILER: &str = "rustc";
const FEW: u32 = 500;
const MANY: u32 = 4_500;

/// Counts instructions.
#[derive(Debug, Parser)]
struct Options {
    /// The counts to compare with.
    #[arg(long, default_value = "tests/pieces/counts.json")]
    counts: PathBuf,
    /// Writes the counts down instead of comparing them.
    #[arg(long)]
    write: bool,
    /// Only runs a piece so often, for valgrind to count.
    #[arg(long, num_args = 2, value_names = ["PIECE", "TIMES"])]
    run: Vec<String>,
}

/// A piece of the way.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Piece {
    /// The caller's variables against the operation's.
    Variables,
    /// The body that is sent upstream.
    UpstreamBody,
    /// Whether 300 bytes are a GraphQL response.
    SmallAnswer,
    /// Whether 30 KB are.
    LargeAnswer,
    /// The edge from head to answer: bearer, grant, variables, answer.
    Edge,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match options.run.as_slice() {
        [piece, times] => run(piece, times),
        _ => compare(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pieces: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(piece: &str, times: &str) -> Result<(), Failure> {
    let (piece, times) = (Piece::from_str(piece, false)?, times.parse()?);
    match piece {
        Piece::Variables => plain::variables(times),
        Piece::UpstreamBody => plain::upstream_body(times),
        Piece::SmallAnswer => plain::answer(4, times),
        Piece::LargeAnswer => plain::answer(400, times),
        Piece::Edge => edge_piece::run(times),
    }
}

fn compare(options: &Options) -> Result<(), Failure> {
    let compiler = compiler()?;
    let before: Map<String, Value> = match options.write {
        true => Map::new(),
        false => serde_json::from_str(&fs::read_to_string(&options.counts)?)?,
    };
    if !options.write && before.get(COMPILER) != Some(&Value::from(compiler.as_str())) {
        eprintln!("SKIPPED: what was written down was made by another compiler than {compiler}");
        return Ok(());
    }
    let mut counts = Map::new();
    for piece in Piece::value_variants() {
        let name = name(*piece);
        counts.insert(name.clone(), count(&name)?.into());
    }
    if options.write {
        counts.insert(COMPILER.to_owned(), compiler.into());
        return Ok(fs::write(&options.counts, format!("{:#}\n", Value::from(counts)))?);
    }
    let mut changed = false;
    for (name, now) in &counts {
        let (now, before) = (now.as_f64(), before.get(name).and_then(Value::as_f64));
        let (Some(now), Some(before)) = (now, before) else {
            return Err(format!("{} has no {name}", options.counts.display()).into());
        };
        let ratio = now / before;
        changed |= (ratio - 1.0).abs() > TOLERANCE;
        println!("{name:<16} {now:>8.0} instructions, {:+.1} %", (ratio - 1.0) * 100.0);
    }
    match changed {
        false => Ok(()),
        true => {
            Err("a count has changed by more than 3 %: if that is as it should be, `--write` it down".into())
        }
    }
}

fn compiler() -> Result<String, Failure> {
    let output =
        Command::new("rustc").arg("--version").output().map_err(|error| format!("rustc: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn name(piece: Piece) -> String {
    piece.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// What one run of a piece takes.
fn count(piece: &str) -> Result<u64, Failure> {
    let binary = std::env::current_exe()?;
    let (few, many) = (counted(&binary, piece, FEW)?, counted(&binary, piece, MANY)?);
    Ok(many.saturating_sub(few) / u64::from(MANY - FEW))
}

fn counted(binary: &Path, piece: &str, times: u32) -> Result<u64, Failure> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(binary)
        .args(["--run", piece, &times.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    match collected {
        Some((_, count)) if output.status.success() => Ok(count.trim().parse()?),
        _ => Err(format!("{piece} under valgrind: {said}").into()),
    }
}
