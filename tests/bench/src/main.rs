//! Measures what a portal costs: closed-loop calls through the house in its shapes, beside nginx as a bare reverse proxy
//! to the same upstream. `cargo build --release && cargo run --release -p bench`
//!
//! Rounds are interleaved, so that what else the machine does meets all alike; medians are printed. Load and upstream run
//! in this process and are not counted. It asserts that answers are right, never how long they took.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a command that prints")]

mod cost;
mod load;
mod nginx;
mod options;
mod report;
mod request;
mod shapes;
mod upstream;

use crate::{
    load::{Run, Target},
    options::Options,
    report::Measure,
    shapes::Contender,
    upstream::{Answer, Upstream},
};
use clap::Parser;
use std::{fs, io, process::ExitCode, time::Duration};

/// What goes wrong on the way to a figure, as text for whoever started it.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(bench(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &Failure) -> ExitCode {
    eprintln!("bench: {error}");
    ExitCode::FAILURE
}

async fn bench(options: &Options) -> Result<(), Failure> {
    if !options.binary.is_file() {
        let missing = format!("there is no {}; build it first", options.binary.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, missing).into());
    }
    let folder = tempfile::tempdir()?;
    let upstream = Upstream::open()?;
    let contenders = shapes::open(&options.binary, folder.path(), &upstream).await?;
    let measured = rounds(options, &contenders).await;
    for contender in contenders {
        contender.close().await;
    }
    let measures = measured?;
    print!("{}", report::table(&measures));
    if let Some(path) = &options.json {
        fs::write(path, report::json(&measures).to_string())?;
    }
    match measures.iter().map(Measure::failed).sum::<u32>() {
        0 => Ok(()),
        failed => Err(format!("{failed} calls were not answered with 200").into()),
    }
}

async fn rounds(options: &Options, contenders: &[Contender]) -> Result<Vec<Measure>, Failure> {
    let mut measures = Vec::new();
    for round in 0..options.rounds() {
        for answer in options.answers() {
            for connections in options.connections() {
                for contender in contenders {
                    let measure = measure(contender, *answer, *connections, options).await?;
                    eprintln!("round {round}: {measure}");
                    measures.push(measure);
                }
            }
        }
    }
    Ok(measures)
}

/// Warms a contender up, then counts what it does and what that costs.
async fn measure(
    contender: &Contender,
    answer: Answer,
    connections: u32,
    options: &Options,
) -> Result<Measure, Failure> {
    let requests = contender.requests(answer);
    let target = Target { address: contender.address, requests: &requests };
    let expected = upstream::body(answer);
    load::check(&target, expected.as_bytes()).await?;
    load::run(&target, connections, options.duration() / 5).await?;
    let before = cost::of(&contender.processes)?;
    let Run { latencies, took, failed } = load::run(&target, connections, options.duration()).await?;
    // What is still in the pipes when the clock stops belongs to the calls that were counted.
    let spent = cost::of(&contender.processes)?.saturating_sub(before);
    Ok(Measure::new(contender.name, answer, connections, latencies, took, spent, failed))
}

/// The shortest run that still tells something of CPU time, which the kernel counts in hundredths of a second.
const SECOND: Duration = Duration::from_secs(1);
