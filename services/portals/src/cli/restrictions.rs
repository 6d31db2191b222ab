//! Flags of what a token, or what is exchanged for one, is to do less than its portal.

use clap::Args;

/// What a token is to do less.
#[derive(Args, Debug)]
pub(crate) struct Restrictions {
    #[command(flatten)]
    pub(crate) rules: Rules,
    /// How many calls it is good for [default: as many as one likes]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_uses: Option<u32>,
}

/// What tokens are to do less, however many they are.
#[derive(Args, Debug)]
pub(crate) struct Rules {
    /// An operation that may be run, and no other; may be given several times [default: all]
    #[arg(long = "operation", value_name = "NAME")]
    pub(crate) operations: Vec<String>,
    /// A variable that callers can neither send nor override: NAME=TEXT, or NAME:=JSON; may be given several times
    #[arg(long = "fix", value_name = "NAME=TEXT")]
    pub(crate) fixed: Vec<String>,
    /// A variable whose value must be valid against a JSON Schema: NAME=SCHEMA; may be given several times
    #[arg(long = "check", value_name = "NAME=SCHEMA")]
    pub(crate) checked: Vec<String>,
    /// From where it may be used, within the portal's own: addresses and CIDR ranges, separated by spaces
    #[arg(long, value_name = "ADDRESSES")]
    pub(crate) allowed_ip_addresses: Option<String>,
    /// Keeps it to the revision of the document that is live now
    #[arg(long)]
    pub(crate) pin: bool,
}
