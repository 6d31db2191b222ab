//! Flags of signing in: passwords, sessions and invitations.

use super::{
    given::{self, Given},
    manage::Server,
    people::Role,
};
use clap::{Args, Subcommand};
use model::Secret;
use std::path::PathBuf;

/// A user's password.
#[derive(Args, Debug)]
pub(crate) struct Password {
    /// The password; better by PORTALS_PASSWORD or --password-file
    #[arg(long, env = "PORTALS_PASSWORD", hide_env_values = true, value_name = "PASSWORD", value_parser = given::secret())]
    pub(crate) password: Option<Given<Secret>>,
    /// A file with the password
    #[arg(long, env = "PORTALS_PASSWORD_FILE", value_name = "FILE", value_parser = given::file())]
    pub(crate) password_file: Option<Given<PathBuf>>,
}

/// `portals login`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  PORTALS_TOKEN=$(portals login ada@example.com --password-file password) portals portal list my-organization\n  PORTALS_TOKEN=$(portals login --openid) portals portal list my-organization"
)]
pub(crate) struct Login {
    #[command(flatten)]
    pub(crate) server: Server,
    /// One's email address, to sign in with a password
    #[arg(required_unless_present = "openid", conflicts_with = "openid")]
    pub(crate) email: Option<String>,
    #[command(flatten)]
    pub(crate) password: Password,
    /// Signs in with the house's identity provider, in a browser on this machine
    #[arg(long)]
    pub(crate) openid: bool,
}

/// `portals logout`.
#[derive(Args, Debug)]
pub(crate) struct Logout {
    #[command(flatten)]
    pub(crate) server: Server,
}

/// `portals password`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  portals password --password-file new --current-password-file old --token-file token"
)]
pub(crate) struct SetPassword {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) password: Password,
    /// The present password, where there is one; better by PORTALS_CURRENT_PASSWORD or --current-password-file
    #[arg(long, env = "PORTALS_CURRENT_PASSWORD", hide_env_values = true, value_name = "PASSWORD", value_parser = given::secret())]
    pub(crate) current_password: Option<Given<Secret>>,
    /// A file with the present password
    #[arg(long, env = "PORTALS_CURRENT_PASSWORD_FILE", value_name = "FILE", value_parser = given::file())]
    pub(crate) current_password_file: Option<Given<PathBuf>>,
}

/// `portals invite`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  portals invite create my-organization ada@example.com --role administrator\n  portals invite accept @invitation --name 'Ada Lovelace' --password-file password"
)]
pub(crate) struct Invite {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(subcommand)]
    pub(crate) action: InviteAction,
}

/// What to do with invitations.
#[derive(Debug, Subcommand)]
pub(crate) enum InviteAction {
    /// Invites somebody and prints the token, which makes its holder a member once; it cannot be read again
    Create {
        /// The organization's slug
        organization: String,
        /// Their email address
        email: String,
        /// What they may do
        #[arg(long, value_name = "ROLE", default_value = "member")]
        role: Role,
    },
    /// Lists the live invitations to an organization, without their tokens
    List {
        /// The organization's slug
        organization: String,
    },
    /// Ends an invitation
    Revoke {
        /// The organization's slug
        organization: String,
        /// The invitation's UUID
        uuid: String,
    },
    /// Accepts an invitation: with a name and a password as somebody new, with an access token of one's own as a user
    Accept {
        /// The invitation's token: @FILE, - for stdin, or itself, which can be seen in the list of processes
        invitation: String,
        /// One's name, as somebody new
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        #[command(flatten)]
        password: Password,
    },
}
