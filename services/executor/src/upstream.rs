//! An upstream as a grant names it: where it is, and every header field that a request to it carries.
//!
//! Here the sealed credential is opened, and from here on it exists only in these types.

use crate::{
    gate::UpstreamKey,
    outbound::{relative, sensitive},
    screen::Screen,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header, request::Parts, uri::Scheme};
use http_body_util::Full;
use model::key::{CannotOpen, PurposeKeys};
use proto::grant::{UpstreamClaim, UpstreamSecrets};
use std::time::Duration;

const ACCEPT: HeaderValue =
    HeaderValue::from_static("application/graphql-response+json, application/json;q=0.9");
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("gzip, br, zstd");
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/json");
const PLACE: HeaderValue = HeaderValue::from_static("");
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("portals/", env!("CARGO_PKG_VERSION")));

/// No call takes longer, whatever a grant says.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// What belongs to a connection or to the body and so is never an operator's to set.
const NOT_TO_BE_SET: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// An upstream, with the secrets opened. It is not printed.
pub(crate) struct Upstream {
    pub(crate) key: UpstreamKey,
    pub(crate) screen: Screen,
    pub(crate) timeout: Duration,
    pub(crate) uri: Uri,
    /// A request without a body.
    parts: Parts,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableUpstream {
    #[error("its secrets are not base64")]
    Encoding,
    #[error("its secrets cannot be opened")]
    Sealed(#[source] CannotOpen),
    // The text is secret and so is what the parser has to say of it.
    #[error("its secrets cannot be read")]
    Secrets,
    #[error("its URL is neither http:// nor https://")]
    Url,
    #[error("a header field or the credential has characters that no header may have")]
    Header,
}

impl Upstream {
    /// Opens what the registry sealed to `organization`.
    pub(crate) fn open(
        keys: &PurposeKeys,
        organization: &str,
        claim: &UpstreamClaim,
    ) -> Result<Self, UnusableUpstream> {
        let sealed = STANDARD.decode(&claim.sealed).map_err(|_| UnusableUpstream::Encoding)?;
        let plain = keys.open(organization.as_bytes(), &sealed).map_err(UnusableUpstream::Sealed)?;
        let secrets: UpstreamSecrets =
            serde_json::from_slice(&plain).map_err(|_| UnusableUpstream::Secrets)?;
        let uri: Uri = claim.url.parse().map_err(|_| UnusableUpstream::Url)?;
        let known = uri.scheme() == Some(&Scheme::HTTP) || uri.scheme() == Some(&Scheme::HTTPS);
        if !known || uri.host().is_none_or(str::is_empty) {
            return Err(UnusableUpstream::Url);
        }
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = Method::POST;
        parts.uri = relative(&uri);
        parts.headers = headers(&secrets)?;
        Ok(Self {
            key: UpstreamKey::of(organization, &claim.url),
            screen: Screen::new(&secrets.credential),
            timeout: Duration::from_millis(claim.timeout_ms.max(1)).min(MAX_TIMEOUT),
            uri,
            parts,
        })
    }

    /// What it must have been given before its silence counts against it: a caller in a hurry is no reason to leave it
    /// alone.
    pub(crate) fn fair_time(&self) -> Duration {
        (self.timeout / 2).min(Duration::from_secs(1))
    }

    /// A request that carries `body`.
    pub(crate) fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut parts = self.parts.clone();
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        Request::from_parts(parts, Full::new(body))
    }
}

/// The operator's header fields, and above them those that make the request what it is.
fn headers(secrets: &UpstreamSecrets) -> Result<HeaderMap, UnusableUpstream> {
    let mut headers = HeaderMap::with_capacity(secrets.headers.len() + 8);
    headers.insert(header::USER_AGENT, USER_AGENT);
    for (name, value) in &secrets.headers {
        let name: HeaderName = name.parse().map_err(|_| UnusableUpstream::Header)?;
        if !NOT_TO_BE_SET.contains(&name) {
            headers.insert(name, header_value(value)?);
        }
    }
    headers.insert(header::ACCEPT, ACCEPT);
    headers.insert(header::ACCEPT_ENCODING, ACCEPT_ENCODING);
    headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
    if !secrets.credential.is_empty() {
        let bearer = zeroize::Zeroizing::new(format!("Bearer {}", secrets.credential));
        headers.insert(header::AUTHORIZATION, header_value(&bearer)?);
    }
    // The places of those that each request has of its own, so that no copy has to grow.
    headers.insert(header::HOST, PLACE);
    headers.insert(header::CONTENT_LENGTH, PLACE);
    Ok(headers)
}

fn header_value(text: &str) -> Result<HeaderValue, UnusableUpstream> {
    HeaderValue::from_str(text).map(sensitive).map_err(|_| UnusableUpstream::Header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_sets_fields_but_not_those_that_frame_the_request() {
        let field = |name: &str| (name.to_owned(), "theirs".to_owned());
        let fields = ["X-Team", "User-Agent", "Host", "Content-Length", "Accept-Encoding", "Authorization"];
        let secrets = UpstreamSecrets {
            credential: "ours".to_owned(),
            headers: fields.into_iter().map(field).collect(),
        };
        let headers = headers(&secrets).unwrap();
        assert_eq!(headers["x-team"], "theirs");
        assert_eq!(headers["user-agent"], "theirs");
        assert_eq!(headers["accept-encoding"], "gzip, br, zstd");
        assert_eq!(headers["authorization"], "Bearer ours");
        assert_eq!((&headers["host"], &headers["content-length"]), (&PLACE, &PLACE));
        assert!(!format!("{headers:?}").contains("ours"));
    }
}
