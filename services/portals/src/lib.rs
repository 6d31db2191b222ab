//! The roof: the one binary, its command line, its environment, its sockets, its health and its end.
//!
//! It joins the rooms and decides nothing that they decide. In reading order: what an operator writes (`cli`,
//! `config`), what runs it (`roles`), on what it stands (`host`, `ops`, `logging`), and the commands that are only
//! clients (`client`, `demo`, `healthcheck`).

mod cli;
mod client;
mod config;
mod demo;
mod exit;
mod healthcheck;
mod host;
mod logging;
mod ops;
mod roles;

use cli::{Cli, Command};
use exit::Failure;
use std::{ffi::OsString, process::ExitCode};

/// Runs the command line `arguments`, the program's name first, in the environment `variables`.
///
/// Returns the exit code, which `--help` explains.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let done = match cli::read(arguments, variables) {
        Ok(cli::Asked::Text(text)) => {
            exit::print(&text);
            Ok(())
        }
        Ok(cli::Asked::Run(cli)) => command(*cli),
        Err(failure) => Err(failure),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn command(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Up(options) => roles::up::run(*options),
        Command::Edge(options) => roles::edge::run(*options),
        Command::Registry(options) => roles::registry::run(*options),
        Command::Executor(options) => roles::executor::run(*options),
        Command::DemoUpstream(options) => roles::demo_upstream::run(options),
        Command::Demo(options) => demo::run(options),
        Command::Org(options) => client::organization::run(options),
        Command::Portal(options) => client::portal::run(options),
        Command::Token(options) => client::token::run(options),
        Command::Secret(options) => client::secret::run(options),
        Command::Issuer(options) => client::issuer::run(options),
        Command::Audit(options) => client::audit::run(options),
        Command::User(options) => client::user::run(options),
        Command::Member(options) => client::member::run(options),
        Command::AccessToken(options) => client::access_token::run(options),
        Command::Invite(options) => client::invitation::run(options),
        Command::Login(options) => client::sign_in::login(options),
        Command::Logout(options) => client::sign_in::logout(options),
        Command::Password(options) => client::sign_in::set_password(options),
        Command::Code(options) => client::code::run(options),
        Command::UpstreamCredential(options) => client::code::upstream_credential(options),
        Command::Invoke(options) => client::invoke::run(options),
        Command::Healthcheck(options) => healthcheck::run(&options),
    }
}
