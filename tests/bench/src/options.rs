//! The command line.

use crate::{SECOND, upstream::Answer};
use clap::Parser;
use std::{path::PathBuf, time::Duration};

/// Measures portals beside nginx.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// The binary to measure.
    #[arg(long, default_value = "target/release/portals")]
    pub(crate) binary: PathBuf,
    /// Only shows that everything runs: one round of a second with a few connections.
    #[arg(long)]
    smoke: bool,
    /// How many rounds.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How long each measurement takes.
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    seconds: u32,
    /// How many connections, each with one call at a time.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64", value_name = "N,…")]
    connections: Vec<u32>,
    /// Which answers the upstream gives: `small` has 300 bytes, `large` 30 KB.
    #[arg(long, value_delimiter = ',', default_value = "small,large", value_name = "SIZE,…")]
    answers: Vec<Answer>,
    /// Where to write every single figure, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    pub(crate) fn rounds(&self) -> u32 {
        if self.smoke { 1 } else { self.rounds }
    }

    pub(crate) fn duration(&self) -> Duration {
        if self.smoke { SECOND } else { SECOND * self.seconds.max(1) }
    }

    pub(crate) fn connections(&self) -> &[u32] {
        if self.smoke { &[4] } else { &self.connections }
    }

    pub(crate) fn answers(&self) -> &[Answer] {
        &self.answers
    }
}
