//! What a token may do less than its portal, and what of a call shows whether it keeps to that.
//!
//! Restrictions are only ever added to: what is narrowed again is within what it was before. Who counts uses, and who
//! knows the caller's address and the portal's revisions, is not known here.

mod check;
mod fit;
mod narrow;
mod schema;
mod text;
mod value;

pub use check::Checks;
pub use narrow::Widening;

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
    /// Of variables that were held when more operations could be run: one of those must declare them; of none, any.
    declared_by: BTreeMap<String, BTreeSet<String>>,
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
    /// It has this value, and was checked before it was fixed: as it is sent, it must still be valid against each of these.
    ///
    /// What is sent of a value depends on the document: a single one becomes a list of one where a list is declared.
    FixedWithin(String, Vec<String>),
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
    /// Variables that one of these operations must declare, or of none any, rather than one of those that may be run.
    pub declared_by: Vec<(String, Vec<String>)>,
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

impl Narrowing {
    /// Of a value that is fixed, if one is, and the schemas that hold for it.
    pub fn new(fixed: Option<String>, schemas: Vec<String>) -> Self {
        match fixed {
            None => Self::Checked(schemas),
            Some(value) if schemas.is_empty() => Self::Fixed(value),
            Some(value) => Self::FixedWithin(value, schemas),
        }
    }

    /// The value that it has, a JSON text.
    pub fn fixed(&self) -> Option<&str> {
        match self {
            Self::Fixed(value) | Self::FixedWithin(value, _) => Some(value),
            Self::Checked(_) => None,
        }
    }

    /// The schemas that what is sent must be valid against.
    pub fn schemas(&self) -> &[String] {
        match self {
            Self::Checked(schemas) | Self::FixedWithin(_, schemas) => schemas,
            Self::Fixed(_) => &[],
        }
    }
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
            declared_by: declared_by(parts.declared_by)?,
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
            declared_by: self
                .declared_by
                .iter()
                .map(|(name, operations)| (name.clone(), operations.iter().cloned().collect()))
                .collect(),
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

    fn bytes(&self) -> usize {
        let names = self.operations.iter().flatten().map(String::len);
        let rule = |rule: &Narrowing| {
            let texts = rule.fixed().into_iter().chain(rule.schemas().iter().map(String::as_str));
            texts.map(str::len).sum::<usize>()
        };
        let names = names.chain(self.declared_by.values().flatten().map(String::len));
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
        if let Some(value) = narrowing.fixed() {
            text::check(value)
                .map_err(|problem| InvalidRestrictions::Fixed { name: name.clone(), problem })?;
        }
        for text in narrowing.schemas() {
            schema::Schema::parse(text, &mut patterns)
                .map_err(|problem| InvalidRestrictions::Schema { name: name.clone(), problem })?;
        }
    }
    let variables: BTreeMap<_, _> = listed.into_iter().collect();
    if variables.len() == count { Ok(variables) } else { Err(InvalidRestrictions::Variables) }
}

fn declared_by(
    listed: Vec<(String, Vec<String>)>,
) -> Result<BTreeMap<String, BTreeSet<String>>, InvalidRestrictions> {
    if listed.len() > MAX_VARIABLES {
        return Err(InvalidRestrictions::Variables);
    }
    if listed.iter().any(|(_, operations)| operations.len() > MAX_OPERATIONS) {
        return Err(InvalidRestrictions::Operations);
    }
    let names = listed.iter().flat_map(|(name, operations)| operations.iter().chain([name]));
    if !names.into_iter().all(|name| is_name(name)) {
        return Err(InvalidRestrictions::Name("variables"));
    }
    Ok(listed.into_iter().map(|(name, operations)| (name, operations.into_iter().collect())).collect())
}

/// Whether something can have this name (GraphQL October 2021, 2.1.9).
fn is_name(text: &str) -> bool {
    let mut characters = text.bytes();
    let first = characters.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first
        && text.len() <= MAX_NAME_CHARS
        && characters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
