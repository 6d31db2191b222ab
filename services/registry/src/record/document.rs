//! A document as it lies in the store: as it was sent, and taken apart.

use super::Moment;
use model::document::{self, OperationKind, Type};
use proto::grant::{DocumentClaim, OperationClaim, VariableClaim};
use serde::{Deserialize, Serialize};

/// A saved document; it never changes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Document {
    /// Exactly as it was sent.
    pub(crate) source: String,
    pub(crate) operations: Vec<Operation>,
    pub(crate) fragments: Vec<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) saved_at_ms: Moment,
}

/// An operation, ready to be sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Operation {
    pub(crate) name: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) source: String,
    pub(crate) fragments: Vec<u32>,
    pub(crate) variables: Vec<Variable>,
}

/// Whether an operation writes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Query,
    Mutation,
}

/// A declared variable.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) r#type: String,
    pub(crate) default: Option<String>,
    /// Whether a caller must send it.
    pub(crate) required: bool,
    pub(crate) used: bool,
}

impl Document {
    /// What is kept of `document`, which was read from `source`.
    pub(crate) fn new(source: String, document: document::Document, saved_at: Moment) -> Self {
        let warning = |warning: &document::Problem| {
            format!("line {}, column {}: {}", warning.line, warning.column, warning.message)
        };
        Self {
            source,
            operations: document.operations.into_iter().map(Operation::from).collect(),
            fragments: document.fragments,
            warnings: document.warnings.iter().map(warning).collect(),
            saved_at_ms: saved_at,
        }
    }

    /// What of it stands in a grant.
    pub(crate) fn into_claim(self) -> DocumentClaim {
        DocumentClaim {
            operations: self.operations.into_iter().map(OperationClaim::from).collect(),
            fragments: self.fragments,
            types: Vec::new(),
        }
    }
}

impl From<document::Operation> for Operation {
    fn from(operation: document::Operation) -> Self {
        Self {
            name: operation.name,
            kind: match operation.kind {
                OperationKind::Query => Kind::Query,
                OperationKind::Mutation => Kind::Mutation,
            },
            source: operation.source,
            fragments: operation.fragments,
            variables: operation.variables.into_iter().map(Variable::from).collect(),
        }
    }
}

impl From<document::Variable> for Variable {
    fn from(variable: document::Variable) -> Self {
        Self {
            required: matches!(variable.r#type, Type::NonNull(_)) && variable.default.is_none(),
            name: variable.name,
            r#type: variable.r#type.to_string(),
            default: variable.default,
            used: variable.used,
        }
    }
}

impl From<Operation> for OperationClaim {
    fn from(operation: Operation) -> Self {
        Self {
            name: operation.name,
            mutation: operation.kind == Kind::Mutation,
            source: operation.source,
            fragments: operation.fragments,
            variables: operation.variables.into_iter().map(VariableClaim::from).collect(),
        }
    }
}

impl From<Variable> for VariableClaim {
    fn from(Variable { name, r#type, default, used, .. }: Variable) -> Self {
        Self { name, r#type, default, used }
    }
}
