//! Audit events as they lie in the store.

use super::{AccessTokenKind, Moment};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;
use uuid::Uuid;

/// One change; it never changes itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct AuditEvent {
    pub(crate) uuid: Uuid,
    pub(crate) occurred_at_ms: Moment,
    pub(crate) r#type: String,
    pub(crate) actor: Actor,
    pub(crate) subject: Subject,
    /// What changed, without any secret.
    pub(crate) data: Value,
    pub(crate) ip: Option<IpAddr>,
    /// What binds it to the one before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<Link>,
}

/// A link of the chain that an organization's events make.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Link {
    /// The event's number, from 1.
    pub(crate) sequence: u64,
    /// The hash of the event before it; none for the first.
    pub(crate) previous_hash: Option<String>,
    /// The hash of the event.
    pub(crate) hash: String,
}

/// Who did it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Actor {
    pub(crate) r#type: AccessTokenKind,
    pub(crate) uuid: Uuid,
    pub(crate) name: String,
}

/// To what it was done.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Subject {
    pub(crate) r#type: String,
    pub(crate) uuid: Uuid,
    pub(crate) name: String,
}
