//! What a caller holds, by the grant type that names it.

use super::{
    credentials,
    parameters::{Parameters, bad},
};
use http::HeaderMap;
use model::{Fault, Reason};
use proto::registry::v1::{DeviceCode, IdentityToken, exchange_token_request::Grant};

/// A code that a member has approved (RFC 8628, section 3.4).
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// An assertion of somebody else's (RFC 7523, section 2.1).
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Somebody else's token (RFC 8693, section 2.1).
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// What can be exchanged: both are the same JWT here.
const SUBJECT_TOKEN_TYPES: [&str; 2] =
    ["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"];
/// What it is exchanged for.
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Reads what is to be exchanged.
///
/// # Errors
///
/// `BadRequest` where something is missing, `UnsupportedGrantType`, `InvalidClient`.
pub(super) fn read(headers: &HeaderMap, parameters: &mut Parameters) -> Result<Grant, Fault> {
    let grant_type = parameters.text("grant_type")?.ok_or_else(|| bad("grant_type is required"))?;
    match grant_type.as_str() {
        "client_credentials" => Ok(Grant::ClientCredentials(credentials::read(headers, parameters)?)),
        "device_code" | DEVICE_CODE => Ok(Grant::DeviceCode(device_code(parameters)?)),
        JWT_BEARER => Ok(Grant::IdentityToken(assertion(parameters)?)),
        TOKEN_EXCHANGE => Ok(Grant::IdentityToken(subject_token(parameters)?)),
        _ => {
            let message = format!(
                "grant_type must be client_credentials, device_code, {DEVICE_CODE}, {JWT_BEARER} or {TOKEN_EXCHANGE}"
            );
            Err(Fault::new(Reason::UnsupportedGrantType, message))
        }
    }
}

/// The secret that came with a code: with the code, or by the name that OAuth has for it.
fn device_code(parameters: &mut Parameters) -> Result<DeviceCode, Fault> {
    let device_code = parameters.text("device_code")?;
    match (device_code, parameters.text("code")?, parameters.text("secret")?) {
        (Some(secret), None, None) => Ok(DeviceCode { secret, code: None }),
        (None, Some(code), Some(secret)) => Ok(DeviceCode { secret, code: Some(code) }),
        (Some(_), ..) => Err(bad("device_code is sent beside code or secret: it stands for both")),
        (None, None, _) => Err(bad("code is required (or device_code alone)")),
        (None, Some(_), None) => Err(bad("secret is required: it came with the code")),
    }
}

fn assertion(parameters: &mut Parameters) -> Result<IdentityToken, Fault> {
    let token = parameters.text("assertion")?.ok_or_else(|| bad("assertion is required: a JWT"))?;
    Ok(IdentityToken { token })
}

fn subject_token(parameters: &mut Parameters) -> Result<IdentityToken, Fault> {
    let token = parameters.text("subject_token")?.ok_or_else(|| bad("subject_token is required: a JWT"))?;
    match parameters.text("subject_token_type")? {
        Some(r#type) if SUBJECT_TOKEN_TYPES.contains(&r#type.as_str()) => {}
        _ => return Err(bad(format!("subject_token_type must be {}", SUBJECT_TOKEN_TYPES.join(" or ")))),
    }
    if parameters.text("requested_token_type")?.is_some_and(|r#type| r#type != ACCESS_TOKEN) {
        return Err(bad(format!("requested_token_type must be {ACCESS_TOKEN}, or not be sent")));
    }
    if parameters.text("actor_token")?.is_some() {
        return Err(bad("actor_token cannot be taken: nobody acts for somebody else here"));
    }
    Ok(IdentityToken { token })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(form: &str) -> Result<Grant, Reason> {
        let mut parameters = Parameters::of_form(form.as_bytes()).unwrap();
        read(&HeaderMap::new(), &mut parameters).map_err(|fault| fault.reason())
    }

    #[test]
    fn a_code_is_read_with_its_secret_or_by_the_one_name_that_oauth_has_for_both() {
        let read = |code: Option<&str>| {
            let code = code.map(str::to_owned);
            Ok(Grant::DeviceCode(DeviceCode { secret: "ptd_a".to_owned(), code }))
        };
        for grant_type in ["device_code", DEVICE_CODE] {
            let both = format!("grant_type={grant_type}&code=WDJB-MJHT&secret=ptd_a");
            assert_eq!(sent(&both), read(Some("WDJB-MJHT")));
            assert_eq!(sent(&format!("grant_type={grant_type}&device_code=ptd_a&client_id=any")), read(None));
            for wrong in ["", "&code=a", "&secret=a", "&device_code=a&code=a", "&device_code=a&secret=a"] {
                assert_eq!(
                    sent(&format!("grant_type={grant_type}{wrong}")),
                    Err(Reason::BadRequest),
                    "{wrong}"
                );
            }
        }
    }

    #[test]
    fn a_jwt_is_read_in_both_ways_of_writing_it() {
        let grant = || Ok(Grant::IdentityToken(IdentityToken { token: "a.b.c".to_owned() }));
        assert_eq!(sent(&format!("grant_type={JWT_BEARER}&assertion=a.b.c")), grant());
        let exchange = format!("grant_type={TOKEN_EXCHANGE}&subject_token=a.b.c");
        for r#type in SUBJECT_TOKEN_TYPES {
            assert_eq!(sent(&format!("{exchange}&subject_token_type={type}")), grant());
        }
        let typed = format!("{exchange}&subject_token_type={}", SUBJECT_TOKEN_TYPES[0]);
        assert_eq!(sent(&format!("{typed}&requested_token_type={ACCESS_TOKEN}")), grant());
        for form in [
            format!("grant_type={JWT_BEARER}"),
            format!("grant_type={JWT_BEARER}&subject_token=a.b.c"),
            format!("grant_type={TOKEN_EXCHANGE}&assertion=a.b.c"),
            exchange.clone(),
            format!("{exchange}&subject_token_type={ACCESS_TOKEN}"),
            format!("{typed}&requested_token_type={}", SUBJECT_TOKEN_TYPES[0]),
            format!("{typed}&actor_token=a.b.c"),
        ] {
            assert_eq!(sent(&form), Err(Reason::BadRequest), "{form}");
        }
        assert_eq!(sent("grant_type=password"), Err(Reason::UnsupportedGrantType));
    }
}
