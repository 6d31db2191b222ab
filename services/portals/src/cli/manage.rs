//! Flags of the commands that are clients of a running house.

use super::{
    given::{self, Given},
    restrictions::Restrictions,
    secret::Exchange,
};
use crate::{cli::serve::UpstreamToken, config};
use clap::{Args, Subcommand, ValueEnum};
use model::Secret;
use std::path::PathBuf;

/// Examples of `portals invoke`.
pub(crate) const INVOKE_EXAMPLES: &str = "\
Examples:
  PORTALS_TOKEN=ptk_… portals invoke my-organization trigger-main-build
  portals invoke my-organization my-portal --token-file token --operation GetBuilds --var pipelineSlug=my-organization/my-pipeline
  portals invoke my-organization my-portal --login
  portals invoke my-organization my-portal --token-file token --variables @variables.json --var count:=10

The answer goes to stdout as the upstream sent it. An answer with GraphQL errors in a status of 200 is a success.";

/// Where a house is and who asks.
#[derive(Args, Debug)]
pub(crate) struct Server {
    /// Where the edge is
    #[arg(long, env = "PORTALS_URL", default_value = "http://127.0.0.1:8080", value_name = "URL", value_parser = config::base_url, global = true)]
    pub(crate) url: String,
    /// The token to show; better by PORTALS_TOKEN or --token-file, for arguments can be seen in the list of processes
    #[arg(long, env = "PORTALS_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = given::secret(), global = true)]
    pub(crate) token: Option<Given<Secret>>,
    /// A file with the token
    #[arg(long, env = "PORTALS_TOKEN_FILE", value_name = "FILE", value_parser = given::file(), global = true)]
    pub(crate) token_file: Option<Given<PathBuf>>,
    /// A PEM file with certificate authorities to trust besides the system's
    #[arg(long, env = "PORTALS_CA", value_name = "FILE", global = true)]
    pub(crate) ca: Option<PathBuf>,
    /// Prints the API's JSON as it is
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// `portals org`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  portals org create my-organization --upstream-url https://graphql.buildkite.com/v1 --upstream-token-file token"
)]
pub(crate) struct Org {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(subcommand)]
    pub(crate) action: OrgAction,
}

/// What to do with organizations.
#[derive(Debug, Subcommand)]
pub(crate) enum OrgAction {
    /// Creates an organization
    Create {
        /// Its slug
        slug: String,
        #[command(flatten)]
        properties: OrgProperties,
    },
    /// Lists organizations
    List,
    /// Shows an organization
    Show {
        /// Its slug
        slug: String,
    },
    /// Changes what is given of an organization
    Update {
        /// Its slug
        slug: String,
        #[command(flatten)]
        properties: OrgProperties,
    },
    /// Deletes an organization, its portals and their tokens
    Delete {
        /// Its slug
        slug: String,
    },
}

/// What an organization has.
#[derive(Args, Debug)]
pub(crate) struct OrgProperties {
    /// Its name for people [default of a new one: the slug]
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// The GraphQL API that its portals run against
    #[arg(long, env = "PORTALS_UPSTREAM_URL", value_name = "URL", value_parser = config::upstream_url)]
    pub(crate) upstream_url: Option<String>,
    #[command(flatten)]
    pub(crate) upstream_token: UpstreamToken,
    /// A header field that goes to the upstream; may be given several times, and replaces all there were
    #[arg(long = "upstream-header", value_name = "NAME: VALUE")]
    pub(crate) upstream_headers: Vec<String>,
    /// Seconds that an invocation may take
    #[arg(long, value_name = "SECONDS")]
    pub(crate) upstream_timeout: Option<u32>,
    /// Calls a minute over all its portals; 0 for no limit
    #[arg(long, value_name = "COUNT")]
    pub(crate) rate_limit: Option<u32>,
    /// The upstream's schema, which documents and variables are checked by: itself, @FILE, or - for stdin; empty for none
    #[arg(long, value_name = "SCHEMA")]
    pub(crate) schema: Option<String>,
}

/// `portals portal`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  portals portal create my-organization --name 'Trigger main build' --query @trigger.graphql\n  portals portal update my-organization trigger-main-build --query - < trigger.graphql"
)]
pub(crate) struct Portal {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(subcommand)]
    pub(crate) action: PortalAction,
}

/// What to do with portals.
#[derive(Debug, Subcommand)]
pub(crate) enum PortalAction {
    /// Creates a portal and prints its first token, which cannot be read again
    Create {
        /// The organization's slug
        organization: String,
        #[command(flatten)]
        properties: PortalProperties,
    },
    /// Lists the portals of an organization
    List {
        /// The organization's slug
        organization: String,
    },
    /// Shows a portal
    Show {
        /// The organization's slug
        organization: String,
        /// The portal's slug
        portal: String,
    },
    /// Changes what is given of a portal
    Update {
        /// The organization's slug
        organization: String,
        /// The portal's slug
        portal: String,
        #[command(flatten)]
        properties: PortalProperties,
        /// Only if the portal is still at this revision
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
    /// Deletes a portal; its tokens end with it
    Delete {
        /// The organization's slug
        organization: String,
        /// The portal's slug
        portal: String,
    },
}

/// What becomes of variables that nobody declared.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ExtraVariables {
    /// They are an error.
    Reject,
    /// They are left out.
    Ignore,
}

/// What a portal has.
#[derive(Args, Debug)]
pub(crate) struct PortalProperties {
    /// Its name for people
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// Its name in URLs [default of a new one: made from the name]
    #[arg(long, value_name = "SLUG")]
    pub(crate) slug: Option<String>,
    /// The GraphQL document: itself, @FILE, or - for stdin
    #[arg(long, value_name = "DOCUMENT")]
    pub(crate) query: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// From where it may be called: addresses or CIDR ranges separated by spaces; empty for everywhere
    #[arg(long, value_name = "RANGES")]
    pub(crate) allowed_ip_addresses: Option<String>,
    /// Whether members of the organization may have tokens for it in their own name; turned off, those end [default of a new one: false]
    #[arg(long, value_name = "BOOL")]
    pub(crate) user_invokable: Option<bool>,
    /// What becomes of variables that nobody declared
    #[arg(long, value_name = "RULE")]
    pub(crate) extra_variables: Option<ExtraVariables>,
    /// Whether identical queries in flight of one token share an answer [default of a new one: false]
    #[arg(long, value_name = "BOOL")]
    pub(crate) coalesce: Option<bool>,
    /// Calls a minute, within those of the organization; 0 for no limit of its own [default of a new one: 0]
    #[arg(long, value_name = "COUNT")]
    pub(crate) rate_limit: Option<u32>,
}

/// `portals token`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  portals token create my-organization trigger-main-build --description ci\n  portals token create my-organization trigger-main-build --fix commit=HEAD --check 'branch={\"pattern\":\"^release/\"}' --pin\n  portals token exchange my-organization trigger-main-build --client-id 0190d3f2-… --client-secret-file secret\n  portals token revoke my-organization trigger-main-build 0190d3f2-…"
)]
pub(crate) struct Token {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(subcommand)]
    pub(crate) action: TokenAction,
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenAction {
    /// Creates a token and prints it; it cannot be read again
    Create {
        /// The organization's slug
        organization: String,
        /// The portal's slug
        portal: String,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// When it ends, such as 2027-01-31T12:00:00Z [default: never]
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// Calls with it a minute, within those of the portal and the organization; 0 for no limit of its own [default: 0]
        #[arg(long, value_name = "COUNT")]
        rate_limit: Option<u32>,
        #[command(flatten)]
        restrictions: Restrictions,
    },
    /// Lists the tokens of a portal, without the tokens themselves
    List {
        /// The organization's slug
        organization: String,
        /// The portal's slug
        portal: String,
    },
    /// Exchanges a secret of the portal for a token of an hour or less, and prints the token alone
    Exchange(Exchange),
    /// Ends a token; when this returns, it is dead everywhere
    Revoke {
        /// The organization's slug
        organization: String,
        /// The portal's slug
        portal: String,
        /// The token's UUID
        uuid: String,
    },
}

/// `portals audit`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  portals audit list my-organization\n  portals audit verify my-organization --head 44136fa3…\n\nEach event has the hash of the one before it. `verify` computes them all anew and prints the newest: keep it\nelsewhere and give it as --head the next time, and nobody can have changed or removed what was there then."
)]
pub(crate) struct Audit {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(subcommand)]
    pub(crate) action: AuditAction,
}

/// What to do with an audit.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditAction {
    /// Lists what was changed, the newest first
    List {
        /// The organization's slug
        organization: String,
    },
    /// Checks every event against its hash and the event before it: exit code 0 or 1
    Verify {
        /// The organization's slug
        organization: String,
        /// The hash of an event that must still be there
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
    },
}

/// `portals invoke`.
#[derive(Args, Debug)]
pub(crate) struct Invoke {
    #[command(flatten)]
    pub(crate) server: Server,
    /// The organization's slug
    pub(crate) organization: String,
    /// The portal's slug
    pub(crate) portal: String,
    /// The operation, where the portal has several
    #[arg(long, value_name = "NAME")]
    pub(crate) operation: Option<String>,
    /// The variables: a JSON object, @FILE, or - for stdin
    #[arg(long, value_name = "JSON")]
    pub(crate) variables: Option<String>,
    /// Gets a token in the name of a member, who approves the code that is shown, in place of --token
    #[arg(long)]
    pub(crate) login: bool,
    /// One variable: NAME=TEXT for a string, NAME:=JSON for anything else; may be given several times
    #[arg(long, value_name = "NAME=TEXT")]
    pub(crate) var: Vec<String>,
}

/// `portals demo`.
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Where the edge is
    #[arg(long, env = "PORTALS_URL", default_value = "http://127.0.0.1:8080", value_name = "URL", value_parser = config::base_url)]
    pub(crate) url: String,
    /// The operator's API access token
    #[arg(long, env = "PORTALS_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = given::secret())]
    pub(crate) admin_token: Option<Given<Secret>>,
    /// A file with the operator's token
    #[arg(long, env = "PORTALS_ADMIN_TOKEN_FILE", value_name = "FILE", value_parser = given::file())]
    pub(crate) admin_token_file: Option<Given<PathBuf>>,
    /// The demo upstream, as the executor reaches it
    #[arg(long, env = "PORTALS_UPSTREAM_URL", value_name = "URL", value_parser = config::upstream_url)]
    pub(crate) upstream_url: String,
    #[command(flatten)]
    pub(crate) upstream_token: UpstreamToken,
}

/// `portals healthcheck`.
#[derive(Args, Debug)]
pub(crate) struct Healthcheck {
    /// Where the process serves health, readiness and metrics
    #[arg(long, env = "PORTALS_OPS_URL", default_value = "http://127.0.0.1:9090", value_name = "URL", value_parser = config::base_url)]
    pub(crate) ops_url: String,
}
