//! What a token, or what is exchanged for one, is to do less than its portal: read from messages, held against the portal's document, told again.

use super::problems::Problems;
use crate::record::{self, Portal};
use model::{
    Fault, Reason, Restrictions,
    document::Operation,
    input::{InputType, InputTypes},
    restriction::{Narrowing, Parts, Widening},
};
use proto::{
    grant::{DocumentClaim, OperationClaim},
    registry::v1::{self, TokenRevision},
};
use serde_json::{Value, json};

/// The most calls that a token can be good for where they are counted.
const MAX_USES: u32 = 1_000_000_000;

/// The most bytes of what tokens inherit: each of thousands carries it.
const MAX_INHERITED_BYTES: usize = 8 << 10;
/// The most bytes of what an exchange asks for.
pub(crate) const MAX_ASKED_BYTES: usize = 4 << 10;

/// Restrictions as they were asked for; a pinned revision is known when the token is made.
pub(crate) struct Wanted {
    restrictions: Restrictions,
    revision: TokenRevision,
}

impl Wanted {
    /// Reads what was asked for, or notes what is wrong with it.
    pub(crate) fn read(problems: &mut Problems, asked: Option<v1::Restrictions>) -> Self {
        let asked = asked.unwrap_or_default();
        let revision = asked.revision();
        let operations = Some(asked.operations).filter(|names| !names.is_empty());
        let mut variables = Vec::with_capacity(asked.variables.len());
        for v1::VariableRestriction { name, fixed_json, schemas_json } in asked.variables {
            match (fixed_json, schemas_json.as_slice()) {
                (Some(fixed), []) => variables.push((name, Narrowing::Fixed(fixed))),
                (None, [_, ..]) => variables.push((name, Narrowing::Checked(schemas_json))),
                (Some(_), [_, ..]) | (None, []) => {
                    problems.add("variables must have a fixed value or a schema each, and not both");
                }
            }
        }
        let v1::Restrictions { allowed_ip_addresses, max_uses, .. } = asked;
        if max_uses.is_some_and(|most| most > MAX_USES) {
            problems.add(format!("max_uses must be at most {MAX_USES}"));
        }
        let parts = Parts { operations, variables, allowed_ip_addresses, max_uses, ..Parts::default() };
        let restrictions = match Restrictions::parse(parts) {
            Ok(restrictions) => restrictions,
            Err(error) => {
                problems.add(error.to_string());
                Restrictions::default()
            }
        };
        Self { restrictions, revision }
    }

    /// Whether nothing was asked for.
    pub(crate) fn is_none(&self) -> bool {
        self.restrictions.is_none() && self.revision == TokenRevision::Unspecified
    }

    /// The same for what is exchanged for tokens, as often as its holder likes: of that, no uses are counted.
    pub(super) fn read_of_tokens(problems: &mut Problems, asked: Option<v1::Restrictions>) -> Self {
        if asked.as_ref().is_some_and(|asked| asked.max_uses.is_some()) {
            problems.add(
                "max_uses must be asked for with each exchange: nothing bounds how many tokens are made",
            );
        }
        Self::read_within(problems, asked, MAX_INHERITED_BYTES)
    }

    /// The same for what must have at most so many bytes.
    pub(crate) fn read_within(problems: &mut Problems, asked: Option<v1::Restrictions>, most: usize) -> Self {
        let bytes = asked.as_ref().map_or(0, bytes);
        if bytes > most {
            problems.add(format!(
                "operations, variables and allowed_ip_addresses must have at most {most} bytes together here, they have {bytes}"
            ));
            return Self::read(problems, None);
        }
        Self::read(problems, asked)
    }

    /// The restrictions of what is made for `portal` with its live `document`; nothing where there are none.
    ///
    /// # Errors
    ///
    /// VALIDATION_FAILED where they do not fit the document.
    pub(super) fn of(
        &self,
        portal: &Portal,
        document: DocumentClaim,
    ) -> Result<Option<record::Restrictions>, Fault> {
        let (operations, types) = read_document(document)?;
        let mut problems = Problems::default();
        for misfit in self.restrictions.misfits(&operations, &types) {
            problems.add(misfit);
        }
        problems.verdict()?;
        Ok(self.written(self.restrictions.clone(), portal))
    }

    /// The restrictions of a token of `portal` that is made for whoever holds what is restricted by `held`: these and
    /// what was asked for; nothing where there are none.
    ///
    /// `document` is the one that the token may run, or that is live.
    ///
    /// # Errors
    ///
    /// BAD_REQUEST where more is asked for than is held, or what does not fit the document.
    pub(crate) fn within(
        &self,
        held: &Restrictions,
        portal: &Portal,
        document: DocumentClaim,
    ) -> Result<Option<record::Restrictions>, Fault> {
        let bad = |problem: String| Fault::new(Reason::BadRequest, problem);
        if let (Some(pinned), TokenRevision::Follow) = (held.revision(), self.revision) {
            return Err(bad(Widening::Revision(pinned).to_string()));
        }
        let runs = |operation: &Operation| held.allow_operation(operation.name.as_deref());
        let (operations, types) = read_document(document)?;
        let operations: Vec<_> = operations.into_iter().filter(runs).collect();
        let narrowed = held.narrowed_by(&self.restrictions, &operations);
        let narrowed = narrowed.map_err(|widening| bad(widening.to_string()))?;
        let mut problems = Problems::default();
        for misfit in self.restrictions.misfits(&operations, &types) {
            problems.add(misfit);
        }
        problems.told().map_or(Ok(()), |told| Err(bad(told)))?;
        Ok(self.written(narrowed, portal))
    }

    fn written(&self, restrictions: Restrictions, portal: &Portal) -> Option<record::Restrictions> {
        let restrictions = match self.revision {
            TokenRevision::Pin => restrictions.pinned(portal.document_revision),
            TokenRevision::Follow | TokenRevision::Unspecified => restrictions,
        };
        (!restrictions.is_none()).then(|| record::Restrictions::from(&restrictions))
    }
}

/// How long all names, values, schemas and addresses are together.
fn bytes(asked: &v1::Restrictions) -> usize {
    let v1::Restrictions { operations, variables, allowed_ip_addresses, .. } = asked;
    let texts = variables.iter().flat_map(|variable| {
        let v1::VariableRestriction { name, fixed_json, schemas_json } = variable;
        schemas_json.iter().chain(fixed_json).chain([name])
    });
    texts.chain(operations).chain(allowed_ip_addresses).map(String::len).sum()
}

/// The operations of a document that was read from the store.
fn read_document(document: DocumentClaim) -> Result<(Vec<Operation>, InputTypes), Fault> {
    let DocumentClaim { operations, types, .. } = document;
    let operations = operations.into_iter().map(OperationClaim::try_into).collect::<Result<_, _>>();
    let types = types.into_iter().map(<(String, InputType)>::try_from).collect::<Result<_, _>>();
    Ok((operations.map_err(Fault::internal)?, types.map_err(Fault::internal)?))
}

/// Puts restrictions among what the audit keeps, where there are any.
pub(crate) fn audit(data: &mut Value, restrictions: Option<&record::Restrictions>) {
    if let (Some(restrictions), Some(data)) = (restrictions, data.as_object_mut()) {
        data.insert("restrictions".to_owned(), json!(restrictions));
    }
}

/// Restrictions as a message.
pub(super) fn told(restrictions: record::Restrictions) -> v1::Restrictions {
    let variable = |variable: record::RestrictedVariable| v1::VariableRestriction {
        name: variable.name,
        fixed_json: variable.fixed,
        schemas_json: variable.schemas,
    };
    let pinned_revision = restrictions.document_revision;
    let revision = if pinned_revision.is_some() { TokenRevision::Pin } else { TokenRevision::Follow };
    v1::Restrictions {
        operations: restrictions.operations.unwrap_or_default(),
        variables: restrictions.variables.into_iter().map(variable).collect(),
        allowed_ip_addresses: restrictions.allowed_ip_addresses,
        revision: revision.into(),
        pinned_revision,
        max_uses: restrictions.max_uses,
    }
}
