//! Measures what a portal costs, beside nginx and others that call the same upstream.
//! `cargo build --release && cargo run --release -p bench`; `--help` tells the rest.
//!
//! What it asserts is that answers are right, never how long they took.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a command that prints")]

mod allocations;
mod beside;
mod closed;
mod contender;
mod contenders;
mod cost;
mod figures;
mod load;
mod machine;
mod nginx;
mod open;
mod options;
mod overload;
mod peer;
mod report;
mod request;
mod shapes;
mod soak;
mod stored;
mod stream;
mod upstream;

use crate::{machine::Machine, options::Options, upstream::Upstream};
use clap::Parser;
use serde_json::{Value, json};
use std::{fs, io, process::ExitCode};

/// What goes wrong on the way to a figure, as text for whoever started it.
type Failure = Box<dyn std::error::Error>;

/// What a mode has found: for people, and every figure.
struct Findings {
    text: String,
    figures: Value,
    /// Calls that were not answered as they should be.
    failed: u32,
}

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
    for binary in [&options.binary].into_iter().chain(&options.modes.beside) {
        if !binary.is_file() {
            let missing = format!("there is no {}; build it first", binary.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, missing).into());
        }
    }
    let machine = Machine::here();
    let folder = tempfile::tempdir()?;
    let upstream = &Upstream::open(options.upstream_listen, folder.path())?;
    let shapes = shapes::Shapes { binary: &options.binary, folder: folder.path(), upstream };
    let found = measure(options, &shapes).await?;
    print!("{machine}{}", found.text);
    if let Some(path) = &options.json {
        let all = json!({"machine": machine.json(), "figures": found.figures});
        fs::write(path, all.to_string())?;
    }
    match found.failed {
        0 => Ok(()),
        failed => Err(format!("{failed} calls were not answered with 200").into()),
    }
}

/// Runs the mode that is asked for.
async fn measure(options: &Options, shapes: &shapes::Shapes<'_>) -> Result<Findings, Failure> {
    let modes = &options.modes;
    if let Some(rates) = &modes.open {
        return open::measure(options, rates, shapes).await;
    }
    if let Some(binary) = &modes.beside {
        return beside::measure(options, binary, shapes).await;
    }
    if modes.overload {
        return overload::measure(options, shapes).await;
    }
    if modes.allocations {
        return allocations::measure(options, shapes).await;
    }
    if modes.stream {
        return stream::measure(options, shapes).await;
    }
    if !modes.stored.is_empty() {
        return stored::measure(options, &modes.stored, shapes).await;
    }
    if let Some(minutes) = modes.minutes {
        return soak::measure(options, minutes, shapes).await;
    }
    closed::measure(options, shapes).await
}
