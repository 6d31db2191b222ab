//! Flags of the commands about tokens in a member's own name.

use super::{manage::Server, serve::UpstreamToken};
use clap::{Args, Subcommand};

/// `portals code`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  portals code show WDJB-MJHT --token-file token\n  portals code authorize WDJB-MJHT --revision 3 --token-file token"
)]
pub(crate) struct Code {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(subcommand)]
    pub(crate) action: CodeAction,
}

/// What to do with a code.
#[derive(Debug, Subcommand)]
pub(crate) enum CodeAction {
    /// Shows for which portal somebody wants a token in one's name, and what could be run with it
    Show {
        /// The code
        code: String,
    },
    /// Approves a code: whoever asked for it gets one token, which runs with one's own upstream credential
    Authorize {
        /// The code
        code: String,
        /// The revision of the portal that was looked at, as `show` tells it
        #[arg(long, value_name = "NUMBER")]
        revision: u32,
    },
    /// Denies a code
    Deny {
        /// The code
        code: String,
    },
}

/// `portals upstream-credential`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  portals upstream-credential set my-organization --upstream-token-file credential --token-file token"
)]
pub(crate) struct UpstreamCredential {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(subcommand)]
    pub(crate) action: UpstreamCredentialAction,
}

/// What to do with one's own upstream credentials.
#[derive(Debug, Subcommand)]
pub(crate) enum UpstreamCredentialAction {
    /// Stores what the tokens that one approves run with upstream; it cannot be read again
    Set {
        /// The organization's slug
        organization: String,
        #[command(flatten)]
        upstream_token: UpstreamToken,
    },
    /// Lists for which organizations one has stored a credential
    List,
    /// Removes it: when this returns, nothing runs with it
    Remove {
        /// The organization's slug
        organization: String,
    },
}
