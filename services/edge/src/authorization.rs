//! Who may call what, as the registry said it last: kept in memory, asked anew, withdrawn.
//!
//! `grants` and `lease` are plain types with the time handed in; `ask` and the watch drive them.

pub(crate) mod ask;
pub(crate) mod grants;
mod key;
pub(crate) mod lease;
#[cfg(test)]
mod model_check;
mod withdrawals;

pub(crate) use key::Key;

use crate::rate::Rates;
use model::{AllowedAddresses, Slug};
use proto::execute::SignedGrant;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Which portal a caller names. What cannot be a slug is no portal's name, and is asked for as [`NO_SLUG`].
#[derive(Clone, Debug)]
pub(crate) struct PortalName {
    /// The organization's slug.
    pub(crate) organization: Option<Slug>,
    /// The portal's slug.
    pub(crate) portal: Option<Slug>,
}

/// Stands for a name that nothing can have: the registry answers as for any unknown one.
pub(crate) const NO_SLUG: &str = "-";

impl PortalName {
    /// Reads the two parts of a path.
    pub(crate) fn read(organization: &str, portal: &str) -> Self {
        Self { organization: organization.parse().ok(), portal: portal.parse().ok() }
    }

    /// The organization as it is asked for.
    pub(crate) fn organization(&self) -> &str {
        self.organization.as_ref().map_or(NO_SLUG, Slug::as_str)
    }

    /// The portal as it is asked for.
    pub(crate) fn portal(&self) -> &str {
        self.portal.as_ref().map_or(NO_SLUG, Slug::as_str)
    }
}

/// Whom a grant concerns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Subjects {
    pub(crate) organization: Uuid,
    pub(crate) portal: Uuid,
    pub(crate) token: Uuid,
}

/// What a withdrawal concerns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scope {
    Organization(Uuid),
    Portal(Uuid),
    Token(Uuid),
    /// What this edge cannot read: whatever it is, nothing of before is used any more.
    Everything,
}

impl Scope {
    fn covers(self, subjects: &Subjects) -> bool {
        match self {
            Self::Organization(uuid) => subjects.organization == uuid,
            Self::Portal(uuid) => subjects.portal == uuid,
            Self::Token(uuid) => subjects.token == uuid,
            Self::Everything => true,
        }
    }
}

/// The registry's word that a bearer may call a portal.
#[derive(Debug)]
pub(crate) struct Authorization {
    /// What the executor wants to see.
    pub(crate) grant: Arc<SignedGrant>,
    /// Whom it concerns.
    pub(crate) subjects: Subjects,
    /// From where the portal may be called.
    pub(crate) allowed: AllowedAddresses,
    /// Whether uses of the token are counted: then there is no grant here, but one to be asked for each call.
    pub(crate) counts_uses: bool,
    /// From where the token may be used besides; nothing for everywhere.
    pub(crate) token_allowed: Option<AllowedAddresses>,
    /// How often its caller may call, and where that is counted.
    pub(crate) rates: Rates,
    /// How long an invocation may take as a whole.
    pub(crate) timeout: Duration,
    /// The store's revision that it was read at.
    pub(crate) store_revision: u64,
    /// When the registry was asked.
    pub(crate) asked: Instant,
    /// Until when the grant holds.
    pub(crate) expires: Instant,
    withdrawn: AtomicBool,
}

impl Authorization {
    /// Says for good that this no longer holds, to those too who have it in hand.
    fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Release);
    }

    fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::Acquire)
    }
}
