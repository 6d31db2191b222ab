//! Restrictions laid upon restrictions: what is asked for holds, and what was held before holds still.

use super::{Narrowing, Restrictions, schema, text};
use crate::document::Operation;
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

/// What was asked for is not within what there was.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Widening {
    /// Operations that it could not run before.
    #[error("operations must be among those that can be run already, `{0}` is not")]
    Operation(String),
    /// A variable that is fixed already, to another value.
    #[error("variables.{0} is fixed already")]
    Fixed(String),
    /// A value that was not allowed before.
    #[error("variables.{0}.fixed is not a value that can be sent already")]
    Value(String),
    /// No address is in the old ranges and the new.
    #[error("allowed_ip_addresses has no address that is allowed already")]
    Addresses,
    /// More uses than there were.
    #[error("max_uses must be at most {0}")]
    MaxUses(NonZeroU32),
    /// Another revision.
    #[error("revision is {0} already")]
    Revision(u64),
    /// Together they are not what restrictions can be.
    #[error("{0}")]
    Invalid(String),
}

impl Restrictions {
    /// What is left of these after `child` has been laid upon them: both hold.
    ///
    /// What `child` says nothing of stays as it is. Uses are counted by whoever grants them: that a child has fewer
    /// does not give its parent more. `document` has the operations of the document that it is made for.
    ///
    /// # Errors
    ///
    /// The first thing that `child` would allow and these do not.
    pub fn narrowed_by(&self, child: &Self, document: &[Operation]) -> Result<Self, Widening> {
        let operations = narrowed_operations(self.operations.as_ref(), child.operations.as_ref())?;
        let narrowed = Self {
            variables: self.narrowed_variables(child)?,
            declared_by: self.narrowed_declared_by(child, operations.as_ref(), document),
            operations,
            addresses: self.addresses.narrowed_by(&child.addresses).ok_or(Widening::Addresses)?,
            max_uses: match (self.max_uses, child.max_uses) {
                (Some(most), Some(wanted)) if wanted > most => return Err(Widening::MaxUses(most)),
                (most, wanted) => wanted.or(most),
            },
            revision: match (self.revision, child.revision) {
                (Some(pinned), Some(wanted)) if wanted != pinned => return Err(Widening::Revision(pinned)),
                (pinned, wanted) => pinned.or(wanted),
            },
        };
        Self::parse(narrowed.parts()).map_err(|invalid| Widening::Invalid(invalid.to_string()))
    }

    /// Who declares what is held and `child` says nothing of, where none of the operations does that are left: one that
    /// could be run before, now or after the next change of the document.
    ///
    /// Without it, a token that may run fewer operations could run none: a variable that nobody declares is taken for
    /// one that was renamed.
    fn narrowed_declared_by(
        &self,
        child: &Self,
        left: Option<&BTreeSet<String>>,
        document: &[Operation],
    ) -> BTreeMap<String, BTreeSet<String>> {
        let is_left = |operation: &Operation| {
            left.is_none_or(|names| operation.name.as_ref().is_some_and(|name| names.contains(name)))
        };
        let declared = |name: &str| {
            let mut variables = document.iter().filter(|one| is_left(one)).flat_map(|one| &one.variables);
            variables.any(|variable| variable.name == name)
        };
        let unsaid = self.variables.keys().filter(|name| !child.variables.contains_key(*name));
        let by = |name: &String| match self.declared_by.get(name) {
            Some(operations) => Some((name.clone(), operations.clone())),
            None if declared(name) => None,
            None => Some((name.clone(), self.operations.clone().unwrap_or_default())),
        };
        unsaid.filter_map(by).collect()
    }

    fn narrowed_variables(&self, child: &Self) -> Result<BTreeMap<String, Narrowing>, Widening> {
        let mut variables = self.variables.clone();
        for (name, wanted) in &child.variables {
            let rule = match variables.get(name) {
                Some(held) => held.narrowed_by(name, wanted)?,
                None => wanted.clone(),
            };
            variables.insert(name.clone(), rule);
        }
        Ok(variables)
    }
}

impl Narrowing {
    /// Lays `wanted` upon it: both hold.
    fn narrowed_by(&self, name: &str, wanted: &Self) -> Result<Self, Widening> {
        let fixed = match (self.fixed(), wanted.fixed()) {
            (Some(fixed), Some(value)) if text::same(fixed, value) => Some(fixed),
            (Some(_), _) => return Err(Widening::Fixed(name.to_owned())),
            (None, Some(value)) if !schema::allow(self.schemas(), value) => {
                return Err(Widening::Value(name.to_owned()));
            }
            (None, value) => value,
        };
        let added = wanted.schemas().iter().filter(|schema| !self.schemas().contains(schema));
        let schemas = self.schemas().iter().chain(added).cloned().collect();
        Ok(Self::new(fixed.map(str::to_owned), schemas))
    }
}

fn narrowed_operations(
    parent: Option<&BTreeSet<String>>,
    child: Option<&BTreeSet<String>>,
) -> Result<Option<BTreeSet<String>>, Widening> {
    let (Some(allowed), Some(wanted)) = (parent, child) else { return Ok(parent.or(child).cloned()) };
    match wanted.difference(allowed).next() {
        Some(name) => Err(Widening::Operation(name.clone())),
        None => Ok(Some(wanted.clone())),
    }
}
