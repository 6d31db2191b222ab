//! The log: structured events on stderr, as text or JSON.
//!
//! What libraries say below `info` shows bytes of connections: a bare level concerns our own events alone, and only
//! a directive that names a library makes it talk.

use crate::{
    cli::serve::{LogFormat, Process},
    exit::Failure,
};
use std::{io::IsTerminal, panic, thread};
use tracing_subscriber::{EnvFilter, fmt};

/// Our crates, whose events are safe to read at any level.
const OURS: [&str; 6] = ["portals", "edge", "registry", "executor", "proto", "model"];
const QUIET: [&str; 2] = ["trace", "debug"];

/// Checks a filter.
pub(crate) fn filter(text: &str) -> Result<String, String> {
    let read = EnvFilter::builder().parse(directives(text));
    read.map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Starts the log as the flags say; a panic is logged by its place, for its words may hold what must not be read.
pub(crate) fn start(process: &Process) -> Result<(), Failure> {
    let filter = EnvFilter::builder()
        .parse(directives(&process.log))
        .map_err(|error| Failure::usage(format!("invalid value for --log: {error}")))?;
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match process.log_format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    started.map_err(|error| Failure::internal(format!("starting the log: {error}")))?;
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = thread::current().name().unwrap_or_default().to_owned();
        tracing::error!(location, thread, "panicked");
    }));
    Ok(())
}

/// The filter's directives; a bare level is told to our crates.
fn directives(filter: &str) -> String {
    let level = filter.trim().to_ascii_lowercase();
    if !QUIET.contains(&level.as_str()) {
        return filter.to_owned();
    }
    OURS.iter().fold("info".to_owned(), |text, name| format!("{text},{name}={level}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_level_makes_no_library_talk() {
        assert_eq!(directives("warn"), "warn");
        assert_eq!(directives("info,h2=trace"), "info,h2=trace");
        assert!(directives("TRACE").starts_with("info,portals=trace,"));
    }
}
