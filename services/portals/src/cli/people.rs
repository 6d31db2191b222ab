//! Flags of the commands about users, members and their access tokens.

use super::manage::Server;
use clap::{Args, Subcommand, ValueEnum};

/// `portals user`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  portals user create ada@example.com --name 'Ada Lovelace'")]
pub(crate) struct User {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(subcommand)]
    pub(crate) action: UserAction,
}

/// What to do with users.
#[derive(Debug, Subcommand)]
pub(crate) enum UserAction {
    /// Creates a user
    Create {
        /// Their email address
        email: String,
        /// Their name [default: the address]
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
    },
    /// Lists users
    List,
    /// Shows a user; without a UUID the one whose access token is used
    Show {
        /// The user's UUID
        uuid: Option<String>,
    },
    /// Deletes a user, their memberships and tokens; when this returns, nothing of it is of use to anybody
    Delete {
        /// The user's UUID
        uuid: String,
    },
}

/// `portals member`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  portals member add my-organization ada@example.com --role administrator")]
pub(crate) struct Member {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(subcommand)]
    pub(crate) action: MemberAction,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Role {
    /// Manages portals and members.
    Administrator,
    /// Has tokens of their own, where a portal lets members have them.
    Member,
}

/// What to do with members.
#[derive(Debug, Subcommand)]
pub(crate) enum MemberAction {
    /// Makes a user a member
    Add {
        /// The organization's slug
        organization: String,
        /// The user's email address
        email: String,
        /// What they may do
        #[arg(long, value_name = "ROLE", default_value = "member")]
        role: Role,
    },
    /// Lists the members of an organization
    List {
        /// The organization's slug
        organization: String,
    },
    /// Changes a member's role
    Update {
        /// The organization's slug
        organization: String,
        /// The user's UUID
        uuid: String,
        /// What they may do
        #[arg(long, value_name = "ROLE")]
        role: Role,
    },
    /// Ends a membership and the member's tokens; when this returns, none is of use to anybody
    Remove {
        /// The organization's slug
        organization: String,
        /// The user's UUID
        uuid: String,
    },
}

/// `portals access-token`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  portals access-token create --user 0190d3f2-… --scope read_portals --scope write_portals --description laptop\n  portals access-token revoke 0190d3f2-…"
)]
pub(crate) struct AccessToken {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(subcommand)]
    pub(crate) action: AccessTokenAction,
    /// The UUID of the user whose they are [default: whose access token is used]
    #[arg(long, value_name = "UUID", global = true)]
    pub(crate) user: Option<String>,
}

/// What to do with access tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum AccessTokenAction {
    /// Creates an access token and prints it; it cannot be read again
    Create {
        /// What it is to be good for, such as read_portals; may be given several times
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// From where it may be used: addresses or CIDR ranges separated by spaces [default: everywhere]
        #[arg(long, value_name = "RANGES")]
        allowed_ip_addresses: Option<String>,
        /// When it ends, such as 2027-01-31T12:00:00Z [default: never]
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// Lists access tokens, without the tokens themselves
    List,
    /// Ends an access token
    Revoke {
        /// The access token's UUID
        uuid: String,
    },
}
