//! API access tokens as they lie in the store.

use super::Moment;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;
use uuid::Uuid;

/// An API access token, under its bearer's fingerprint.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct AccessToken {
    pub(crate) uuid: Uuid,
    pub(crate) description: String,
    pub(crate) kind: AccessTokenKind,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) created_at_ms: Moment,
    /// Whose it is, where it is a person's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at_ms: Option<Moment>,
    /// From where it may be used, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) allowed_ip_addresses: Option<String>,
}

impl AccessToken {
    /// Whether its time is over; at the very moment that was said, it is.
    pub(crate) fn has_expired(&self, now: SystemTime) -> bool {
        self.expires_at_ms.is_some_and(|end| SystemTime::from(end) <= now)
    }
}

/// Whose an access token is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccessTokenKind {
    /// Whoever runs this.
    Operator,
    /// Whoever was given it.
    AccessToken,
    /// A person.
    User,
    /// A person, for the hours after they have proved who they are.
    Session,
}

/// What an access token may do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    ReadOrganizations,
    WriteOrganizations,
    ReadPortals,
    WritePortals,
    ReadAuditEvents,
    /// Reads who there is: members, and users where the operator asks.
    ReadMembers,
    /// Changes who there is.
    WriteMembers,
    /// Changes what is the user's own, such as their access tokens.
    WriteUser,
}

impl Scope {
    /// Every scope there is.
    pub(crate) const ALL: [Self; 8] = [
        Self::ReadOrganizations,
        Self::WriteOrganizations,
        Self::ReadPortals,
        Self::WritePortals,
        Self::ReadAuditEvents,
        Self::ReadMembers,
        Self::WriteMembers,
        Self::WriteUser,
    ];

    /// Its name, for whoever lacks it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReadOrganizations => "read_organizations",
            Self::WriteOrganizations => "write_organizations",
            Self::ReadPortals => "read_portals",
            Self::WritePortals => "write_portals",
            Self::ReadAuditEvents => "read_audit_events",
            Self::ReadMembers => "read_members",
            Self::WriteMembers => "write_members",
            Self::WriteUser => "write_user",
        }
    }

    /// Whether a user's token can have it: whoever runs this makes organizations and says where they run.
    pub(crate) fn is_for_users(self) -> bool {
        self != Self::WriteOrganizations
    }

    /// The scope of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}
