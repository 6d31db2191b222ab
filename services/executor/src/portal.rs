//! A portal revision, compiled: its operations with the text that is sent for each. It calls nobody.

mod within;

use bytes::Bytes;
use model::{
    Fault, Reason,
    document::{Operation, OperationKind},
    fault::Details,
    input::{InputType, InputTypes},
    portal::ExtraVariables,
    variables::{Coerced, coerce},
};
use proto::grant::{DocumentClaim, UnreadableClaim};
use std::{borrow::Cow, collections::HashMap};

/// A portal revision, ready to be called.
pub struct Portal {
    operations: Vec<Prepared>,
    fragments: Vec<String>,
    types: InputTypes,
    by_name: HashMap<String, usize>,
}

/// An operation and the beginning of the request that runs it.
struct Prepared {
    operation: Operation,
    /// Kept while the portal's openings are few and short.
    opening: Option<Box<str>>,
}

/// The most bytes of openings that a portal keeps. Each has its fragments in it: a thousand operations that
/// share one fragment of 100 KiB would come to 100 MiB.
const MAX_OPENINGS_BYTES: usize = 256 << 10;

/// What is sent upstream.
#[derive(Clone)]
pub struct Sendable {
    /// The request's body.
    pub body: Bytes,
    /// Whether it may be sent twice.
    pub kind: OperationKind,
    /// The variables that were left out.
    pub ignored: Vec<String>,
}

impl Portal {
    /// Compiles a document as the grant carries it.
    ///
    /// # Errors
    ///
    /// `UnreadableClaim` for what no registry has written.
    pub fn compile(document: DocumentClaim) -> Result<Self, UnreadableClaim> {
        let DocumentClaim { operations: claims, fragments, types } = document;
        let mut operations = Vec::with_capacity(claims.len());
        let mut left = MAX_OPENINGS_BYTES;
        for claim in claims {
            let operation: Operation = claim.try_into()?;
            let opening = if sent_bytes(&operation, &fragments) <= left {
                let opening = opening(&operation, &fragments);
                left = left.saturating_sub(opening.len());
                Some(opening.into_boxed_str())
            } else {
                None
            };
            operations.push(Prepared { operation, opening });
        }
        let by_name = operations
            .iter()
            .enumerate()
            .filter_map(|(index, prepared)| Some((prepared.operation.name.clone()?, index)))
            .collect();
        let types = types.into_iter().map(<(String, InputType)>::try_from).collect::<Result<_, _>>()?;
        Ok(Self { operations, fragments, types, by_name })
    }

    /// Picks the operation and coerces the variables.
    ///
    /// # Errors
    ///
    /// `BadRequest`, `OperationNameRequired`, `OperationNotFound`, `VariablesInvalid`; the first that applies in
    /// this order.
    pub fn prepare(
        &self,
        name: Option<&str>,
        extra: ExtraVariables,
        variables: &[u8],
    ) -> Result<Sendable, Fault> {
        let prepared = self.select(name).map_err(|fault| unreadable(variables).unwrap_or(fault))?;
        let coerced = coerce(&prepared.operation, &self.types, extra, variables)?;
        Ok(self.sendable(prepared, coerced))
    }

    fn sendable(&self, prepared: &Prepared, coerced: Coerced) -> Sendable {
        let opening = match &prepared.opening {
            Some(kept) => Cow::Borrowed(&**kept),
            None => Cow::Owned(opening(&prepared.operation, &self.fragments)),
        };
        let mut body = Vec::with_capacity(opening.len() + coerced.json.len() + 1);
        body.extend_from_slice(opening.as_bytes());
        body.extend_from_slice(&coerced.json);
        body.push(b'}');
        Sendable { body: body.into(), kind: prepared.operation.kind, ignored: coerced.ignored }
    }

    fn select(&self, name: Option<&str>) -> Result<&Prepared, Fault> {
        match (name.filter(|name| !name.is_empty()), self.operations.as_slice()) {
            (None, [only]) => Ok(only),
            (None, _) => {
                let message = "the portal has several operations: `operation_name` must name one of them";
                Err(Fault::new(Reason::OperationNameRequired, message).with(self.names()))
            }
            (Some(name), operations) => {
                self.by_name.get(name).and_then(|index| operations.get(*index)).ok_or_else(|| {
                    let message = "the portal has no operation of that name";
                    Fault::new(Reason::OperationNotFound, message).with(self.names())
                })
            }
        }
    }

    fn names(&self) -> Details {
        let name = |prepared: &Prepared| prepared.operation.name.clone();
        Details::Operations(self.operations.iter().filter_map(name).collect())
    }
}

/// How long an operation is with its fragments, without putting them together.
fn sent_bytes(operation: &Operation, fragments: &[String]) -> usize {
    let fragment = |index: &u32| fragments.get(usize::try_from(*index).ok()?).map(String::len);
    operation.fragments.iter().filter_map(fragment).fold(operation.source.len(), usize::saturating_add)
}

/// `{"query":"…","operationName":"…","variables":`
fn opening(operation: &Operation, fragments: &[String]) -> String {
    let mut opening = String::from(r#"{"query":"#);
    opening.push_str(&json_text(&operation.text(fragments)));
    opening.push_str(r#","operationName":"#);
    opening.push_str(&operation.name.as_deref().map_or_else(|| "null".to_owned(), json_text));
    opening.push_str(r#","variables":"#);
    opening
}

/// A body that is no object of variables is a bad request, whatever operation it was meant for.
fn unreadable(variables: &[u8]) -> Option<Fault> {
    let any = Operation {
        name: None,
        kind: OperationKind::Query,
        source: String::new(),
        fragments: Vec::new(),
        variables: Vec::new(),
    };
    let coerced = coerce(&any, &InputTypes::unknown(), ExtraVariables::Ignore, variables);
    coerced.err().filter(|fault| fault.reason() == Reason::BadRequest)
}

fn json_text(text: &str) -> String {
    serde_json::to_string(text).expect("a string always has a JSON text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::grant::OperationClaim;

    fn operation(name: Option<&str>, source: &str) -> OperationClaim {
        OperationClaim {
            name: name.map(str::to_owned),
            mutation: source.starts_with("mutation"),
            source: source.to_owned(),
            fragments: Vec::new(),
            variables: Vec::new(),
        }
    }

    fn portal(operations: Vec<OperationClaim>) -> Portal {
        Portal::compile(DocumentClaim { operations, fragments: Vec::new(), types: Vec::new() }).unwrap()
    }

    fn selected(portal: &Portal, name: Option<&str>) -> Result<String, (Reason, Details)> {
        match portal.select(name) {
            Ok(prepared) => Ok(prepared.operation.source.clone()),
            Err(fault) => Err((fault.reason(), fault.details().clone())),
        }
    }

    #[test]
    fn one_operation_runs_without_a_name_and_under_its_own() {
        let one = portal(vec![operation(Some("a"), "query a { x }")]);
        for name in [None, Some(""), Some("a")] {
            assert_eq!(selected(&one, name).unwrap(), "query a { x }");
        }
        let names = Details::Operations(vec!["a".to_owned()]);
        assert_eq!(selected(&one, Some("b")).unwrap_err(), (Reason::OperationNotFound, names));
    }

    #[test]
    fn an_anonymous_operation_has_no_name_to_ask_for() {
        let one = portal(vec![operation(None, "{ x }")]);
        assert!(selected(&one, Some("")).is_ok());
        let none = Details::Operations(Vec::new());
        assert_eq!(selected(&one, Some("a")).unwrap_err(), (Reason::OperationNotFound, none));
    }

    #[test]
    fn several_operations_want_a_name() {
        let two = portal(vec![operation(Some("a"), "{ x }"), operation(Some("b"), "mutation b { y }")]);
        let names = Details::Operations(vec!["a".to_owned(), "b".to_owned()]);
        for name in [None, Some("")] {
            assert_eq!(selected(&two, name).unwrap_err(), (Reason::OperationNameRequired, names.clone()));
        }
        assert_eq!(selected(&two, Some("b")).unwrap(), "mutation b { y }");
        assert_eq!(selected(&two, Some("B")).unwrap_err(), (Reason::OperationNotFound, names));
    }

    #[test]
    fn the_opening_is_json_that_wants_only_its_variables() {
        let source = "query a { x(y: \"\u{1}\\n\") }";
        let mut text = opening(&operation(Some("a"), source).try_into().unwrap(), &[]);
        text.push_str("{}}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["query"], source);
        assert_eq!(value["operationName"], "a");
    }

    #[test]
    fn operations_that_share_a_large_fragment_do_not_each_keep_it() {
        let fragment = format!("fragment F on Q {{ {} }}", "x ".repeat(50_000));
        let operations: Vec<_> = (0..100)
            .map(|number| OperationClaim {
                fragments: vec![0],
                ..operation(Some(&format!("q{number}")), &format!("query q{number} {{ ...F }}"))
            })
            .collect();
        let portal =
            Portal::compile(DocumentClaim { operations, fragments: vec![fragment], types: Vec::new() })
                .unwrap();
        let kept: usize =
            portal.operations.iter().filter_map(|prepared| prepared.opening.as_ref()).map(|o| o.len()).sum();
        assert!(kept <= MAX_OPENINGS_BYTES, "{kept}");
        for name in ["q0", "q99"] {
            let sent = portal.prepare(Some(name), ExtraVariables::Reject, b"").unwrap().body;
            let value: serde_json::Value = serde_json::from_slice(&sent).unwrap();
            assert_eq!(value["operationName"], name);
            assert!(value["query"].as_str().unwrap().contains("fragment F on Q"));
        }
    }
}
