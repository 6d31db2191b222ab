//! Whether restrictions fit the operations that they are laid upon, when a token is made.

use super::Restrictions;
use crate::{
    document::{Operation, Variable},
    input::InputTypes,
    portal::ExtraVariables,
    variables::{coerce, short},
};

/// How many names of operations a message tells.
const MAX_TOLD: usize = 10;

impl Restrictions {
    /// Says what of these does not fit a document with `operations`: names that are not there, and fixed values that
    /// are not of their variable's type, as far as `types` tell. In words that begin with the property; nothing where all fits.
    pub fn misfits(&self, operations: &[Operation], types: &InputTypes) -> Vec<String> {
        let mut misfits = Vec::new();
        let there =
            |wanted: &str| operations.iter().any(|operation| operation.name.as_deref() == Some(wanted));
        for name in self.operations.iter().flatten().filter(|name| !there(name)) {
            // Which there are is told once.
            let has = if misfits.is_empty() { format!(", {}", names(operations)) } else { String::new() };
            misfits.push(format!("operations: the portal has no operation `{}`{has}", short(name)));
        }
        if !misfits.is_empty() {
            return misfits;
        }
        let allowed =
            || operations.iter().filter(|operation| self.allow_operation(operation.name.as_deref()));
        for (name, narrowing) in &self.variables {
            let declared: Vec<&Variable> = allowed()
                .flat_map(|operation| &operation.variables)
                .filter(|variable| variable.name == *name)
                .collect();
            if declared.is_empty() {
                misfits.push(format!("variables.{name} is declared by no operation that the token may run"));
            }
            if let Some(value) = narrowing.fixed() {
                let problem = declared.iter().find_map(|variable| misfit(variable, types, value));
                misfits.extend(problem.map(|problem| format!("variables.{name}.fixed: {problem}")));
            }
        }
        misfits
    }
}

/// Why a variable cannot have a value.
fn misfit(variable: &Variable, types: &InputTypes, value: &str) -> Option<String> {
    let alone = Operation {
        name: None,
        kind: crate::document::OperationKind::Query,
        source: String::new(),
        fragments: Vec::new(),
        variables: vec![variable.clone()],
    };
    let body = format!("{{\"{}\":{value}}}", variable.name);
    let coerced = coerce(&alone, types, ExtraVariables::Reject, body.as_bytes());
    coerced.err().map(|fault| fault.message().to_owned())
}

fn names(operations: &[Operation]) -> String {
    let mut named = operations.iter().filter_map(|operation| operation.name.as_deref());
    let mut told: Vec<String> =
        named.by_ref().take(MAX_TOLD).map(|name| format!("`{}`", short(name))).collect();
    let more = named.count();
    if more > 0 {
        told.push(format!("{more} more"));
    }
    match told.is_empty() {
        true => "its operation has no name".to_owned(),
        false => format!("it has {}", told.join(", ")),
    }
}
