//! Flags of `portals issuer`.

use super::{manage::Server, restrictions::Rules};
use clap::{Args, Subcommand};

/// `portals issuer`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  portals issuer trust my-organization trigger-main-build --issuer https://token.actions.githubusercontent.com \\\n    --audience portals --condition repository=acme/app --condition 'ref=refs/heads/*'\n\nIn a condition `*` stands for any characters or none, `?` for one; all conditions must hold."
)]
pub(crate) struct Issuer {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(subcommand)]
    pub(crate) action: IssuerAction,
}

/// What to do with the issuers that a portal trusts.
#[derive(Debug, Subcommand)]
pub(crate) enum IssuerAction {
    /// Has a portal take the JWTs of an OpenID Connect issuer in exchange for its tokens
    Trust {
        /// The organization's slug
        organization: String,
        /// The portal's slug
        portal: String,
        /// The issuer, letter for letter as its tokens name it in `iss`
        #[arg(long, value_name = "URL")]
        issuer: String,
        /// For whom a token must be: what `aud` is or has
        #[arg(long, value_name = "TEXT")]
        audience: String,
        /// What a claim must be; may be given several times
        #[arg(long = "condition", value_name = "CLAIM=PATTERN", required = true)]
        conditions: Vec<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        #[command(flatten)]
        rules: Rules,
    },
    /// Lists the issuers that a portal trusts
    List {
        /// The organization's slug
        organization: String,
        /// The portal's slug
        portal: String,
    },
    /// Ends the trust in an issuer; when this returns, the tokens that it led to are dead everywhere
    Distrust {
        /// The organization's slug
        organization: String,
        /// The portal's slug
        portal: String,
        /// The trusted issuer's UUID
        uuid: String,
    },
}
