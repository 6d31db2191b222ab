//! Members and users' access tokens, as the JSON of this API.

use super::{User, filled, time};
use proto::registry::v1;
use serde::Serialize;
use utoipa::ToSchema;

/// The access token that asks.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::rest) struct PresentedToken {
    #[schema(format = "uuid", examples("018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e10"))]
    uuid: String,
    /// What it is good for.
    #[schema(examples("read_portals"))]
    scopes: Vec<String>,
    #[schema(required, examples("Terraform"))]
    description: Option<String>,
    #[schema(required, format = DateTime, examples("2026-08-26T03:22:45.555Z"))]
    created_at: Option<String>,
    /// When it ends by itself; null for never.
    #[schema(required, format = DateTime, examples("2027-08-26T00:00:00.000Z"))]
    expires_at: Option<String>,
    /// Whose it is; null where it is no user's.
    #[schema(required)]
    user: Option<User>,
}

impl From<v1::DescribeAccessTokenResponse> for PresentedToken {
    fn from(token: v1::DescribeAccessTokenResponse) -> Self {
        Self {
            uuid: token.uuid,
            scopes: token.scopes,
            description: filled(token.description),
            created_at: time(token.created_at),
            expires_at: time(token.expires_at),
            user: token.user.map(User::from),
        }
    }
}

/// An access token of a user; itself only in the answer that made it.
#[derive(Serialize, ToSchema)]
pub(in crate::rest) struct AccessToken {
    #[schema(format = "uuid", examples("018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e10"))]
    uuid: String,
    /// What it is for.
    #[schema(required, examples("Terraform"))]
    description: Option<String>,
    /// What it is good for.
    #[schema(examples("read_portals"))]
    scopes: Vec<String>,
    /// From where it may be used: addresses and CIDR ranges, separated by spaces; null for everywhere.
    #[schema(required, examples("192.0.2.1/32 198.51.100.0/24"))]
    allowed_ip_addresses: Option<String>,
    #[schema(required, format = DateTime, examples("2026-08-26T03:22:45.555Z"))]
    created_at: Option<String>,
    /// When it ends by itself; null for never.
    #[schema(required, format = DateTime, examples("2027-08-26T00:00:00.000Z"))]
    expires_at: Option<String>,
    #[schema(required, format = DateTime, examples("2026-08-27T12:00:00.000Z"))]
    last_used_at: Option<String>,
    /// The token itself, in the answer that made it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("pta_…"))]
    token: Option<String>,
}

impl AccessToken {
    pub(in crate::rest) fn new(token: v1::AccessToken, itself: Option<String>) -> Self {
        Self {
            uuid: token.uuid,
            description: filled(token.description),
            scopes: token.scopes,
            allowed_ip_addresses: token.allowed_ip_addresses,
            created_at: time(token.created_at),
            expires_at: time(token.expires_at),
            last_used_at: time(token.last_used_at),
            token: itself,
        }
    }
}

/// What a member may do.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::rest) enum Role {
    /// Manages portals and members.
    Administrator,
    /// Has tokens of their own, where a portal lets members have them.
    Member,
}

impl From<v1::Role> for Role {
    fn from(sent: v1::Role) -> Self {
        match sent {
            v1::Role::Administrator => Self::Administrator,
            v1::Role::Member | v1::Role::Unspecified => Self::Member,
        }
    }
}

impl From<Role> for v1::Role {
    fn from(told: Role) -> Self {
        match told {
            Role::Administrator => Self::Administrator,
            Role::Member => Self::Member,
        }
    }
}

/// A member of an organization.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::rest) struct Member {
    /// The user's.
    #[schema(format = "uuid", examples("018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e10"))]
    uuid: String,
    #[schema(examples("Ada Lovelace"))]
    name: String,
    #[schema(examples("ada@example.com"))]
    email: String,
    role: Role,
    /// When they became a member.
    #[schema(required, format = DateTime, examples("2026-08-26T03:22:45.555Z"))]
    created_at: Option<String>,
}

impl From<v1::Member> for Member {
    fn from(member: v1::Member) -> Self {
        let role = member.role().into();
        let v1::User { uuid, name, email, .. } = member.user.unwrap_or_default();
        Self { uuid, name, email, role, created_at: time(member.created_at) }
    }
}
