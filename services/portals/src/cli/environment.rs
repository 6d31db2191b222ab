//! The variables that may be set: a mistyped one must not be passed over in silence.
//!
//! It knows names alone; values are read with their flags.

use crate::{cli::Cli, exit::Failure};
use clap::CommandFactory;
use std::{collections::BTreeSet, ffi::OsString};

const PREFIX: &str = "PORTALS_";

/// Refuses a variable that begins with `PORTALS_` and is no flag of any command.
pub(crate) fn check(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<(), Failure> {
    let mut command = Cli::command();
    command.build();
    let mut known = BTreeSet::new();
    collect(&command, &mut known);
    let mut unknown: Vec<String> = variables
        .into_iter()
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with(PREFIX) && !known.contains(name))
        .collect();
    unknown.sort();
    match unknown.first() {
        None => Ok(()),
        Some(name) => Err(Failure::usage(format!("unknown environment variable {name}"))),
    }
}

fn collect(command: &clap::Command, known: &mut BTreeSet<String>) {
    let names = command.get_arguments().filter_map(clap::Arg::get_env);
    known.extend(names.map(|name| name.to_string_lossy().into_owned()));
    command.get_subcommands().for_each(|command| collect(command, known));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(name: &str) -> Option<String> {
        check([(name.into(), "1".into())]).err().map(|failure| failure.to_string())
    }

    #[test]
    fn each_flag_of_each_command_has_its_variable() {
        for name in ["PORTALS_LISTEN", "PORTALS_SECRET_KEY_FILE", "PORTALS_TOKEN", "PORTALS_URL", "PATH"] {
            assert_eq!(complaint(name), None, "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_named() {
        let complaint = complaint("PORTALS_LISTENN").unwrap();
        assert!(complaint.contains("PORTALS_LISTENN"), "{complaint}");
    }
}
