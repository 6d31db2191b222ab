//! API access tokens as they lie in the store.

use super::Moment;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An API access token, under its bearer's fingerprint.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct AccessToken {
    pub(crate) uuid: Uuid,
    pub(crate) description: String,
    pub(crate) kind: AccessTokenKind,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) created_at_ms: Moment,
}

/// Whose an access token is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccessTokenKind {
    /// Whoever runs this.
    Operator,
    /// Whoever was given it.
    AccessToken,
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
}

impl Scope {
    /// Every scope there is.
    pub(crate) const ALL: [Self; 5] = [
        Self::ReadOrganizations,
        Self::WriteOrganizations,
        Self::ReadPortals,
        Self::WritePortals,
        Self::ReadAuditEvents,
    ];

    /// Its name, for whoever lacks it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReadOrganizations => "read_organizations",
            Self::WriteOrganizations => "write_organizations",
            Self::ReadPortals => "read_portals",
            Self::WritePortals => "write_portals",
            Self::ReadAuditEvents => "read_audit_events",
        }
    }
}
