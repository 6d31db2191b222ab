//! A caller's variables, coerced as the operation declares them.

use crate::{Fault, Reason, document::Operation, portal::ExtraVariables};

/// Variables that can be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Coerced {
    /// A JSON object of the variables.
    pub json: Vec<u8>,
    /// The names that were left out because nobody declared them.
    pub ignored: Vec<String>,
}

/// Coerces the JSON object in `body` to what `operation` declares.
///
/// # Errors
///
/// `BadRequest`, `VariablesInvalid`.
pub fn coerce(_operation: &Operation, _extra: ExtraVariables, _body: &[u8]) -> Result<Coerced, Fault> {
    Err(Fault::new(Reason::VariablesInvalid, ""))
}
