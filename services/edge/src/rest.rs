//! Managing organizations, portals, tokens and members: JSON in and out, the registry's administration behind it.
//!
//! It checks the form of what is sent and nothing of its meaning: that is the registry's.

mod access_token;
mod access_tokens;
mod audit_events;
mod codes;
mod describe;
mod example;
mod invitations;
mod members;
mod openapi;
mod organizations;
mod page;
mod portals;
mod precondition;
mod properties;
mod quota;
mod render;
pub(crate) mod restrictions;
mod route;
mod secrets;
mod sent;
mod sessions;
mod shared;
mod text;
mod tokens;
mod trusted_issuers;
mod upstream_credentials;
mod user;
mod users;

use crate::{
    answer::{self, Headers, Refusal},
    authorization::NO_SLUG,
    body::{self, Limits},
    client, media,
    room::Inner,
    router::RequestId,
};
use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};

use model::{Bearer, Fault, Fingerprint, Reason, Slug};
use percent_encoding::percent_decode_str;
use properties::Properties;
use proto::{
    Channel, MAX_CHANGE_BYTES, MAX_MESSAGE_BYTES, MAX_PAGE_BYTES,
    registry::v1::{
        DescribeAccessTokenRequest, administration_service_client::AdministrationServiceClient,
        code_service_client::CodeServiceClient, membership_service_client::MembershipServiceClient,
        sign_in_service_client::SignInServiceClient,
    },
};
use quota::Caller;
use route::Noun;
use serde::Serialize;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::OwnedSemaphorePermit, time};
use tonic::{Status, metadata::AsciiMetadataValue};
use uuid::Uuid;

pub(crate) use quota::Quotas;

/// How long the registry may take; a change waits until the last edge has heard of it or lost its lease.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes of a body: enough that a document which is too large is refused as one, with all that is said of it.
const BODY_BYTES: usize = 3 << 20;
/// The same where it may be the schema of an upstream.
const LARGE_BODY_BYTES: usize = 9 << 20;
/// The same where nobody knows who sends it.
const VISITOR_BODY_BYTES: usize = 16 << 10;

/// The registry's administration.
pub(crate) type Client = AdministrationServiceClient<Channel>;

/// The registry's memberships.
pub(crate) type MembershipClient = MembershipServiceClient<Channel>;

/// Reaches the administration over `channel`.
pub(crate) fn client(channel: Channel) -> Client {
    Client::new(channel).max_decoding_message_size(MAX_PAGE_BYTES).max_encoding_message_size(MAX_CHANGE_BYTES)
}

/// Reaches the memberships over `channel`.
pub(crate) fn membership_client(channel: Channel) -> MembershipClient {
    MembershipClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The registry's way in.
pub(crate) type SignInClient = SignInServiceClient<Channel>;

/// Reaches the way in over `channel`.
pub(crate) fn sign_in_client(channel: Channel) -> SignInClient {
    SignInClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The registry's codes.
pub(crate) type CodeClient = CodeServiceClient<Channel>;

/// Reaches the codes over `channel`.
pub(crate) fn code_client(channel: Channel) -> CodeClient {
    CodeClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The routes under `/v2`.
pub(crate) fn routes() -> Router<Arc<Inner>> {
    route::router()
}

/// All there is under `/v2`: served and told in this order.
fn nouns() -> Vec<Noun> {
    vec![
        organizations::noun(),
        portals::noun(),
        tokens::noun(),
        secrets::noun(),
        trusted_issuers::noun(),
        audit_events::noun(),
        members::noun(),
        invitations::noun(),
        users::noun(),
        sessions::noun(),
        codes::noun(),
        user::noun(),
        upstream_credentials::noun(),
        access_tokens::noun(),
        access_token::noun(),
        openapi::noun(),
    ]
}

/// Answers for a path that nothing stands under.
pub(crate) async fn no_route() -> Response {
    Refused::from(Fault::new(Reason::NotFound, "Not Found")).into_response()
}

fn not_allowed(allow: &'static str) -> Response {
    let fault = Fault::new(Reason::MethodNotAllowed, "Method Not Allowed");
    Refused(Refusal::new(fault, Headers::Allow(allow))).into_response()
}

/// The body of a request, in the hands of whoever reads it; what is left of it is read away in the end.
#[derive(Clone, Debug)]
pub(crate) struct Lent {
    body: Arc<Mutex<Option<Body>>>,
    headers: HeaderMap,
}

/// Takes the body out of a request and lends it to the request's handler.
pub(crate) fn lend_body(request: &mut Request) -> Lent {
    let body = Arc::new(Mutex::new(Some(std::mem::take(request.body_mut()))));
    let mut headers = HeaderMap::new();
    if let Some(expect) = request.headers().get(header::EXPECT) {
        headers.insert(header::EXPECT, expect.clone());
    }
    let lent = Lent { body, headers };
    request.extensions_mut().insert(lent.clone());
    lent
}

impl Lent {
    fn take(&self) -> Body {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    fn give_back(&self, body: Body) {
        *self.body.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
    }

    /// Reads away what nobody read.
    pub(crate) async fn discard<B>(self, response: Response<B>) -> Response<B> {
        let reason = match response.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Reason::PayloadTooLarge,
            _ => Reason::BadRequest,
        };
        let reusable = body::discard(&mut self.take(), &self.headers, reason).await;
        answer::closing(response, !reusable)
    }
}

/// A refusal that leaves as `{"message"}`.
#[derive(Debug)]
struct Refused(Refusal);

impl<T: Into<Refusal>> From<T> for Refused {
    fn from(refusal: T) -> Self {
        Self(refusal.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        answer::rest(self.0).map(Body::new)
    }
}

type Answered = Result<Response, Refused>;

/// A request with who makes it.
struct Asked {
    edge: Arc<Inner>,
    /// The path as it was sent.
    route: String,
    query: Option<String>,
    headers: HeaderMap,
    body: Option<Lent>,
    /// The names in the path.
    path: Vec<String>,
    /// Who the quotas know this as.
    caller: Caller,
    /// The access token that was presented, if one was.
    authorization: Option<AsciiMetadataValue>,
    client_address: Option<AsciiMetadataValue>,
    request_id: Option<AsciiMetadataValue>,
    /// While it is held, the request counts as a call in flight; strangers take none of what calls need.
    _permit: Option<OwnedSemaphorePermit>,
}

impl FromRequestParts<Arc<Inner>> for Asked {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Inner>) -> Result<Self, Refused> {
        let bearer = client::bearer(&parts.headers)?;
        let permit = Arc::clone(&edge.calls).try_acquire_owned().map_err(|_| answer::overloaded())?;
        Self::read(parts, edge, Some(bearer), Some(permit))
    }
}

/// A request of whoever may have no access token.
struct Visiting(Asked);

impl FromRequestParts<Arc<Inner>> for Visiting {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Inner>) -> Result<Self, Refused> {
        let presents = parts.headers.contains_key(header::AUTHORIZATION);
        let bearer = presents.then(|| client::bearer(&parts.headers)).transpose()?;
        Asked::read(parts, edge, bearer, None).map(Self)
    }
}

/// The names in a path under `/v2`, where every other segment is one, beginning with the second, or with the third
/// below a user's own; what cannot be decoded is nobody's name.
fn names(path: &str) -> Vec<String> {
    let decoded = |segment| percent_decode_str(segment).decode_utf8().unwrap_or_default().into_owned();
    let first = if path.starts_with("/v2/user/") { 4 } else { 3 };
    path.split('/').skip(first).step_by(2).map(decoded).collect()
}

/// How a bearer is passed on.
fn authorization(bearer: &Bearer) -> AsciiMetadataValue {
    let text = format!("Bearer {}", bearer.expose());
    let mut value = AsciiMetadataValue::try_from(text).expect("a bearer is visible ASCII");
    value.set_sensitive(true);
    value
}

impl Asked {
    /// Takes what is known of a request but its body.
    fn read(
        parts: &mut Parts,
        edge: &Arc<Inner>,
        bearer: Option<Bearer>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Self, Refused> {
        let peer = parts.extensions.get().copied().unwrap_or(client::PeerAddress(None));
        let address = client::address(peer, &parts.headers, &edge.config.trusted_proxies)?;
        let token = bearer.as_ref().map_or_else(|| Fingerprint::of(&[]), Bearer::fingerprint);
        let request_id = parts.extensions.get::<RequestId>().map(RequestId::as_str);
        Ok(Self {
            edge: Arc::clone(edge),
            path: names(parts.uri.path()),
            caller: Caller::new(token, address),
            authorization: bearer.as_ref().map(authorization),
            client_address: address.and_then(|address| address.to_string().parse().ok()),
            request_id: request_id.and_then(|id| id.parse().ok()),
            body: parts.extensions.get().cloned(),
            query: parts.uri.query().map(str::to_owned),
            route: parts.uri.path().to_owned(),
            headers: std::mem::take(&mut parts.headers),
            _permit: permit,
        })
    }

    /// A slug of the path; one that is none is asked for as what nothing is named.
    fn slug(&self, index: usize) -> String {
        let slug = self.path.get(index).and_then(|text| text.parse::<Slug>().ok());
        slug.map_or_else(|| NO_SLUG.to_owned(), |slug| slug.to_string())
    }

    /// A UUID of the path; what is none is nothing's.
    fn uuid(&self, index: usize) -> String {
        let uuid = self.path.get(index).and_then(|text| Uuid::parse_str(text).ok());
        uuid.unwrap_or_default().to_string()
    }

    /// The memberships, for one call.
    fn membership(&self) -> MembershipClient {
        self.edge.membership.clone()
    }

    /// The codes, for one call.
    fn codes(&self) -> CodeClient {
        self.edge.codes.clone()
    }

    /// The way in, for one call.
    fn sign_in(&self) -> SignInClient {
        self.edge.sign_in.clone()
    }

    /// The administration, for one call.
    fn registry(&self) -> Client {
        self.edge.administration.clone()
    }

    /// `message` with who asks.
    fn message<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(CALL_TIMEOUT);
        let metadata = request.metadata_mut();
        if let Some(authorization) = &self.authorization {
            metadata.insert("authorization", authorization.clone());
        }
        if let Some(address) = &self.client_address {
            metadata.insert("portals-client-address", address.clone());
        }
        if let Some(id) = &self.request_id {
            metadata.insert("portals-request-id", id.clone());
        }
        request
    }

    /// Reads the body, once it is known that the caller may send it.
    async fn properties(&self, scope: Option<&'static str>, bytes: usize) -> Result<Properties, Refused> {
        self.admitted(scope).await?;
        self.body(bytes).await
    }

    /// Whether the access token is one, and has a scope.
    async fn admitted(&self, scope: Option<&'static str>) -> Result<(), Refused> {
        let token =
            answered(self.registry().describe_access_token(self.message(DescribeAccessTokenRequest {})))
                .await?;
        if let Some(scope) = scope.filter(|scope| !token.scopes.iter().any(|held| held == scope)) {
            let message = format!("the API access token lacks the scope {scope}");
            return Err(Fault::new(Reason::Forbidden, message).into());
        }
        Ok(())
    }

    /// Reads the body, of at most so many bytes.
    async fn body(&self, bytes: usize) -> Result<Properties, Refused> {
        let limits = Limits { bytes, until: Instant::now() + self.edge.config.body_timeout };
        let body_type = media::body_type(&self.headers);
        if matches!(body_type, media::BodyType::Form | media::BodyType::Other) {
            return Err(body::unsupported().into());
        }
        let mut body = self.body.as_ref().map(Lent::take).unwrap_or_default();
        let read = body::read(&mut body, limits).await;
        self.body.as_ref().inspect(|lent| lent.give_back(body));
        let text = read?;
        if body_type == media::BodyType::Unsaid && !text.is_empty() {
            return Err(body::unsupported().into());
        }
        Ok(Properties::parse(&text)?)
    }

    /// An absolute URL of this service.
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.edge.config.public_url.trim_end_matches('/'))
    }
}

/// Waits for the registry's answer.
pub(crate) async fn answered<T>(
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Fault> {
    let late = |_| Fault::new(Reason::RegistryUnavailable, "the registry took too long");
    let answer = time::timeout(CALL_TIMEOUT, call).await.map_err(late)?;
    let read = |status| proto::fault::read_status(status, Reason::RegistryUnavailable);
    answer.map(tonic::Response::into_inner).map_err(read)
}

/// What every answer of the registry has, and a broken one has not.
fn present<T>(field: Option<T>) -> Result<T, Fault> {
    field.ok_or_else(|| Fault::internal("the registry's answer lacks what was asked for"))
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut response = Response::new(Body::from(answer::write(value)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, answer::JSON);
    response
}

fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn insert(headers: &mut HeaderMap, name: http::HeaderName, value: &str) {
    // A public URL that cannot stand in a header field is left out rather than bent.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
