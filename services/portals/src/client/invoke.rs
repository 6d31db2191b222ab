//! `portals invoke`: one call of a portal.

use super::{api::Api, input, login, output, segment};
use crate::{cli::manage::Invoke, exit::Failure};
use http::Method;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, btree_map::Entry};

/// Runs it.
pub(crate) fn run(command: Invoke) -> Result<(), Failure> {
    let variables = variables(command.variables.as_deref(), &command.var)?;
    let (organization, portal) = (segment(&command.organization)?, segment(&command.portal)?);
    let portal = format!("/organizations/{organization}/portals/{portal}");
    let mut path = portal.clone();
    if let Some(name) = &command.operation {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !plain {
            return Err(Failure::usage("--operation: expected a GraphQL name"));
        }
        path = format!("{path}?operation_name={name}");
    }
    let api = Api::new(command.server)?;
    super::run(async move {
        let api = match command.login {
            true => {
                let api = api.anonymous();
                let token = login::token(&api, &portal).await?;
                api.with(token)
            }
            false => api,
        };
        let reply = api.send(Method::POST, &path, &[], Some(variables)).await?;
        if reply.status.is_success() || api.json {
            output::print_raw(&reply.body);
        }
        match (reply.status.is_success(), api.json) {
            (true, _) => Ok(()),
            (false, true) => Err(Failure::refused("")),
            (false, false) => Err(reply.refusal()),
        }
    })
}

/// The body: what was given as a whole, byte for byte, unless single variables are added to it.
fn variables(whole: Option<&str>, single: &[String]) -> Result<String, Failure> {
    let whole = whole.map(|argument| input("--variables", argument)).transpose()?;
    let whole = whole.unwrap_or_else(|| "{}".to_owned());
    if single.is_empty() {
        return Ok(whole);
    }
    let mut all: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&whole)
        .map_err(|error| Failure::usage(format!("--variables: expected a JSON object: {error}")))?;
    for argument in single {
        let (name, value) = variable("--var", argument)?;
        match all.entry(name) {
            Entry::Vacant(place) => place.insert(value),
            Entry::Occupied(place) => {
                return Err(Failure::usage(format!("--var: `{}` is given twice", place.key())));
            }
        };
    }
    serde_json::to_string(&all).map_err(|error| Failure::internal(error.to_string()))
}

/// Reads `NAME=TEXT` or `NAME:=JSON`, which `flag` was given with.
pub(crate) fn variable(flag: &str, argument: &str) -> Result<(String, Box<RawValue>), Failure> {
    let Some((name, value)) = argument.split_once('=') else {
        return Err(Failure::usage(format!("{flag}: expected NAME=TEXT or NAME:=JSON")));
    };
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => (name, RawValue::from_string(value.to_owned())),
        None => (name, serde_json::value::to_raw_value(value)),
    };
    let value = value.map_err(|error| Failure::usage(format!("{flag}: `{name}`: expected JSON: {error}")))?;
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_variables_are_added_and_numbers_keep_their_digits() {
        let single = ["slug=a=b".to_owned(), "big:=12345678901234567890123".to_owned()];
        let body = variables(Some(r#"{"n": 1.50}"#), &single).unwrap();
        assert_eq!(body, r#"{"big":12345678901234567890123,"n":1.50,"slug":"a=b"}"#);
        assert_eq!(variables(Some(r#"{"n": 1.50}"#), &[]).unwrap(), r#"{"n": 1.50}"#);
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for single in ["slug", "n:=", "n:=nope"] {
            assert!(variables(None, &[single.to_owned()]).is_err(), "{single}");
        }
        assert!(variables(Some(r#"{"n":1}"#), &["n=2".to_owned()]).is_err());
    }
}
