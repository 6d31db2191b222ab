//! `portals token`: who may call a portal.

use super::{api::Api, invoke, output, secret, segment};
use crate::{
    cli::manage::{self, Token, TokenAction},
    exit::Failure,
};
use http::Method;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, btree_map::Entry};

const COLUMNS: [&str; 6] = ["uuid", "description", "kind", "created_at", "expires_at", "last_used_at"];

/// Runs it.
pub(crate) fn run(command: Token) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    super::run(async move {
        match command.action {
            TokenAction::Exchange(exchange) => secret::exchange(api.anonymous(), exchange).await,
            TokenAction::Create {
                organization,
                portal,
                description,
                expires_at,
                rate_limit,
                restrictions,
            } => {
                let restrictions = restrictions.try_into()?;
                let body = New { description, expires_at, rate_limit_per_minute: rate_limit, restrictions };
                let body =
                    serde_json::to_string(&body).map_err(|error| Failure::internal(error.to_string()))?;
                let path = path(&organization, &portal)?;
                output::show(&api, &api.manage(Method::POST, &path, &[], Some(&body)).await?)
            }
            TokenAction::List { organization, portal } => {
                output::table(&api, &api.list(&path(&organization, &portal)?).await?, &COLUMNS)
            }
            TokenAction::Revoke { organization, portal, uuid } => {
                let path = format!("{}/{}", path(&organization, &portal)?, segment(&uuid)?);
                api.manage(Method::DELETE, &path, &[], None).await?;
                output::done(&api, &format!("revoked {uuid}"));
                Ok(())
            }
        }
    })
}

/// What a token is to be; what is not given is left out.
#[derive(Serialize)]
struct New {
    description: Option<String>,
    expires_at: Option<String>,
    rate_limit_per_minute: Option<u32>,
    #[serde(flatten)]
    restrictions: Restrictions,
}

/// What it is to do less than its portal.
#[derive(Debug, Serialize)]
struct Restrictions {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    operations: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables: BTreeMap<String, Narrowing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_ip_addresses: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_uses: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Narrowing {
    Fixed(Box<RawValue>),
    Schema(Box<RawValue>),
}

impl TryFrom<manage::Restrictions> for Restrictions {
    type Error = Failure;

    fn try_from(given: manage::Restrictions) -> Result<Self, Failure> {
        let mut variables = BTreeMap::new();
        for argument in &given.fixed {
            let (name, value) = invoke::variable("--fix", argument)?;
            add(&mut variables, name, Narrowing::Fixed(value))?;
        }
        for argument in &given.checked {
            let Some((name, schema)) = argument.split_once('=') else {
                return Err(Failure::usage("--check: expected NAME=SCHEMA"));
            };
            let schema = RawValue::from_string(schema.to_owned())
                .map_err(|error| Failure::usage(format!("--check: `{name}`: expected JSON: {error}")))?;
            add(&mut variables, name.to_owned(), Narrowing::Schema(schema))?;
        }
        Ok(Self {
            operations: given.operations,
            variables,
            allowed_ip_addresses: given.allowed_ip_addresses,
            max_uses: given.max_uses,
            revision: given.pin.then_some("pin"),
        })
    }
}

fn add(variables: &mut BTreeMap<String, Narrowing>, name: String, rule: Narrowing) -> Result<(), Failure> {
    match variables.entry(name) {
        Entry::Vacant(place) => {
            place.insert(rule);
            Ok(())
        }
        Entry::Occupied(place) => {
            Err(Failure::usage(format!("--fix and --check: `{}` is given twice", place.key())))
        }
    }
}

fn path(organization: &str, portal: &str) -> Result<String, Failure> {
    let (organization, portal) = (segment(organization)?, segment(portal)?);
    Ok(format!("/v2/organizations/{organization}/portals/{portal}/tokens"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fixed: &[&str], checked: &[&str]) -> Result<String, Failure> {
        let owned = |arguments: &[&str]| arguments.iter().map(|text| (*text).to_owned()).collect();
        let given = manage::Restrictions {
            operations: vec!["a".to_owned()],
            fixed: owned(fixed),
            checked: owned(checked),
            allowed_ip_addresses: None,
            max_uses: Some(3),
            pin: true,
        };
        Ok(serde_json::to_string(&Restrictions::try_from(given)?).unwrap())
    }

    #[test]
    fn flags_are_what_the_api_takes_and_numbers_keep_their_digits() {
        assert_eq!(
            read(&["commit=HEAD", "n:=1.50"], &[r#"branch={"pattern":"^a=b"}"#]).unwrap(),
            r#"{"operations":["a"],"variables":{"branch":{"schema":{"pattern":"^a=b"}},"commit":{"fixed":"HEAD"},"n":{"fixed":1.50}},"max_uses":3,"revision":"pin"}"#
        );
    }

    #[test]
    fn a_variable_that_is_given_twice_or_is_no_json_is_refused() {
        for (fixed, checked) in [
            (&["a=1", "a=2"][..], &[][..]),
            (&["a=1"], &["a={}"]),
            (&["a"], &[]),
            (&["a:=nope"], &[]),
            (&[], &["a"]),
            (&[], &["a={"]),
        ] {
            assert!(read(fixed, checked).is_err(), "{fixed:?} {checked:?}");
        }
    }
}
