//! Issuers that portals trust, as they lie in the store; that a trust has ended lies beside it.

use super::{Moment, Restrictions};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// An OpenID Connect issuer whose tokens are exchanged for tokens of a portal; it never changes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct TrustedIssuer {
    pub(crate) uuid: Uuid,
    pub(crate) organization: Uuid,
    pub(crate) portal: Uuid,
    pub(crate) description: Option<String>,
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// Claims and their patterns.
    pub(crate) conditions: BTreeMap<String, String>,
    pub(crate) created_at_ms: Moment,
    /// The user who made it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created_by: Option<Uuid>,
    /// What its tokens may do less than their portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) restrictions: Option<Restrictions>,
}
