//! What an upstream may be: its URL, its credential, its header fields and its limits. It calls nobody.

use super::problems::Problems;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, Uri};
use model::{Fault, key::PurposeKeys};
use proto::{grant::UpstreamSecrets, registry::v1};
use std::{collections::BTreeSet, net::Ipv6Addr, ops::RangeInclusive};
use uuid::Uuid;

const MAX_URL_BYTES: usize = 2_048;
const MAX_CREDENTIAL_BYTES: usize = 8 << 10;
const MAX_HEADERS: usize = 32;
const MAX_HEADER_NAME_BYTES: usize = 100;
const MAX_HEADER_BYTES: usize = 4 << 10;
/// All values together: they stand in every grant, and a hundred organizations in one answer.
const MAX_HEADERS_BYTES: usize = 16 << 10;
const TIMEOUT_SECONDS: RangeInclusive<u32> = 1..=300;
const MAX_RATE_LIMIT: u32 = 1_000_000;

/// Fields that are the connection's, the body's or the credential's, or say which answers can be read.
const RESERVED: &[&str] = &[
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Checks where an upstream is.
pub(crate) fn check_url(problems: &mut Problems, url: &str) {
    if let Err(expected) = check_upstream_url(url) {
        problems.add(format!("upstream_url {expected}"));
    }
}

/// Checks where an upstream is, for whoever is to name it.
///
/// # Errors
///
/// What it must be.
pub fn check_upstream_url(url: &str) -> Result<(), String> {
    if url.len() > MAX_URL_BYTES {
        return Err(format!("must have at most {MAX_URL_BYTES} bytes"));
    }
    let expected = || "must be an absolute http:// or https:// URL".to_owned();
    let uri: Uri = url.parse().map_err(|_| expected())?;
    let authority = uri.authority().ok_or_else(expected)?;
    let is_http = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
    if !is_http || authority.host().is_empty() {
        return Err(expected());
    }
    let bracketed = authority.host().strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bracketed.is_some_and(|host| host.parse::<Ipv6Addr>().is_err()) {
        return Err("must have an IPv6 address between its brackets".to_owned());
    }
    if authority.as_str().contains('@') {
        return Err("must not have a user or password in it: send upstream_token".to_owned());
    }
    if url.contains('#') {
        return Err("must not have a fragment".to_owned());
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if bracketed.is_none() && !authority.host().bytes().all(is_name) {
        return Err("must have a host of ASCII letters, digits, `.`, `_` and `-`".to_owned());
    }
    if !uri.path_and_query().is_none_or(|path| is_path(path.as_str())) {
        return Err(
            "must have a path and a query of what RFC 3986 lets stand there, the rest as %XX".to_owned()
        );
    }
    let rest = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    if !rest.is_empty() && authority.port_u16().is_none() {
        return Err("must have a port from 0 to 65535, or none".to_owned());
    }
    Ok(())
}

/// Whether a path with a query has no other characters than those of RFC 3986, 3.3 and 3.4.
fn is_path(text: &str) -> bool {
    let mut parts = text.split('%');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~!$&'()*+,;=:@/?-".contains(&byte);
    let first = parts.next().unwrap_or_default();
    first.bytes().all(plain)
        && parts.all(|part| {
            let is_encoded =
                part.get(..2).is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
            is_encoded && part.bytes().all(plain)
        })
}

/// Checks what goes to an upstream as `Authorization: Bearer …`.
pub(crate) fn check_credential(problems: &mut Problems, credential: &str) {
    if let Err(expected) = check_upstream_token(credential) {
        problems.add(format!("upstream_token {expected}"));
    }
}

/// Checks what goes to an upstream as `Authorization: Bearer …`, for whoever is to name it.
///
/// # Errors
///
/// What it must be; it is not repeated.
pub fn check_upstream_token(token: &str) -> Result<(), String> {
    if token.len() > MAX_CREDENTIAL_BYTES {
        return Err(format!("must have at most {MAX_CREDENTIAL_BYTES} bytes"));
    }
    match token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err("must be visible ASCII characters without spaces".to_owned()),
    }
}

/// Whether a text can stand in a header field and be read the same by everybody (RFC 9110, 5.5).
fn is_field_value(text: &str) -> bool {
    text.is_ascii() && HeaderValue::from_str(text).is_ok()
}

/// Checks and reads more header fields that go to an upstream.
pub(crate) fn read_headers(problems: &mut Problems, headers: v1::Headers) -> Vec<(String, String)> {
    if headers.headers.len() > MAX_HEADERS {
        problems.add(format!("upstream_headers must be at most {MAX_HEADERS}"));
        return Vec::new();
    }
    let mut seen = BTreeSet::new();
    for v1::Header { name, value } in &headers.headers {
        let lower = name.to_ascii_lowercase();
        // A name that is none may hold anything, so it is told by its place.
        let shown = name.escape_default().take(64).collect::<String>();
        let too_long = name.len() > MAX_HEADER_NAME_BYTES;
        if too_long || HeaderName::from_bytes(name.as_bytes()).is_err() {
            problems.add(format!("upstream_headers: `{shown}` is not the name of a header field"));
        } else if RESERVED.contains(&lower.as_str()) {
            problems.add(format!("upstream_headers: {shown} cannot be set"));
        } else if value.len() > MAX_HEADER_BYTES || !is_field_value(value) {
            problems.add(format!(
                "upstream_headers: the value of {shown} must be at most {MAX_HEADER_BYTES} ASCII characters, none of them a control character"
            ));
        } else if !seen.insert(lower) {
            problems.add(format!("upstream_headers: {shown} is given twice"));
        }
    }
    if headers.headers.iter().map(|header| header.value.len()).sum::<usize>() > MAX_HEADERS_BYTES {
        problems.add(format!("upstream_headers must have at most {MAX_HEADERS_BYTES} bytes together"));
    }
    headers.headers.into_iter().map(|header| (header.name, header.value)).collect()
}

/// Checks the limits of an organization, those that were sent.
pub(crate) fn check_limits(problems: &mut Problems, timeout_seconds: Option<u32>, rate_limit: Option<u32>) {
    if timeout_seconds.is_some_and(|seconds| !TIMEOUT_SECONDS.contains(&seconds)) {
        let (least, most) = (TIMEOUT_SECONDS.start(), TIMEOUT_SECONDS.end());
        problems.add(format!("upstream_timeout_seconds must be {least} to {most}"));
    }
    check_rate_limit(problems, rate_limit);
}

/// Checks how many calls are allowed in a minute, where that was sent.
pub(crate) fn check_rate_limit(problems: &mut Problems, limit: Option<u32>) {
    if limit.is_some_and(|limit| limit > MAX_RATE_LIMIT) {
        problems.add(format!("rate_limit_per_minute must be 0 to {MAX_RATE_LIMIT}"));
    }
}

/// Seals what only the executor may read, to the organization.
///
/// # Errors
///
/// INTERNAL, where the secrets have no JSON text.
pub(crate) fn seal(
    keys: &PurposeKeys,
    organization: Uuid,
    secrets: &UpstreamSecrets,
) -> Result<String, Fault> {
    let plain = serde_json::to_vec(secrets).map_err(Fault::internal)?;
    Ok(STANDARD.encode(keys.seal(organization.to_string().as_bytes(), &plain)))
}

/// Opens what [`seal`] sealed.
///
/// # Errors
///
/// INTERNAL when it was sealed with a key that is not there any more.
pub(crate) fn open(keys: &PurposeKeys, organization: Uuid, sealed: &str) -> Result<UpstreamSecrets, Fault> {
    let sealed = STANDARD.decode(sealed).map_err(Fault::internal)?;
    let plain = keys.open(organization.to_string().as_bytes(), &sealed).map_err(Fault::internal)?;
    // What the parser says of it may quote it.
    serde_json::from_slice(&plain).map_err(|_| Fault::internal("the upstream's secrets cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_an_absolute_http_url() {
        for url in [
            "https://graphql.example/v1",
            "http://127.0.0.1:8081",
            "http://[::1]:1/a?b=c",
            "http://my_service:8080?a",
            "https://a-b.example/%7Ea/$(b);c='d'?e=/?&f=%C3%A4",
        ] {
            assert_eq!(check_upstream_url(url), Ok(()), "{url}");
        }
        let long = format!("https://a/{}", "b".repeat(MAX_URL_BYTES));
        for url in [
            "",
            "a",
            "/a",
            "a:1",
            "ftp://a",
            "http://",
            "http:///a",
            "http://u@a",
            "http://u:p@a/b",
            "http://a#b",
            "http://a:99999",
            "HTTP://a",
            "https://a*",
            "https://a%20b",
            "https://a/{b}",
            "https://a/\u{e4}",
            "https://a/%2",
            "https://a/%zz?b",
            "https://a?b|c",
            "http://a b",
            "http://[e0]/",
            "http://[1::2::3]:8080",
            &long,
        ] {
            assert!(check_upstream_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn header_fields_that_are_not_the_operators_are_refused() {
        let fields = |fields: &[(&str, &str)]| {
            let header =
                |(name, value): &(&str, &str)| v1::Header { name: (*name).into(), value: (*value).into() };
            let mut problems = Problems::default();
            read_headers(&mut problems, v1::Headers { headers: fields.iter().map(header).collect() });
            problems.verdict()
        };
        assert!(fields(&[("X-Team", "ci"), ("x-other", ""), ("User-Agent", "theirs")]).is_ok());
        for bad in [
            &[("Host", "a")][..],
            &[("Accept", "text/plain")],
            &[("accept-encoding", "identity")],
            &[("Content-Type", "text/plain")],
            &[("AUTHORIZATION", "Bearer canary")],
            &[("Transfer-Encoding", "chunked")],
            &[("X Team", "ci")],
            &[("", "ci")],
            &[("X-Team", "a\r\nB: c")],
            &[("X-Team", "ü")],
            &[("X-Team", "a"), ("x-team", "b")],
            &[("a", "b"); MAX_HEADERS + 1],
        ] {
            let fault = fields(bad).unwrap_err();
            assert!(!fault.message().contains("canary"), "{}", fault.message());
        }
    }
}
