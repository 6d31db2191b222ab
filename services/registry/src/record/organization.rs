//! An organization as it lies in the store.

use super::Moment;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An organization.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Organization {
    pub(crate) uuid: Uuid,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) upstream_url: String,
    /// Credential and header fields as a grant carries them: sealed, in base64.
    pub(crate) upstream_sealed: String,
    pub(crate) upstream_timeout_seconds: u32,
    pub(crate) rate_limit_per_minute: u32,
    pub(crate) created_at_ms: Moment,
    pub(crate) revision: u64,
    /// Of the source of its upstream's schema, where it has one, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) schema_sha256: Option<String>,
}

/// How much an organization has; every change in it rewrites this, so that two at once are noticed.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Tally {
    pub(crate) portals: u64,
    pub(crate) audit_events: u64,
    /// The hash of the newest audit event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) audit_head: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) members: u64,
    /// How many of the members are administrators.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) administrators: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
