//! Codes and members' upstream credentials, as the JSON of this API.

use super::{Portal, filled, time};
use proto::registry::v1;
use serde::Serialize;
use utoipa::ToSchema;

/// A code, and what somebody wants with it.
#[derive(Serialize, ToSchema)]
pub(in crate::rest) struct Code {
    #[schema(examples("WDJB-MJHT"))]
    code: String,
    state: CodeState,
    /// What the token would be for.
    portal: Portal,
    /// From where it was asked for; null where that is not known.
    #[schema(required, examples("192.0.2.1"))]
    ip: Option<String>,
    #[schema(required, format = DateTime, examples("2026-08-26T03:22:45.555Z"))]
    created_at: Option<String>,
    #[schema(required, format = DateTime, examples("2026-08-26T03:27:45.555Z"))]
    expires_at: Option<String>,
    /// Whether the member has stored a credential for the upstream, without which it cannot be approved.
    #[schema(examples(true))]
    has_upstream_credential: bool,
}

/// How far a code has come.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum CodeState {
    /// Nobody has decided.
    Pending,
    /// A member has approved it, and the token has not been fetched yet.
    Authorized,
    /// A member has denied it.
    Denied,
}

impl Code {
    /// A code for that portal.
    pub(in crate::rest) fn new(code: v1::Code, portal: Portal) -> Self {
        let state = match code.state() {
            v1::CodeState::Pending | v1::CodeState::Unspecified => CodeState::Pending,
            v1::CodeState::Authorized => CodeState::Authorized,
            v1::CodeState::Denied => CodeState::Denied,
        };
        Self {
            code: code.code,
            state,
            portal,
            ip: filled(code.ip),
            created_at: time(code.created_at),
            expires_at: time(code.expires_at),
            has_upstream_credential: code.has_upstream_credential,
        }
    }
}

/// What is told of a member's own credential for an organization's upstream.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::rest) struct UpstreamCredential {
    /// The organization's slug.
    #[schema(examples("my-organization"))]
    organization: String,
    /// When it was stored.
    #[schema(required, format = DateTime, examples("2026-08-26T03:22:45.555Z"))]
    updated_at: Option<String>,
}

impl From<v1::UpstreamCredential> for UpstreamCredential {
    fn from(credential: v1::UpstreamCredential) -> Self {
        Self { organization: credential.organization, updated_at: time(credential.updated_at) }
    }
}
