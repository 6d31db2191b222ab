//! What figures are worth nothing without: on which machine they were taken, when, of what and how.

use serde_json::{Value, json};
use std::{fmt, fs, process::Command, thread};

/// The facts of a run.
pub(crate) struct Machine {
    cores: usize,
    processor: String,
    kernel: String,
    date: String,
    /// Of the sources that it was started among; empty where there is no repository.
    revision: String,
    command: String,
    /// How busy the machine was before the bench did anything: processes that want to run, over the last minute.
    load: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            processor: processor().unwrap_or_else(|| String::from("unknown")),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            date: jiff::Timestamp::now().strftime("%F %R UTC").to_string(),
            revision: revision().unwrap_or_default(),
            command: command(),
            load: first_line("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let Self { cores, processor, kernel, date, revision, command, load } = self;
        json!({
            "cores": cores, "processor": processor, "kernel": kernel, "date": date, "revision": revision,
            "command": command, "load_before": load,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, processor, kernel, date, revision, command, load } = self;
        writeln!(f, "{cores} cores of {processor}, Linux {kernel}, load {load} before")?;
        let revision = if revision.is_empty() { "no revision" } else { revision };
        writeln!(f, "{date}, {revision}")?;
        writeln!(f, "{command}")
    }
}

fn first_line(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

/// The first processor's model (proc(5)).
fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn revision() -> Option<String> {
    let asked = Command::new("git").args(["describe", "--always", "--dirty"]).output().ok()?;
    asked.status.success().then(|| String::from_utf8_lossy(&asked.stdout).trim().to_owned())
}

/// The command line, without the folder that the program lies in.
fn command() -> String {
    let mut words = std::env::args();
    let program = words.next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default().to_owned();
    let quoted = |word: String| if word.contains([' ', '{', '"']) { format!("'{word}'") } else { word };
    std::iter::once(name).chain(words.map(quoted)).collect::<Vec<_>>().join(" ")
}
