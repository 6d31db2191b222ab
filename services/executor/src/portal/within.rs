//! A call of a token that may do less than the portal.

use super::{Portal, Prepared, Sendable, unreadable};
use model::{
    Fault, Reason,
    fault::Details,
    portal::ExtraVariables,
    restriction::{Checks, Rule},
};
use std::collections::BTreeSet;

/// How many names of operations a message tells.
const MAX_TOLD: usize = 10;

impl Portal {
    /// Picks the operation and coerces the variables, within what `checks` let pass.
    ///
    /// # Errors
    ///
    /// Those of [`Portal::prepare`], and `TokenRestricted`.
    pub fn prepare_within(
        &self,
        checks: &Checks,
        name: Option<&str>,
        extra: ExtraVariables,
        variables: &[u8],
    ) -> Result<Sendable, Fault> {
        let name = name.filter(|name| !name.is_empty());
        let selected = match checks.operations() {
            None => self.select(name),
            Some(allowed) => self.select_among(allowed, name),
        };
        let prepared = selected.map_err(|fault| unreadable(variables).unwrap_or(fault))?;
        self.declares_what(checks, prepared)?;
        let coerced = checks.coerce(&prepared.operation, &self.types, extra, variables)?;
        Ok(self.sendable(prepared, coerced))
    }

    /// Picks an operation; where one alone may be run, it need not be named.
    ///
    /// A name that the token may not run is refused the same way whether or not the portal has it.
    fn select_among(&self, allowed: &BTreeSet<String>, name: Option<&str>) -> Result<&Prepared, Fault> {
        let left = || self.operations.iter().filter(|prepared| is_among(allowed, prepared));
        let names = || Details::Operations(left().filter_map(|left| left.operation.name.clone()).collect());
        match name {
            Some(name) if !allowed.contains(name) => Err(not_allowed(allowed)),
            Some(name) => left().find(|left| left.operation.name.as_deref() == Some(name)).ok_or_else(|| {
                let message = "the portal has no operation of that name any more";
                Fault::new(Reason::OperationNotFound, message).with(names())
            }),
            None => match (left().next(), left().nth(1)) {
                (Some(only), None) => Ok(only),
                (Some(_), Some(_)) => {
                    let message =
                        "the token may run several operations: `operation_name` must name one of them";
                    Err(Fault::new(Reason::OperationNameRequired, message).with(names()))
                }
                (None, _) => Err(not_allowed(allowed)),
            },
        }
    }

    /// Passes where each variable that is fixed or checked is one of this operation, or of another that may be run.
    ///
    /// A document that was published since may have renamed it, and what was to be held would run free.
    fn declares_what(&self, checks: &Checks, prepared: &Prepared) -> Result<(), Fault> {
        let declares = |prepared: &Prepared, name: &str| {
            prepared.operation.variables.iter().any(|variable| variable.name == name)
        };
        for name in checks.variables() {
            let may_declare = |other: &&Prepared| checks.may_declare(other.operation.name.as_deref(), name);
            let declared = declares(prepared, name)
                || self.operations.iter().filter(may_declare).any(|other| declares(other, name));
            if !declared {
                let message = format!(
                    "the token was made for a document that declares `${name}`, and this one does not"
                );
                return Err(Fault::restricted_variable(Rule::Revision, name, message));
            }
        }
        Ok(())
    }
}

fn is_among(allowed: &BTreeSet<String>, prepared: &Prepared) -> bool {
    prepared.operation.name.as_ref().is_some_and(|name| allowed.contains(name))
}

fn not_allowed(allowed: &BTreeSet<String>) -> Fault {
    let mut names: Vec<String> = allowed.iter().take(MAX_TOLD).map(|name| format!("`{name}`")).collect();
    if allowed.len() > MAX_TOLD {
        names.push(format!("{} more", allowed.len() - MAX_TOLD));
    }
    Fault::restricted(
        Rule::Operations,
        format!("the token may run these operations alone: {}", names.join(", ")),
    )
}
