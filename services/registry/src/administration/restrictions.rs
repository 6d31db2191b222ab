//! What a token is to do less than its portal: read from messages, held against the portal's document, told again.

use super::problems::Problems;
use crate::record::{self, Document, Portal};
use model::{
    Fault, Restrictions,
    document::Operation,
    restriction::{Narrowing, Parts},
};
use proto::{
    grant::OperationClaim,
    registry::v1::{self, TokenRevision},
};

/// The most calls that a token can be good for where they are counted.
const MAX_USES: u32 = 1_000_000_000;

/// Restrictions as they were asked for; a pinned revision is known when the token is made.
pub(super) struct Wanted {
    restrictions: Restrictions,
    pin: bool,
}

impl Wanted {
    /// Reads what was asked for, or notes what is wrong with it.
    pub(super) fn read(problems: &mut Problems, asked: Option<v1::Restrictions>) -> Self {
        let asked = asked.unwrap_or_default();
        let pin = asked.revision() == TokenRevision::Pin;
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
        let parts = Parts { operations, variables, allowed_ip_addresses, max_uses, revision: None };
        let restrictions = match Restrictions::parse(parts) {
            Ok(restrictions) => restrictions,
            Err(error) => {
                problems.add(error.to_string());
                Restrictions::default()
            }
        };
        Self { restrictions, pin }
    }

    /// The restrictions of a token that is made for `portal` with its live `document`; nothing where there are none.
    pub(super) fn of(&self, portal: &Portal, document: Document) -> Result<Option<Restrictions>, Fault> {
        let claims = document.into_claim().operations;
        let operations: Result<Vec<Operation>, _> =
            claims.into_iter().map(OperationClaim::try_into).collect();
        let mut problems = Problems::default();
        for misfit in self.restrictions.misfits(&operations.map_err(Fault::internal)?) {
            problems.add(misfit);
        }
        problems.verdict()?;
        let restrictions = self.restrictions.clone();
        let restrictions =
            if self.pin { restrictions.pinned(portal.document_revision) } else { restrictions };
        Ok((!restrictions.is_none()).then_some(restrictions))
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
