//! What a caller holds, by the grant type that names it.

use super::{
    credentials,
    parameters::{Parameters, bad},
};
use http::HeaderMap;
use model::{Fault, Reason};
use proto::registry::v1::exchange_token_request::Grant;

/// Reads what is to be exchanged.
///
/// # Errors
///
/// `BadRequest` where something is missing, `UnsupportedGrantType`, `InvalidClient`.
pub(super) fn read(headers: &HeaderMap, parameters: &mut Parameters) -> Result<Grant, Fault> {
    let grant_type = parameters.text("grant_type")?.ok_or_else(|| bad("grant_type is required"))?;
    match grant_type.as_str() {
        "client_credentials" => Ok(Grant::ClientCredentials(credentials::read(headers, parameters)?)),
        _ => {
            let message = "grant_type must be client_credentials";
            Err(Fault::new(Reason::UnsupportedGrantType, message))
        }
    }
}
