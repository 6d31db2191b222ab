//! People as they lie in the store, and their places in organizations.

use super::Moment;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A person; what they are part of rewrites this, so that two such changes at once are noticed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct User {
    pub(crate) uuid: Uuid,
    pub(crate) name: String,
    /// As it was sent; no two users have one that differs in case alone.
    pub(crate) email: String,
    pub(crate) created_at_ms: Moment,
}

/// That a user is a member of an organization.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Membership {
    pub(crate) uuid: Uuid,
    pub(crate) organization: Uuid,
    pub(crate) user: Uuid,
    pub(crate) role: Role,
    pub(crate) created_at_ms: Moment,
}

/// Where the membership of a user lies.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Place {
    pub(crate) organization: Uuid,
    pub(crate) membership: Uuid,
}

/// What a member's own tokens run with upstream, under their membership.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct MemberCredential {
    /// As a grant carries it: sealed to the organization, in base64.
    pub(crate) sealed: String,
    pub(crate) updated_at_ms: Moment,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Manages portals and members.
    Administrator,
    /// Has tokens of their own, where a portal lets members have them.
    Member,
}
