//! Secrets of portals as they lie in the store; that one was revoked lies beside it.

use super::{Moment, Restrictions};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;
use uuid::Uuid;

/// A secret of a portal, under its bearer's fingerprint; it never changes and is never removed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct PortalSecret {
    pub(crate) uuid: Uuid,
    pub(crate) organization: Uuid,
    pub(crate) portal: Uuid,
    pub(crate) description: Option<String>,
    pub(crate) created_at_ms: Moment,
    pub(crate) expires_at_ms: Option<Moment>,
    /// The user who made it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created_by: Option<Uuid>,
    /// What its tokens may do less than their portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) restrictions: Option<Restrictions>,
}

impl PortalSecret {
    /// Whether its time is over; at the very moment that was said, it is.
    pub(crate) fn has_expired(&self, now: SystemTime) -> bool {
        self.expires_at_ms.is_some_and(|end| SystemTime::from(end) <= now)
    }
}
