//! An id and its secret: as parameters, or by HTTP Basic (RFC 6749, section 2.3.1); never both.

use super::parameters::{Parameters, bad};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, header};
use model::{Fault, Reason};
use percent_encoding::percent_decode_str;
use proto::registry::v1::ClientCredentials;

/// Not every client pads.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the pair.
///
/// # Errors
///
/// `BadRequest` where a part is missing or given in two ways, `InvalidClient` for an `Authorization` that is not Basic's.
pub(super) fn read(headers: &HeaderMap, parameters: &mut Parameters) -> Result<ClientCredentials, Fault> {
    let client_id = parameters.text("client_id")?;
    let secret = parameters.text_of_either("secret", "client_secret")?;
    match basic(headers)? {
        None => Ok(ClientCredentials {
            client_id: client_id.ok_or_else(|| bad("client_id is required"))?,
            secret: secret.ok_or_else(|| bad("secret (or client_secret) is required"))?,
        }),
        Some(_) if secret.is_some() => Err(bad("the secret is sent by HTTP Basic and as a parameter")),
        Some(pair) if client_id.is_some_and(|id| id != pair.client_id) => {
            Err(bad("client_id is another than that sent by HTTP Basic"))
        }
        Some(pair) => Ok(pair),
    }
}

/// The pair that HTTP Basic carries, if it is used.
fn basic(headers: &HeaderMap) -> Result<Option<ClientCredentials>, Fault> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err(bad("Authorization is given twice"));
    }
    let refused = || Fault::new(Reason::InvalidClient, "Authorization must be Basic with an id and a secret");
    let (scheme, pair) =
        field.to_str().ok().and_then(|text| text.trim().split_once(' ')).ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(refused());
    }
    let pair = BASE64.decode(pair.trim_start()).ok().and_then(|pair| String::from_utf8(pair).ok());
    let pair = pair.ok_or_else(refused)?;
    let (client_id, secret) = pair.split_once(':').ok_or_else(refused)?;
    let (client_id, secret) = decoded(client_id)
        .zip(decoded(secret))
        .filter(|(id, secret)| !id.is_empty() && !secret.is_empty())
        .ok_or_else(refused)?;
    Ok(Some(ClientCredentials { client_id, secret }))
}

/// Either part of the pair is written as in a form before it is put together.
fn decoded(part: &str) -> Option<String> {
    let spaced = part.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    use http::HeaderValue;

    fn sent(fields: &[&str], form: &str) -> Result<(String, String), Reason> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(field).unwrap());
        }
        let mut parameters = Parameters::of_form(form.as_bytes()).unwrap();
        let pair = read(&headers, &mut parameters).map_err(|fault| fault.reason())?;
        Ok((pair.client_id, pair.secret))
    }

    #[test]
    fn a_pair_is_read_from_either_place_and_never_from_both() {
        let pair = |id: &str, secret: &str| Ok((id.to_owned(), secret.to_owned()));
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        assert_eq!(sent(&[], "client_id=a&secret=b"), pair("a", "b"));
        assert_eq!(sent(&[], "client_id=a&client_secret=b"), pair("a", "b"));
        assert_eq!(sent(&[&basic("a:b:c")], ""), pair("a", "b:c"));
        assert_eq!(sent(&[&basic("a%3Ab:c+d%2B")], ""), pair("a:b", "c d+"));
        assert_eq!(sent(&[&format!("bASIC  {}", STANDARD_NO_PAD.encode("a:b"))], ""), pair("a", "b"));
        assert_eq!(sent(&[&basic("a:b")], "client_id=a"), pair("a", "b"));
        for (fields, form) in [
            (&[][..], "client_id=a"),
            (&[], "secret=a"),
            (&[], "client_id=&secret=b"),
            (&[&*basic("a:b")], "secret=b"),
            (&[&*basic("a:b")], "client_secret=b"),
            (&[&*basic("a:b")], "client_id=c"),
            (&[&*basic("a:b"), &*basic("a:b")], ""),
        ] {
            assert_eq!(sent(fields, form), Err(Reason::BadRequest), "{fields:?} {form}");
        }
    }

    #[test]
    fn what_is_not_basic_is_nobodys() {
        for field in ["Basic", "Basic !", "Basic YQ==", "Basic Og==", "Basic /w==", "Bearer ptk_a", "x"] {
            assert_eq!(sent(&[field], ""), Err(Reason::InvalidClient), "{field}");
        }
    }
}
