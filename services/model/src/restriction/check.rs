//! Restrictions ready to be kept to by calls: what is fixed is put in, what is checked is checked as it is sent.

use super::{InvalidRestrictions, Restrictions, Rule, schema, value};
use crate::{
    Fault, Reason,
    document::{Operation, Variable},
    fault::Details,
    input::InputTypes,
    json::{self, Entry},
    portal::ExtraVariables,
    variables::{Coerced, coerce},
};
use std::collections::{BTreeMap, BTreeSet};

/// The most bytes of values that one call can have checked; with the limits of schemas, what a call can cost.
const MAX_CHECKED_BYTES: usize = 16 << 10;

/// What a call must keep to, compiled.
#[derive(Debug)]
pub struct Checks {
    operations: Option<BTreeSet<String>>,
    declared_by: BTreeMap<String, BTreeSet<String>>,
    fixed: Vec<(String, String)>,
    checked: Vec<(String, Vec<schema::Schema>)>,
}

impl Restrictions {
    /// Compiles what of these a call's operation and variables show.
    ///
    /// # Errors
    ///
    /// `InvalidRestrictions` for a schema that a later version let pass and this one does not.
    pub fn compile(&self) -> Result<Checks, InvalidRestrictions> {
        let (mut fixed, mut checked, mut patterns) = (Vec::new(), Vec::new(), schema::MAX_PATTERNS);
        for (name, narrowing) in &self.variables {
            if let Some(value) = narrowing.fixed() {
                fixed.push((name.clone(), value.to_owned()));
            }
            let read = |text: &String| schema::Schema::parse(text, &mut patterns);
            let schemas = narrowing.schemas().iter().map(read).collect::<Result<Vec<_>, _>>();
            let schemas =
                schemas.map_err(|problem| InvalidRestrictions::Schema { name: name.clone(), problem })?;
            if narrowing.fixed().is_none() || !schemas.is_empty() {
                checked.push((name.clone(), schemas));
            }
        }
        let (operations, declared_by) = (self.operations.clone(), self.declared_by.clone());
        Ok(Checks { operations, declared_by, fixed, checked })
    }
}

impl Checks {
    /// The operations that may be run; nothing for all.
    pub fn operations(&self) -> Option<&BTreeSet<String>> {
        self.operations.as_ref()
    }

    /// Whether an operation may be the one that declares a variable which is fixed or checked.
    ///
    /// Most are to be declared by an operation that may be run.
    pub fn may_declare(&self, operation: Option<&str>, variable: &str) -> bool {
        let among = |names: &BTreeSet<String>| operation.is_some_and(|name| names.contains(name));
        match self.declared_by.get(variable) {
            Some(names) => names.is_empty() || among(names),
            None => self.operations.as_ref().is_none_or(among),
        }
    }

    /// The variables that are fixed or checked.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let (fixed, checked) = (self.fixed.iter(), self.checked.iter());
        fixed.map(|(name, _)| name.as_str()).chain(checked.map(|(name, _)| name.as_str()))
    }

    /// Coerces variables as [`coerce`] does, with what is fixed put in, and passes what these let pass.
    ///
    /// What is checked is what is sent: after coercion, defaults that the document plainly tells included. A checked
    /// variable that would not be sent, or as null, passes only where its schema names null; one whose default only the
    /// upstream can tell must be sent. What the operation does not declare or never uses is not sent, and passes.
    ///
    /// # Errors
    ///
    /// Those of [`coerce`]; `TokenRestricted` by `variables`, or by `revision` where a value that was fixed for another
    /// document is not what this one declares.
    pub fn coerce(
        &self,
        operation: &Operation,
        types: &InputTypes,
        extra: ExtraVariables,
        body: &[u8],
    ) -> Result<Coerced, Fault> {
        let Ok(sent) = (if body.is_empty() { Ok(Vec::new()) } else { json::object(body) }) else {
            return coerce(operation, types, extra, body);
        };
        let is_sent = |(name, _): &&(String, String)| sent.iter().any(|entry| entry.key == *name);
        if let Some((name, _)) = self.fixed.iter().find(is_sent) {
            let message = format!("variable `${name}` is fixed by the token: leave it out");
            return Err(Fault::restricted_variable(Rule::Variables, name, message));
        }
        let with_fixed = self.with_fixed(operation, body, sent.is_empty());
        let coerced =
            coerce(operation, types, extra, &with_fixed).map_err(|fault| self.without_fixed(fault))?;
        if self.checked.is_empty() {
            return Ok(coerced);
        }
        let entries = json::object(&coerced.json).map_err(Fault::internal)?;
        self.check(operation, &entries)?;
        Ok(coerced)
    }

    /// The body with the fixed values of what the operation declares at its beginning.
    fn with_fixed(&self, operation: &Operation, body: &[u8], is_empty: bool) -> Vec<u8> {
        let declares = |name: &String| operation.variables.iter().any(|variable| variable.name == *name);
        let mut joined = vec![b'{'];
        for (name, value) in self.fixed.iter().filter(|(name, _)| declares(name)) {
            if joined.len() > 1 {
                joined.push(b',');
            }
            joined.extend_from_slice(format!("\"{name}\":{value}").as_bytes());
        }
        if joined.len() > 1 && !is_empty {
            joined.push(b',');
        }
        // Nothing but space stands before the bracket of an object.
        let rest = body.trim_ascii_start().get(1..).unwrap_or(b"}");
        joined.extend_from_slice(rest);
        joined
    }

    /// The fault in words that tell nothing of a fixed value.
    fn without_fixed(&self, fault: Fault) -> Fault {
        let (Reason::VariablesInvalid, Details::Variables(bad)) = (fault.reason(), fault.details()) else {
            return fault;
        };
        let name =
            bad.iter().map(|bad| &bad.variable).find(|bad| self.fixed.iter().any(|(name, _)| name == *bad));
        let Some(name) = name else { return fault };
        let message =
            format!("the token has a value for `${name}` that the portal's document no longer takes");
        Fault::restricted_variable(Rule::Revision, name, message)
    }

    fn check(&self, operation: &Operation, entries: &[Entry<'_>]) -> Result<(), Fault> {
        let mut left = MAX_CHECKED_BYTES;
        for (name, schemas) in &self.checked {
            let used = |variable: &&Variable| variable.name == *name && variable.used;
            let Some(variable) = operation.variables.iter().find(used) else { continue };
            let sent = entries.iter().find(|entry| entry.key == *name).map(|entry| entry.value);
            let passed = match sent {
                None if variable.default.is_some() => {
                    Err("it must be sent, for its default cannot be checked".into())
                }
                sent => check_value(schemas, sent, &mut left),
            };
            passed.map_err(|problem: String| {
                let message = format!("variable `${name}` is not what the token allows: {problem}");
                Fault::restricted_variable(Rule::Variables, name, message)
            })?;
        }
        Ok(())
    }
}

/// Passes a value that is valid against each schema; nothing counts as null.
fn check_value(schemas: &[schema::Schema], sent: Option<&[u8]>, left: &mut usize) -> Result<(), String> {
    let text = sent.unwrap_or(b"null");
    let rest = left.checked_sub(text.len());
    *left = rest.ok_or_else(|| format!("at most {MAX_CHECKED_BYTES} bytes of values can be checked"))?;
    let value = value::read(text).map_err(|unclear| format!("it {unclear}"))?;
    if value.is_null() && !schemas.iter().all(|schema| schema.nullable) {
        return Err("it must be sent, and not as null".to_owned());
    }
    schemas.iter().try_for_each(|schema| schema.check(&value))
}
