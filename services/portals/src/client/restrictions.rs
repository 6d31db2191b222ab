//! What a token, or what is exchanged for one, is to do less than its portal: flags as JSON.

use super::invoke;
use crate::{cli::restrictions, exit::Failure};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, btree_map::Entry};

/// Restrictions, as the API names them; what is not given is left out.
#[derive(Debug, Serialize)]
pub(crate) struct Restrictions {
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

/// A body with restrictions, as text: no number in it is rewritten.
///
/// # Errors
///
/// None that anything given could lead to.
pub(crate) fn body(body: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(body).map_err(|error| Failure::internal(error.to_string()))
}

impl TryFrom<restrictions::Restrictions> for Restrictions {
    type Error = Failure;

    fn try_from(given: restrictions::Restrictions) -> Result<Self, Failure> {
        Ok(Self { max_uses: given.max_uses, ..given.rules.try_into()? })
    }
}

impl TryFrom<restrictions::Rules> for Restrictions {
    type Error = Failure;

    fn try_from(given: restrictions::Rules) -> Result<Self, Failure> {
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
            max_uses: None,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fixed: &[&str], checked: &[&str]) -> Result<String, Failure> {
        let owned = |arguments: &[&str]| arguments.iter().map(|text| (*text).to_owned()).collect();
        let given = restrictions::Restrictions {
            rules: restrictions::Rules {
                operations: vec!["a".to_owned()],
                fixed: owned(fixed),
                checked: owned(checked),
                allowed_ip_addresses: None,
                pin: true,
            },
            max_uses: Some(3),
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
