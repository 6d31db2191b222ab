//! Faults as HTTP answers: shaped like a GraphQL response outside `/v2`, like `{"message"}` under it, and like OAuth's
//! where tokens are made.

mod oauth;

pub(crate) use oauth::oauth;

use crate::reply::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use model::{
    Fault, Reason,
    fault::{Details, PathSegment, VariableFault},
};
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// The media type of JSON.
pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"portals\"");
const CHALLENGE_INVALID: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"portals\", error=\"invalid_token\"");
const CHALLENGE_BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"portals\"");

/// A fault with what only HTTP says about it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) fault: Fault,
    pub(crate) headers: Headers,
}

/// What only HTTP says about a fault.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Headers {
    /// Nothing.
    #[default]
    None,
    /// The methods that the route knows.
    Allow(&'static str),
    /// That there was no token.
    NoToken,
    /// That the connection is of no more use.
    Close,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, headers: Headers::None }
    }
}

impl Refusal {
    pub(crate) fn new(fault: Fault, headers: Headers) -> Self {
        Self { fault, headers }
    }
}

/// Rides on a response to whoever logs and counts it.
#[derive(Clone, Debug)]
pub(crate) struct Failure(pub(crate) Arc<Fault>);

/// The status of a fault.
pub(crate) fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::BadRequest
        | Reason::InvalidGrant
        | Reason::UnsupportedGrantType
        | Reason::AuthorizationPending
        | Reason::SlowDown
        | Reason::AccessDenied
        | Reason::ExpiredToken => StatusCode::BAD_REQUEST,
        Reason::OperationNameRequired
        | Reason::OperationNotFound
        | Reason::VariablesInvalid
        | Reason::ValidationFailed => StatusCode::UNPROCESSABLE_ENTITY,
        Reason::Unauthenticated | Reason::InvalidClient => StatusCode::UNAUTHORIZED,
        Reason::Forbidden | Reason::IpNotAllowed | Reason::TokenRestricted => StatusCode::FORBIDDEN,
        Reason::NotFound => StatusCode::NOT_FOUND,
        Reason::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Reason::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Reason::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Reason::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Reason::Conflict => StatusCode::CONFLICT,
        Reason::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Reason::Internal | Reason::GrantUnknown | Reason::GrantInvalid => StatusCode::INTERNAL_SERVER_ERROR,
        Reason::UpstreamUnreachable
        | Reason::UpstreamUnauthorized
        | Reason::UpstreamError
        | Reason::UpstreamInvalidResponse
        | Reason::UpstreamResponseTooLarge => StatusCode::BAD_GATEWAY,
        Reason::Overloaded
        | Reason::RegistryUnavailable
        | Reason::ExecutorUnavailable
        | Reason::UpstreamCircuitOpen
        | Reason::UpstreamRateLimited
        | Reason::StorageUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Reason::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// The reason as the contract knows it: what only our services say to each other is our own fault.
pub(crate) fn told(fault: &Fault) -> (Reason, &str) {
    match fault.reason() {
        Reason::GrantUnknown | Reason::GrantInvalid | Reason::Internal => {
            (Reason::Internal, "something went wrong on our side")
        }
        Reason::StorageUnavailable => (Reason::RegistryUnavailable, fault.message()),
        reason => (reason, fault.message()),
    }
}

/// There is more to do than this process takes on.
pub(crate) fn overloaded() -> Fault {
    Fault::new(Reason::Overloaded, "too many calls at the same time").retry_after(Duration::from_secs(1))
}

#[derive(Serialize)]
struct ErrorResponse<'a> {
    errors: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    message: &'a str,
    extensions: Extensions<'a>,
}

#[derive(Default, Serialize)]
struct Extensions<'a> {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operations: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Vec<Step<'a>>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Step<'a> {
    Key(&'a str),
    Index(u32),
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

/// Shapes a refusal like a GraphQL response.
pub(crate) fn graphql(refusal: Refusal, media_type: HeaderValue) -> Response<Body> {
    let (reason, message) = told(&refusal.fault);
    let code = reason.code();
    let plain = Extensions { code, ..Extensions::default() };
    let errors = match refusal.fault.details() {
        Details::Operations(names) => {
            vec![Entry { message, extensions: Extensions { operations: Some(names), ..plain } }]
        }
        Details::Restricted { rule, variable } => {
            let (rule, variable) = (Some(rule.name()), variable.as_deref());
            vec![Entry { message, extensions: Extensions { rule, variable, ..plain } }]
        }
        Details::Variables(faults) if !faults.is_empty() => {
            faults.iter().map(|fault| variable_entry(code, fault)).collect()
        }
        Details::None | Details::Variables(_) => vec![Entry { message, extensions: plain }],
    };
    let body = write(&ErrorResponse { errors });
    finish(refusal, reason, body, media_type)
}

/// Shapes a refusal as `{"message"}`.
pub(crate) fn rest(refusal: Refusal) -> Response<Body> {
    let (reason, message) = told(&refusal.fault);
    let body = write(&Message { message });
    finish(refusal, reason, body, JSON)
}

/// The same answer, saying where it is so that the connection ends with it.
pub(crate) fn closing<B>(mut response: Response<B>, closes: bool) -> Response<B> {
    if closes {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn variable_entry<'a>(code: &'static str, fault: &'a VariableFault) -> Entry<'a> {
    let step = |segment: &'a PathSegment| match segment {
        PathSegment::Key(key) => Step::Key(key),
        PathSegment::Index(index) => Step::Index(*index),
    };
    let path = Some(fault.path.iter().map(step).collect());
    let variable = Some(fault.variable.as_str());
    Entry {
        message: &fault.message,
        extensions: Extensions { code, variable, path, ..Extensions::default() },
    }
}

/// Shapes a refusal as text, for whoever comes with a browser.
pub(crate) fn text(refusal: Refusal) -> Response<Body> {
    let (reason, message) = told(&refusal.fault);
    let body = format!("{message}\n").into_bytes();
    finish(refusal, reason, body, TEXT)
}

/// Writes JSON of our own making.
pub(crate) fn write(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("a value of strings and numbers has a JSON text")
}

fn finish(refusal: Refusal, reason: Reason, body: Vec<u8>, media_type: HeaderValue) -> Response<Body> {
    let Refusal { fault, headers: extra } = refusal;
    let mut response = Response::new(Body::from(Bytes::from(body)));
    *response.status_mut() = status(reason);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type);
    match (reason, extra) {
        (Reason::Unauthenticated, Headers::NoToken) => {
            headers.insert(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        (Reason::Unauthenticated, _) => {
            headers.insert(header::WWW_AUTHENTICATE, CHALLENGE_INVALID);
        }
        (Reason::InvalidClient, _) => {
            headers.insert(header::WWW_AUTHENTICATE, CHALLENGE_BASIC);
        }
        (_, Headers::Allow(methods)) => {
            headers.insert(header::ALLOW, HeaderValue::from_static(methods));
        }
        (_, Headers::Close) => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        (_, Headers::None | Headers::NoToken) => {}
    }
    if let Some(wait) = retry_after(reason, &fault) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    response.extensions_mut().insert(Failure(Arc::new(fault)));
    response
}

/// Whole seconds after which another try may succeed: at least one, wherever the contract promises it.
fn retry_after(reason: Reason, fault: &Fault) -> Option<u64> {
    let promised = matches!(status(reason), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
    promised.then(|| {
        let wait = fault.wait().unwrap_or_default();
        wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
    })
}
