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
    pub(crate) r#type: ActorKind,
    /// Nil where nobody knows.
    pub(crate) uuid: Uuid,
    pub(crate) name: String,
}

/// What did it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActorKind {
    /// Whoever runs this.
    Operator,
    /// Whoever holds an API access token.
    AccessToken,
    /// A user.
    User,
    /// Whoever holds a secret of a portal.
    PortalSecret,
    /// Whoever an issuer vouched for that the portal trusts.
    Workload,
    /// Somebody who was not known.
    Nobody,
}

impl ActorKind {
    /// Its name, as everybody outside knows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::AccessToken => "access_token",
            Self::User => "user",
            Self::PortalSecret => "portal_secret",
            Self::Workload => "workload",
            Self::Nobody => "nobody",
        }
    }
}

impl From<AccessTokenKind> for ActorKind {
    fn from(kind: AccessTokenKind) -> Self {
        match kind {
            AccessTokenKind::Operator => Self::Operator,
            AccessTokenKind::AccessToken => Self::AccessToken,
            AccessTokenKind::User | AccessTokenKind::Session => Self::User,
        }
    }
}

/// To what it was done.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Subject {
    pub(crate) r#type: String,
    pub(crate) uuid: Uuid,
    pub(crate) name: String,
}
