//! Flags of what has to do with portal secrets: making them, and exchanging them for tokens.

use super::{
    given::{self, Given},
    manage::Server,
    restrictions::{Restrictions, Rules},
};
use clap::{Args, Subcommand};
use model::Secret;
use std::path::PathBuf;

/// `portals secret`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  portals secret create my-organization trigger-main-build --description ci\n  portals secret create my-organization trigger-main-build --fix pipelineID=UGlwZWxpbmUtLS0x\n  portals secret revoke my-organization trigger-main-build 0190d3f2-…"
)]
pub(crate) struct PortalSecret {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(subcommand)]
    pub(crate) action: SecretAction,
}

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretAction {
    /// Creates a secret and prints it; it cannot be read again, and a portal has at most two
    Create {
        /// The organization's slug
        organization: String,
        /// The portal's slug
        portal: String,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// When it ends, and with it its tokens, such as 2027-01-31T12:00:00Z [default: never]
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        #[command(flatten)]
        rules: Rules,
    },
    /// Lists the secrets of a portal, without the secrets themselves
    List {
        /// The organization's slug
        organization: String,
        /// The portal's slug
        portal: String,
    },
    /// Ends a secret; when this returns, every token that it was exchanged for is dead everywhere
    #[command(visible_alias = "delete")]
    Revoke {
        /// The organization's slug
        organization: String,
        /// The portal's slug
        portal: String,
        /// The secret's UUID
        uuid: String,
    },
}

/// `portals token exchange`.
#[derive(Args, Debug)]
pub(crate) struct Exchange {
    /// The organization's slug
    pub(crate) organization: String,
    /// The portal's slug
    pub(crate) portal: String,
    /// The portal's UUID
    #[arg(long, env = "PORTALS_CLIENT_ID", value_name = "UUID")]
    pub(crate) client_id: String,
    /// The portal's secret; better by PORTALS_CLIENT_SECRET or --client-secret-file
    #[arg(long, env = "PORTALS_CLIENT_SECRET", hide_env_values = true, value_name = "SECRET", value_parser = given::secret())]
    pub(crate) client_secret: Option<Given<Secret>>,
    /// A file with the portal's secret
    #[arg(long, env = "PORTALS_CLIENT_SECRET_FILE", value_name = "FILE", value_parser = given::file())]
    pub(crate) client_secret_file: Option<Given<PathBuf>>,
    /// How many minutes the token is to last, 1 to 60 [default: 60]
    #[arg(long, value_name = "MINUTES")]
    pub(crate) expires_in: Option<u32>,
    #[command(flatten)]
    pub(crate) restrictions: Restrictions,
}
