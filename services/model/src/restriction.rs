//! What a token may do less than its portal, and what of a call shows whether it keeps to that.
//!
//! Restrictions are only ever added to: what is narrowed again is within what it was before. Who counts uses, and who
//! knows the caller's address and the portal's revisions, is not known here.

mod check;
mod fit;
mod schema;
mod text;
mod value;

pub use check::Checks;

use crate::{AllowedAddresses, address::InvalidAddresses};
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

/// The most operations that are named.
pub const MAX_OPERATIONS: usize = 100;
/// The most variables that are fixed or checked.
pub const MAX_VARIABLES: usize = 50;
/// The most bytes of one fixed value or one schema.
pub const MAX_VALUE_BYTES: usize = 4 << 10;
/// The most bytes of names, fixed values and schemas together.
pub const MAX_BYTES: usize = 16 << 10;
/// The most characters of an operation's or a variable's name.
const MAX_NAME_CHARS: usize = 255;

/// What a token may not do, though its portal would.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Restrictions {
    operations: Option<BTreeSet<String>>,
    variables: BTreeMap<String, Narrowing>,
    addresses: AllowedAddresses,
    max_uses: Option<NonZeroU32>,
    revision: Option<u64>,
}

/// What becomes of one variable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Narrowing {
    /// It has this value, a JSON text, and callers can neither send nor override it.
    Fixed(String),
    /// Callers send it, and its value must be valid against each of these JSON Schemas.
    Checked(Vec<String>),
}

/// A rule that a call can break.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// Which operations may be run.
    Operations,
    /// What may be sent for variables.
    Variables,
    /// From where it may be called.
    AllowedIpAddresses,
    /// How often.
    MaxUses,
    /// Which revisions of the document may be run.
    Revision,
}

/// Restrictions as they are written down, before anybody has looked at them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Parts {
    /// The operations that may be run; nothing for all.
    pub operations: Option<Vec<String>>,
    /// The variables that are fixed or checked.
    pub variables: Vec<(String, Narrowing)>,
    /// Addresses and ranges from which it may be called; nothing for all.
    pub allowed_ip_addresses: Option<String>,
    /// How often it may be called; nothing for as often as one likes.
    pub max_uses: Option<u32>,
    /// The one revision of the document that may be run; nothing for whichever is live.
    pub revision: Option<u64>,
}

/// What is wrong with restrictions, in words that begin with the property.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRestrictions {
    /// None is named, or too many, or one twice.
    #[error("operations must name 1 to {MAX_OPERATIONS} operations, each once")]
    Operations,
    /// A name that nothing can have.
    #[error("{0} must have names of GraphQL, of at most {MAX_NAME_CHARS} characters")]
    Name(&'static str),
    /// Too many, or one twice.
    #[error("variables must be at most {MAX_VARIABLES}, each once")]
    Variables,
    /// A value that cannot be fixed.
    #[error("variables.{name}.fixed {problem}")]
    Fixed {
        /// The variable.
        name: String,
        /// What was expected.
        problem: String,
    },
    /// A schema that cannot be checked against.
    #[error("variables.{name}.schema {problem}")]
    Schema {
        /// The variable.
        name: String,
        /// What was expected.
        problem: String,
    },
    /// No list of addresses.
    #[error("allowed_ip_addresses: {0}")]
    Addresses(#[source] InvalidAddresses),
    /// None at all.
    #[error("max_uses must be a whole number of at least 1")]
    MaxUses,
    /// All of it together.
    #[error("operations and variables must have at most {MAX_BYTES} bytes together, they have {0}")]
    Bytes(usize),
}

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

impl Rule {
    /// Every rule there is.
    pub const ALL: [Self; 5] =
        [Self::Operations, Self::Variables, Self::AllowedIpAddresses, Self::MaxUses, Self::Revision];

    /// Its name, which is that of the property that it was set by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operations => "operations",
            Self::Variables => "variables",
            Self::AllowedIpAddresses => "allowed_ip_addresses",
            Self::MaxUses => "max_uses",
            Self::Revision => "revision",
        }
    }

    /// The rule of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }
}

impl Restrictions {
    /// Reads restrictions as somebody wrote them.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn parse(parts: Parts) -> Result<Self, InvalidRestrictions> {
        let addresses = parts.allowed_ip_addresses.as_deref().unwrap_or_default();
        let restrictions = Self {
            operations: parts.operations.map(operations).transpose()?,
            variables: variables(parts.variables)?,
            addresses: AllowedAddresses::parse(addresses).map_err(InvalidRestrictions::Addresses)?,
            max_uses: match parts.max_uses {
                Some(most) => Some(NonZeroU32::new(most).ok_or(InvalidRestrictions::MaxUses)?),
                None => None,
            },
            revision: parts.revision,
        };
        match restrictions.bytes() {
            bytes if bytes > MAX_BYTES => Err(InvalidRestrictions::Bytes(bytes)),
            _ => Ok(restrictions),
        }
    }

    /// The restrictions as they are written down.
    pub fn parts(&self) -> Parts {
        Parts {
            operations: self.operations.as_ref().map(|names| names.iter().cloned().collect()),
            variables: self.variables.iter().map(|(name, rule)| (name.clone(), rule.clone())).collect(),
            allowed_ip_addresses: self.addresses.as_text().map(str::to_owned),
            max_uses: self.max_uses.map(NonZeroU32::get),
            revision: self.revision,
        }
    }

    /// Whether nothing is restricted.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The operations that may be run; nothing for all.
    pub fn operations(&self) -> Option<&BTreeSet<String>> {
        self.operations.as_ref()
    }

    /// The variables that are fixed or checked.
    pub fn variables(&self) -> &BTreeMap<String, Narrowing> {
        &self.variables
    }

    /// From where it may be called.
    pub fn addresses(&self) -> &AllowedAddresses {
        &self.addresses
    }

    /// How often it may be called.
    pub fn max_uses(&self) -> Option<NonZeroU32> {
        self.max_uses
    }

    /// The one revision of the document that may be run.
    pub fn revision(&self) -> Option<u64> {
        self.revision
    }

    /// The same, with a revision that is the only one from now on.
    #[must_use]
    pub fn pinned(self, revision: u64) -> Self {
        Self { revision: self.revision.or(Some(revision)), ..self }
    }

    /// Whether an operation may be run.
    pub fn allow_operation(&self, name: Option<&str>) -> bool {
        let allowed = |names: &BTreeSet<String>| name.is_some_and(|name| names.contains(name));
        self.operations.as_ref().is_none_or(allowed)
    }

    /// What is left of these after `child` has been laid upon them: both hold.
    ///
    /// What `child` says nothing of stays as it is. Uses are counted by whoever grants them: that a child has fewer
    /// does not give its parent more.
    ///
    /// # Errors
    ///
    /// The first thing that `child` would allow and these do not.
    pub fn narrowed_by(&self, child: &Self) -> Result<Self, Widening> {
        let narrowed = Self {
            operations: narrowed_operations(self.operations.as_ref(), child.operations.as_ref())?,
            variables: self.narrowed_variables(child)?,
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

    fn narrowed_variables(&self, child: &Self) -> Result<BTreeMap<String, Narrowing>, Widening> {
        let mut variables = self.variables.clone();
        for (name, wanted) in &child.variables {
            let rule = match (variables.get(name), wanted) {
                (None, wanted) => wanted.clone(),
                (Some(Narrowing::Fixed(fixed)), Narrowing::Fixed(wanted)) if text::same(fixed, wanted) => {
                    continue;
                }
                (Some(Narrowing::Fixed(_)), _) => return Err(Widening::Fixed(name.clone())),
                (Some(Narrowing::Checked(schemas)), Narrowing::Fixed(value)) => {
                    if !schema::allow(schemas, value) {
                        return Err(Widening::Value(name.clone()));
                    }
                    wanted.clone()
                }
                (Some(Narrowing::Checked(schemas)), Narrowing::Checked(more)) => {
                    let added = more.iter().filter(|schema| !schemas.contains(schema));
                    Narrowing::Checked(schemas.iter().chain(added).cloned().collect())
                }
            };
            variables.insert(name.clone(), rule);
        }
        Ok(variables)
    }

    fn bytes(&self) -> usize {
        let names = self.operations.iter().flatten().map(String::len);
        let rule = |rule: &Narrowing| match rule {
            Narrowing::Fixed(value) => value.len(),
            Narrowing::Checked(schemas) => schemas.iter().map(String::len).sum(),
        };
        names.chain(self.variables.iter().map(|(name, narrowing)| name.len() + rule(narrowing))).sum()
    }
}

fn operations(names: Vec<String>) -> Result<BTreeSet<String>, InvalidRestrictions> {
    let count = names.len();
    if count == 0 || count > MAX_OPERATIONS {
        return Err(InvalidRestrictions::Operations);
    }
    if !names.iter().all(|name| is_name(name)) {
        return Err(InvalidRestrictions::Name("operations"));
    }
    let names: BTreeSet<String> = names.into_iter().collect();
    if names.len() == count { Ok(names) } else { Err(InvalidRestrictions::Operations) }
}

fn variables(listed: Vec<(String, Narrowing)>) -> Result<BTreeMap<String, Narrowing>, InvalidRestrictions> {
    let count = listed.len();
    if count > MAX_VARIABLES {
        return Err(InvalidRestrictions::Variables);
    }
    let mut patterns = schema::MAX_PATTERNS;
    for (name, narrowing) in &listed {
        if !is_name(name) {
            return Err(InvalidRestrictions::Name("variables"));
        }
        match narrowing {
            Narrowing::Fixed(value) => text::check(value)
                .map_err(|problem| InvalidRestrictions::Fixed { name: name.clone(), problem })?,
            Narrowing::Checked(schemas) => {
                for text in schemas {
                    schema::Schema::parse(text, &mut patterns)
                        .map_err(|problem| InvalidRestrictions::Schema { name: name.clone(), problem })?;
                }
            }
        }
    }
    let variables: BTreeMap<_, _> = listed.into_iter().collect();
    if variables.len() == count { Ok(variables) } else { Err(InvalidRestrictions::Variables) }
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

/// Whether something can have this name (GraphQL October 2021, 2.1.9).
fn is_name(text: &str) -> bool {
    let mut characters = text.bytes();
    let first = characters.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first
        && text.len() <= MAX_NAME_CHARS
        && characters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
