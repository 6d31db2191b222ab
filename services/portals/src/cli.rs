//! The command line: every command, flag and environment variable there is.
//!
//! It reads and refuses; it does nothing of what is asked.

pub(crate) mod code;
pub(crate) mod environment;
pub(crate) mod given;
pub(crate) mod issuer;
pub(crate) mod manage;
pub(crate) mod people;
pub(crate) mod restrictions;
pub(crate) mod secret;
pub(crate) mod serve;
pub(crate) mod sign_in;

use crate::exit::Failure;
use clap::{
    Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};
use std::ffi::OsString;

/// What stands below the help text of `portals` itself.
const EXIT_CODES: &str = "\
Environment: each flag of a service has a variable, PORTALS_ and the flag in upper case (PORTALS_DATA_DIR for
--data-dir), and so have a client's --url and --token; a secret can also be in a file (--admin-token-file,
PORTALS_ADMIN_TOKEN_FILE). The flag wins over the variable. Secrets on a command line show in the list of processes:
prefer the variable or the file. HTTPS_PROXY, HTTP_PROXY and NO_PROXY are honoured on the way out: to upstreams,
issuers and identity providers, and from a client to the house.

Exit codes: 0 done; 1 refused or failed; 64 wrong command line, variable or configuration; 69 a service cannot be
reached; 70 a part of the process failed; 71 no socket or thread to be had; 78 the store is damaged, in use or unwritable.";

/// Self-hosted GraphQL portals: store a document under a name, call it with one POST.
#[derive(Debug, Parser)]
#[command(name = "portals", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Everything that can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs everything in one process, with its store in ./data: the default way to start
    ///
    /// At the first start it prints the operator's API access token once, on stdout.
    #[command(
        after_help = "Examples:\n  portals up --demo\n  PORTALS_ADMIN_TOKEN_FILE=/run/secrets/admin portals up --data-dir /var/lib/portals"
    )]
    Up(Box<serve::Up>),
    /// Runs an edge: public HTTP in front of registries and executors
    #[command(
        after_help = "Example:\n  PORTALS_EDGE_KEY_FILE=key portals edge --registry http://registry:50051 --executor http://executor:50052"
    )]
    Edge(Box<serve::Edge>),
    /// Runs a registry: definitions, tokens, audit, in a store on disk
    #[command(
        after_help = "Example:\n  PORTALS_EDGE_KEY_FILE=key portals registry --registry-listen 0.0.0.0:50051"
    )]
    Registry(Box<serve::Registry>),
    /// Runs an executor: calls upstreams as the registry has granted
    #[command(
        after_help = "Example:\n  PORTALS_SECRET_KEY_FILE=data/secret-key portals executor --executor-listen 0.0.0.0:50052"
    )]
    Executor(Box<serve::Executor>),
    /// Runs a GraphQL API to try portals with: pipelines and builds, named as in Buildkite's schema
    #[command(after_help = "Example:\n  portals demo-upstream --listen 127.0.0.1:8081")]
    DemoUpstream(serve::DemoUpstream),
    /// Creates the documentation's organization and portals, and prints curl commands that call them
    ///
    /// Portals that are there already stay as they are, their organization gets this upstream, and each run makes new tokens
    #[command(
        after_help = "Example:\n  portals demo --url http://127.0.0.1:8080 --admin-token-file admin-token --upstream-url http://127.0.0.1:8081/graphql"
    )]
    Demo(manage::Demo),
    /// Manages organizations
    #[command(visible_alias = "organization")]
    Org(manage::Org),
    /// Manages portals
    Portal(manage::Portal),
    /// Manages the tokens of a portal
    Token(manage::Token),
    /// Manages the secrets of a portal, which are exchanged for tokens
    Secret(secret::PortalSecret),
    /// Manages the OpenID Connect issuers that a portal trusts
    Issuer(issuer::Issuer),
    /// Reads the audit of an organization, and checks that nothing in it was changed
    Audit(manage::Audit),
    /// Manages users, as whoever runs the house
    User(people::User),
    /// Manages the members of an organization
    Member(people::Member),
    /// Manages API access tokens: one's own, or a user's as whoever runs the house
    AccessToken(people::AccessToken),
    /// Invites people to an organization, and accepts invitations
    Invite(sign_in::Invite),
    /// Signs in with a password and prints the session's access token, good for 12 hours
    Login(sign_in::Login),
    /// Ends the session whose access token is used
    Logout(sign_in::Logout),
    /// Sets one's own password and ends all one's sessions
    Password(sign_in::SetPassword),
    /// Decides on codes: whether somebody gets a token of a portal in one's own name
    Code(code::Code),
    /// Manages what the tokens in one's own name run with upstream
    UpstreamCredential(code::UpstreamCredential),
    /// Calls a portal and prints the upstream's answer
    #[command(after_help = manage::INVOKE_EXAMPLES)]
    Invoke(manage::Invoke),
    /// Asks a process on this machine whether it can serve: exit code 0 or 1
    Healthcheck(manage::Healthcheck),
}

/// What the command line asks for.
pub(crate) enum Asked {
    /// A help text or the version.
    Text(String),
    /// A command.
    Run(Box<Cli>),
}

/// Reads the command line and the environment.
pub(crate) fn read(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Asked, Failure> {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => {
            environment::check(variables)?;
            Ok(Asked::Run(Box::new(cli)))
        }
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(Asked::Text(error.to_string())),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
                Err(Failure::usage("no command given; `portals --help` lists them"))
            }
            _ => Err(Failure::usage(one_line(&error))),
        },
    }
}

/// The first paragraph of a complaint, which names what is wrong, in one line; a URL with a password is not repeated.
fn one_line(error: &clap::Error) -> String {
    let mut text = error.to_string();
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
        && value.contains('@')
    {
        text = text.replace(value, "…");
    }
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").map_or(line.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_secret_is_not_in_debug_nor_in_a_complaint() {
        let canary = "canary-0123456789abcdef0123456789ab";
        let words = ["portals", "up", "--admin-token", canary, "--listen", "nowhere"];
        let Err(failure) = read(words.map(OsString::from), []) else { panic!("it is refused") };
        assert!(!failure.to_string().contains(canary), "{failure}");
        let cli = Cli::try_parse_from(["portals", "up", "--admin-token", canary]).unwrap();
        assert!(!format!("{cli:?}").contains(canary));
    }
}
