//! The commands that manage and call a running house over its public HTTP.
//!
//! They know what the API's documentation says and nothing else; its messages are shown as they are.

pub(crate) mod api;
pub(crate) mod invoke;
pub(crate) mod organization;
pub(crate) mod output;
pub(crate) mod portal;
pub(crate) mod token;

use crate::exit::Failure;
use std::{fs, io::Read};

/// The most bytes of a file or of stdin that a command sends.
const MAX_INPUT_BYTES: u64 = 8 << 20;

/// Runs a client's work on a runtime of its own.
pub(crate) fn run(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::system(format!("starting a runtime: {error}")))?
        .block_on(work)
}

/// The text of an argument: itself, the content of `@FILE`, or stdin for `-`.
fn input(flag: &str, argument: &str) -> Result<String, Failure> {
    let wrong = |error: std::io::Error| Failure::usage(format!("--{flag}: reading `{argument}`: {error}"));
    let mut text = String::new();
    match argument.strip_prefix('@') {
        Some(path) => fs::File::open(path).map_err(wrong)?.take(MAX_INPUT_BYTES).read_to_string(&mut text),
        None if argument == "-" => std::io::stdin().lock().take(MAX_INPUT_BYTES).read_to_string(&mut text),
        None => return Ok(argument.to_owned()),
    }
    .map_err(wrong)?;
    Ok(text)
}
