//! The command line.

use crate::{contender::Kind, peer::Peer, upstream::Answer};
use clap::Parser;
use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

/// Measures what portals cost, beside others that call the same upstream.
///
/// Without a mode, the calls of a closed loop: each connection makes the next call when the last is answered. Contenders
/// stand side by side and take turns, in another order each round; medians of the rounds are printed. Load and
/// upstream run in this process and are not counted. CPU and memory are those of all processes of a contender, from
/// /proc. Answers are checked, figures never.
///
/// A house's processes are started with their defaults, unless a mode says otherwise.
#[derive(Debug, Parser)]
#[command(version, after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// The binary to measure
    #[arg(long, default_value = "target/release/portals")]
    pub(crate) binary: PathBuf,
    /// Only shows that everything runs: a round of a second with a few connections
    #[arg(long)]
    pub(crate) smoke: bool,
    /// How many rounds
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How long each measurement takes
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    seconds: u32,
    /// How many connections, each with one call at a time
    #[arg(long, value_delimiter = ',', default_value = "1,16,64", value_name = "N,…")]
    connections: Vec<u32>,
    /// A new connection for each call, as curl makes (closed loop and `--beside`)
    #[arg(long, conflicts_with_all = ["open", "overload", "allocations", "stream", "stored", "minutes"])]
    pub(crate) disable_keepalive: bool,
    /// Which answers the upstream gives: `small` has 300 bytes, `large` 30 KB, `gzip` 30 KB compressed, `tls`
    /// and `h2` 300 bytes over TLS with HTTP/1.1 and HTTP/2 (the last three: houses alone)
    #[arg(long, value_delimiter = ',', default_value = "small,large", value_name = "SIZE,…")]
    pub(crate) answers: Vec<Answer>,
    /// Which contenders, of those that the mode knows, besides peers [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    only: Vec<Kind>,
    /// Another contender: `name=start command,url=…,body=…[,header=…]…`
    ///
    /// It is started by `sh -c`, with UPSTREAM (address and port) and UPSTREAM_TOKEN (the bearer that the upstream wants)
    /// in its environment, and stopped with all that it has started. Bodies are POSTed to the URL; an `n` in braces
    /// in them is another number in each request. `{answer}` in the URL is `small` or `large`, and the upstream has these answers
    /// at POST /small and /large; a URL without it is asked for the small answer alone.
    #[arg(long, value_name = "PEER")]
    pub(crate) peer: Vec<Peer>,
    /// Where the upstream listens, for peers that must be told beforehand
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    pub(crate) upstream_listen: SocketAddr,
    /// How long `--stored` may go on filling the registry, in all
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    fill_limit: u32,
    /// Where to write every single figure, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) modes: Modes,
}

/// What is measured instead of the closed loop; one at a time.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
#[command(next_help_heading = "Modes")]
pub(crate) struct Modes {
    /// Open loop: calls are due at fixed times, over 64 connections
    ///
    /// At each of these rates, or with `half` at half of what the contender itself did with 64 connections in a closed
    /// loop in the same round. Latency counts from when a call was due, so that what a slow answer does to those behind
    /// it is not left out.
    #[arg(long, value_name = "RATE,…|half")]
    pub(crate) open: Option<Rates>,
    /// Another build, loaded at the same time: what a call costs the processor in both (`up` and `split-unix`)
    ///
    /// Whatever else the machine does is done to both, so that a difference of a few hundredths shows. Each round starts
    /// the processes anew.
    #[arg(long, value_name = "BINARY")]
    pub(crate) beside: Option<PathBuf>,
    /// Ten times the load that saturates, for a few seconds (`nginx`, `up` and `split-unix`)
    ///
    /// Once with an upstream that answers at once, where processors are what runs out, and once with one that
    /// takes 50 ms, where it is the upstream's turns. Houses are started with limits low enough to be met.
    #[arg(long)]
    pub(crate) overload: bool,
    /// How often a call asks for memory, and for how many bytes (`up`, `split-tcp` and `split-unix`)
    ///
    /// The binary must be a counting build: `cargo build --package portals --features portals/count-allocations`.
    #[arg(long)]
    pub(crate) allocations: bool,
    /// Answers of 30 MB: first byte and last, and memory for each call that is read slowly (`up` and `split-unix`)
    #[arg(long)]
    pub(crate) stream: bool,
    /// What so many portals in the registry change (`up`)
    ///
    /// Fills a registry with each of these numbers, over the public API; when all stand, they take turns.
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    pub(crate) stored: Vec<u32>,
    /// A soak: half load for so long, for each contender (`up` and `split-unix`)
    #[arg(long, value_name = "MINUTES")]
    pub(crate) minutes: Option<u32>,
}

const EXAMPLES: &str = "\
Examples:
  bench --json figures.json
  bench --open half --only nginx,up
  bench --disable-keepalive --answers small
  bench --allocations --binary target/debug/portals
  bench --stored 10,10000,100000 --seconds 10
  bench --beside before/portals --only up --answers small --connections 32 --seconds 3 --rounds 10
  bench --answers small --peer 'other=other-gateway --port 4000,url=http://127.0.0.1:4000/graphql,body={\"query\":\"…\"}'

It needs a release build of portals, and this is how its image has it:
  CARGO_ENCODED_RUSTFLAGS=$(services/portals/pgo/flags) cargo build --release && cargo run --release --package bench";

/// How often calls are due.
#[derive(Clone, Debug)]
pub(crate) enum Rates {
    /// Half of what a contender can do.
    Half,
    /// So many times a second.
    Fixed(Vec<u32>),
}

impl FromStr for Rates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "half" {
            return Ok(Self::Half);
        }
        let rates: Result<Vec<u32>, _> = text.split(',').map(str::parse).collect();
        match rates {
            Ok(rates) if !rates.contains(&0) => Ok(Self::Fixed(rates)),
            _ => Err(String::from("it is `half`, or calls per second separated by commas")),
        }
    }
}

impl Options {
    pub(crate) fn rounds(&self) -> u32 {
        if self.smoke { 1 } else { self.rounds }
    }

    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(if self.smoke { 1 } else { u64::from(self.seconds.max(1)) })
    }

    pub(crate) fn fill_limit(&self) -> Duration {
        Duration::from_secs(u64::from(self.fill_limit))
    }

    pub(crate) fn connections(&self) -> &[u32] {
        if self.smoke { &[4] } else { &self.connections }
    }

    /// Those of `kinds` that are wanted.
    pub(crate) fn kinds(&self, kinds: &[Kind]) -> Vec<Kind> {
        kinds.iter().copied().filter(|kind| self.only.is_empty() || self.only.contains(kind)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_exclude_each_other() {
        assert!(Options::try_parse_from(["bench", "--open", "100,200"]).is_ok());
        assert!(Options::try_parse_from(["bench", "--open", "0"]).is_err());
        assert!(Options::try_parse_from(["bench", "--stream", "--overload"]).is_err());
        assert!(Options::try_parse_from(["bench", "--disable-keepalive"]).is_ok());
        assert!(Options::try_parse_from(["bench", "--disable-keepalive", "--open", "half"]).is_err());
    }
}
