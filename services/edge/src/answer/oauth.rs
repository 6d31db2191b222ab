//! Faults in the shape of OAuth 2.0 (RFC 6749, section 5.2; RFC 8628, section 3.5).

use super::{JSON, Refusal, finish, told, write};
use crate::reply::Body;
use http::Response;
use model::Reason;
use serde::Serialize;

#[derive(Serialize)]
struct OauthError<'a> {
    error: &'static str,
    error_description: &'a str,
}

/// Shapes a refusal as `{"error","error_description"}`.
pub(crate) fn oauth(refusal: Refusal) -> Response<Body> {
    let (reason, message) = told(&refusal.fault);
    let body = write(&OauthError { error: error(reason), error_description: message });
    finish(refusal, reason, body, JSON)
}

/// The word that OAuth's clients know a reason by; where it has none for it, those of its other specifications.
fn error(reason: Reason) -> &'static str {
    match reason {
        Reason::BadRequest
        | Reason::MethodNotAllowed
        | Reason::NotFound
        | Reason::RequestTimeout
        | Reason::PayloadTooLarge
        | Reason::UnsupportedMediaType
        | Reason::HeadersTooLarge
        | Reason::ValidationFailed => "invalid_request",
        Reason::InvalidClient | Reason::Unauthenticated => "invalid_client",
        Reason::InvalidGrant => "invalid_grant",
        Reason::UnsupportedGrantType => "unsupported_grant_type",
        Reason::AuthorizationPending => "authorization_pending",
        Reason::SlowDown | Reason::RateLimited => "slow_down",
        Reason::AccessDenied | Reason::Forbidden | Reason::IpNotAllowed | Reason::TokenRestricted => {
            "access_denied"
        }
        Reason::ExpiredToken => "expired_token",
        Reason::Overloaded
        | Reason::RegistryUnavailable
        | Reason::StorageUnavailable
        | Reason::Conflict
        | Reason::ExecutorUnavailable => "temporarily_unavailable",
        Reason::Internal
        | Reason::GrantUnknown
        | Reason::GrantInvalid
        | Reason::PreconditionFailed
        | Reason::OperationNameRequired
        | Reason::OperationNotFound
        | Reason::VariablesInvalid
        | Reason::UpstreamUnreachable
        | Reason::UpstreamUnauthorized
        | Reason::UpstreamError
        | Reason::UpstreamInvalidResponse
        | Reason::UpstreamResponseTooLarge
        | Reason::UpstreamCircuitOpen
        | Reason::UpstreamRateLimited
        | Reason::UpstreamTimeout => "server_error",
    }
}
