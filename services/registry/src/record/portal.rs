//! A portal as it lies in the store, with its live document.

use super::{Document, Moment};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A portal at its newest revision.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Portal {
    pub(crate) uuid: Uuid,
    pub(crate) organization: Uuid,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) allowed_ip_addresses: Option<String>,
    pub(crate) user_invokable: bool,
    pub(crate) extra_variables: ExtraVariables,
    pub(crate) created_at_ms: Moment,
    pub(crate) updated_at_ms: Moment,
    pub(crate) revision: u64,
    /// The revision with which the live document was saved.
    pub(crate) document_revision: u64,
    /// The live document, so that a call reads one record less. Where there is none it lies with those that were live
    /// before, as all did once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) document: Option<Document>,
    /// The user who made it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created_by: Option<Uuid>,
    /// Whether identical queries in flight of one token share an answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) coalesce: bool,
    /// Calls in a window, where it has a limit of its own: none is 0 or nothing, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate_limit_per_minute: Option<u32>,
    /// With which revision `user_invokable` was last turned on; 0 where it has been on from the beginning.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) invokable_since: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(revision: &u64) -> bool {
    *revision == 0
}

/// What becomes of variables that nobody declared.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExtraVariables {
    #[default]
    Reject,
    Ignore,
}
