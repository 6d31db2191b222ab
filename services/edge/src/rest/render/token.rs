//! Tokens and secrets of portals, with what they do less than their portal.

use super::{User, time};
use crate::rest::restrictions::{self, Revision};
use proto::registry::v1;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A token of a portal; itself only in the answer that made it.
#[derive(Serialize, ToSchema)]
pub(in crate::rest) struct Token {
    #[schema(format = "uuid", examples("018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e10"))]
    uuid: String,
    /// What it is for.
    #[schema(required, examples("Nightly builds"))]
    description: Option<String>,
    #[schema(examples("service"))]
    kind: String,
    #[schema(required, format = DateTime, examples("2026-08-26T03:22:45.555Z"))]
    created_at: Option<String>,
    /// Null where no user made it.
    #[schema(required)]
    created_by: Option<User>,
    /// When it ends by itself; null for never.
    #[schema(required, format = DateTime, examples("2027-08-26T00:00:00.000Z"))]
    expires_at: Option<String>,
    #[schema(required, format = DateTime, examples("2026-08-27T12:00:00.000Z"))]
    last_used_at: Option<String>,
    /// The operations that it may run, where it may not run all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, examples("triggerBuild"))]
    operations: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false, schema_with = restrictions::Told::schema)]
    variables: BTreeMap<String, restrictions::Told>,
    /// From where it may be called, where that is less than its portal's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("192.0.2.1/32 198.51.100.0/24"))]
    allowed_ip_addresses: Option<String>,
    /// How many calls it is good for, where they are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples(10))]
    max_uses: Option<u32>,
    /// How many of them were made, where they are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples(3))]
    uses: Option<u32>,
    /// Which revisions it may run, where it may do less than its portal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    revision: Option<Revision>,
    /// The one that it may run, where it is pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples(3))]
    pinned_revision: Option<u64>,
    /// Calls with it a minute, where that was sent; 0 for no limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples(20))]
    rate_limit_per_minute: Option<u32>,
    /// The token itself, in the answer that made it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("ptk_…"))]
    token: Option<String>,
}

impl Token {
    pub(in crate::rest) fn new(token: v1::PortalToken, itself: Option<String>) -> Self {
        let restricted = token.restrictions.is_some();
        let restrictions = token.restrictions.unwrap_or_default();
        let revision = restricted.then(|| restrictions.revision().into());
        Self {
            uuid: token.uuid,
            description: token.description,
            kind: token.kind,
            created_at: time(token.created_at),
            created_by: token.created_by.map(User::from),
            expires_at: time(token.expires_at),
            last_used_at: time(token.last_used_at),
            operations: restrictions.operations,
            variables: restrictions::told(restrictions.variables),
            allowed_ip_addresses: restrictions.allowed_ip_addresses,
            max_uses: restrictions.max_uses,
            uses: token.uses,
            revision,
            pinned_revision: restrictions.pinned_revision,
            rate_limit_per_minute: token.rate_limit_per_minute,
            token: itself,
        }
    }
}

/// A secret of a portal; itself only in the answer that made it.
#[derive(Serialize, ToSchema)]
#[schema(as = Secret)]
pub(in crate::rest) struct PortalSecret {
    #[schema(format = "uuid", examples("018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e10"))]
    uuid: String,
    /// What it is for.
    #[schema(required, examples("Build agents"))]
    description: Option<String>,
    #[schema(required, format = DateTime, examples("2026-08-26T03:22:45.555Z"))]
    created_at: Option<String>,
    /// Null where no user made it.
    #[schema(required)]
    created_by: Option<User>,
    /// When it ends by itself; null for never.
    #[schema(required, format = DateTime, examples("2027-08-26T00:00:00.000Z"))]
    expires_at: Option<String>,
    /// When it was last exchanged for a token.
    #[schema(required, format = DateTime, examples("2026-08-27T12:00:00.000Z"))]
    last_used_at: Option<String>,
    /// The operations that its tokens may run, where they may not run all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, examples("triggerBuild"))]
    operations: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false, schema_with = restrictions::Told::schema)]
    variables: BTreeMap<String, restrictions::Told>,
    /// From where it and its tokens may be used, where that is less than its portal's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("192.0.2.1/32 198.51.100.0/24"))]
    allowed_ip_addresses: Option<String>,
    /// Which revisions its tokens may run, where they may do less than the portal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    revision: Option<Revision>,
    /// The one that they may run, where it is pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples(3))]
    pinned_revision: Option<u64>,
    /// The secret itself, in the answer that made it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("pts_…"))]
    secret: Option<String>,
}

impl PortalSecret {
    pub(in crate::rest) fn new(secret: v1::PortalSecret, itself: Option<String>) -> Self {
        let revision = secret.restrictions.as_ref().map(|restrictions| restrictions.revision().into());
        let restrictions = secret.restrictions.unwrap_or_default();
        Self {
            uuid: secret.uuid,
            description: secret.description,
            created_at: time(secret.created_at),
            created_by: secret.created_by.map(User::from),
            expires_at: time(secret.expires_at),
            last_used_at: time(secret.last_used_at),
            operations: restrictions.operations,
            variables: restrictions::told(restrictions.variables),
            allowed_ip_addresses: restrictions.allowed_ip_addresses,
            revision,
            pinned_revision: restrictions.pinned_revision,
            secret: itself,
        }
    }
}
