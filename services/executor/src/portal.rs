//! A portal revision, compiled: its operations with the text that is sent for each. It calls nobody.

use bytes::Bytes;
use model::{
    Fault, Reason,
    document::{Operation, OperationKind},
    fault::Details,
    portal::ExtraVariables,
    variables::coerce,
};
use proto::grant::{DocumentClaim, UnreadableClaim};
use std::collections::HashMap;

/// A portal revision, ready to be called.
pub(crate) struct Portal {
    operations: Vec<Prepared>,
    by_name: HashMap<String, usize>,
}

/// An operation and the beginning of the request that runs it.
struct Prepared {
    operation: Operation,
    /// `{"query":"…","operationName":"…","variables":`
    opening: Box<[u8]>,
}

/// What is sent upstream.
pub(crate) struct Sendable {
    /// The request's body.
    pub(crate) body: Bytes,
    /// Whether it may be sent twice.
    pub(crate) kind: OperationKind,
    /// The variables that were left out.
    pub(crate) ignored: Vec<String>,
}

impl Portal {
    /// Compiles a document as the grant carries it.
    pub(crate) fn compile(document: DocumentClaim) -> Result<Self, UnreadableClaim> {
        let mut operations = Vec::with_capacity(document.operations.len());
        for claim in document.operations {
            operations.push(Prepared::new(claim.try_into()?, &document.fragments));
        }
        let by_name = operations
            .iter()
            .enumerate()
            .filter_map(|(index, prepared)| Some((prepared.operation.name.clone()?, index)))
            .collect();
        Ok(Self { operations, by_name })
    }

    /// Picks the operation and coerces the variables.
    ///
    /// # Errors
    ///
    /// `BadRequest`, `OperationNameRequired`, `OperationNotFound`, `VariablesInvalid`; the first that applies in
    /// this order.
    pub(crate) fn prepare(
        &self,
        name: Option<&str>,
        extra: ExtraVariables,
        variables: &[u8],
    ) -> Result<Sendable, Fault> {
        let prepared = self.select(name).map_err(|fault| unreadable(variables).unwrap_or(fault))?;
        let coerced = coerce(&prepared.operation, extra, variables)?;
        let mut body = Vec::with_capacity(prepared.opening.len() + coerced.json.len() + 1);
        body.extend_from_slice(&prepared.opening);
        body.extend_from_slice(&coerced.json);
        body.push(b'}');
        Ok(Sendable { body: body.into(), kind: prepared.operation.kind, ignored: coerced.ignored })
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

impl Prepared {
    fn new(operation: Operation, fragments: &[String]) -> Self {
        let mut opening = String::from(r#"{"query":"#);
        opening.push_str(&json_text(&operation.text(fragments)));
        opening.push_str(r#","operationName":"#);
        opening.push_str(&operation.name.as_deref().map_or_else(|| "null".to_owned(), json_text));
        opening.push_str(r#","variables":"#);
        Self { operation, opening: opening.into_bytes().into() }
    }
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
    coerce(&any, ExtraVariables::Ignore, variables).err().filter(|fault| fault.reason() == Reason::BadRequest)
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
        Portal::compile(DocumentClaim { operations, fragments: Vec::new() }).unwrap()
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
        let mut text =
            Prepared::new(operation(Some("a"), "query a { x(y: \"\u{1}\\n\") }").try_into().unwrap(), &[])
                .opening
                .into_vec();
        text.extend_from_slice(b"{}}");
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["query"], "query a { x(y: \"\u{1}\\n\") }");
        assert_eq!(value["operationName"], "a");
    }
}
