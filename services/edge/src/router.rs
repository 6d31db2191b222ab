//! Which way a request goes, and what holds for every request whatever its way.
//!
//! Invocations go straight to their stages. A router stands before the management alone, which can afford it.

use crate::{
    answer::{self, Failure, Headers, Refusal},
    authorization::PortalName,
    body,
    client::{Connection, PeerAddress},
    exchange, invocation, media,
    reply::Body,
    rest,
    room::Inner,
    sign_in,
};
use axum::Router;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use model::{Fault, Reason, fault::Cause};
use percent_encoding::percent_decode_str;
use std::{
    borrow::Cow,
    cell::Cell,
    hash::{BuildHasher, RandomState},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Instant,
};
use tower::ServiceExt;
use tracing::Instrument;
use uuid::Uuid;

/// Where a member goes with a code.
pub(crate) const DEVICE: &str = "/device";

/// What is asked for of a portal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wanted {
    Token,
    Code,
}

/// What a request is known by, in answers and in the log.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) HeaderValue);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID_BYTES: usize = 128;
/// The most bytes of a request's target and header fields together; a target that is too long is refused so too.
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_FIELDS: usize = 100;
/// No slug, and so no portal's name.
const NOBODY: &str = "";
const DEVICE_TEXT: &str = "\
Somebody asks for a token of a portal in your name. Look at what it is for, and approve or deny it:

    portals code show CODE
    portals code authorize CODE --revision NUMBER
    portals code deny CODE

The code stands where it was asked for, and at the end of this page's address. Approve none that you did not ask for.
";
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

impl RequestId {
    /// The caller's, if it is of 1 to 128 visible ASCII characters, else a new one.
    fn of(headers: &HeaderMap) -> Self {
        let fits = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=MAX_REQUEST_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        };
        Self(headers.get(REQUEST_ID).filter(fits).cloned().unwrap_or_else(Self::made))
    }

    /// A new one: the next number of this thread under two keys that are random and its own, so that no other thread
    /// or process comes to the same, and nobody is asked for randomness each time.
    fn made() -> HeaderValue {
        thread_local! {
            static KEYS: [RandomState; 2] = Default::default();
            static NEXT: Cell<u64> = const { Cell::new(0) };
        }
        let number = NEXT.replace(NEXT.get().wrapping_add(1));
        let [high, low] = KEYS.with(|keys| keys.each_ref().map(|key| u128::from(key.hash_one(number))));
        let uuid = uuid::Builder::from_random_bytes((high << 64 | low).to_be_bytes()).into_uuid();
        let mut text = Uuid::encode_buffer();
        HeaderValue::from_str(uuid.hyphenated().encode_lower(&mut text)).expect("a UUID is visible ASCII")
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// The edge, as one thread serves it: takes requests, gives answers.
#[derive(Clone)]
pub struct Service {
    edge: Arc<Inner>,
    rest: Router,
}

impl Service {
    pub(crate) fn new(edge: Arc<Inner>) -> Self {
        Self { rest: rest::routes().fallback(rest::no_route).with_state(Arc::clone(&edge)), edge }
    }

    /// Answers a request that came on `connection`.
    ///
    /// No `async fn`, which would keep the request twice; nor are those that it is handed to.
    pub fn answer<'a, B>(
        &'a self,
        connection: &'a Connection,
        request: Request<B>,
    ) -> impl Future<Output = Response<Body>> + Send + 'a
    where
        B: http_body::Body<Data = Bytes, Error: Into<Cause>> + Send + Unpin + 'static,
    {
        let started = Instant::now();
        let id = RequestId::of(request.headers());
        async move {
            // What is boxed comes seldom, and so is not to be carried along by all the others.
            let mut response = if is_rest(request.uri()) {
                Box::pin(self.manage(&id, connection.peer(), request)).await
            } else if let Some((name, wanted)) = exchanged(request.uri().path()) {
                Box::pin(self.exchange(&id, connection.peer(), name, wanted, request)).await
            } else if sign_in::is(request.uri().path()) {
                Box::pin(self.sign_in(&id, connection.peer(), request)).await
            } else {
                let response = not_rest(&self.edge, &id, connection, request, started).await;
                return self.finish(started, id, response);
            };
            if let Some(Failure(fault)) = response.extensions_mut().remove() {
                self.edge.log.failed(id.as_str(), &fault);
            }
            mark(response.headers_mut(), id);
            response
        }
    }

    /// Logs and counts what is no management.
    fn finish(&self, started: Instant, id: RequestId, mut response: Response<Body>) -> Response<Body> {
        let failure = response.extensions_mut().remove::<Failure>();
        if let Some(Failure(fault)) = &failure {
            self.edge.log.failed(id.as_str(), fault);
        }
        let code = failure.map(|Failure(fault)| answer::told(&fault).0.code());
        self.edge.metrics.invocation(response.status(), code, started.elapsed());
        mark(response.headers_mut(), id);
        response
    }

    /// The answer to a request of which not even the head could be read; `status` says why.
    pub fn unread(&self, status: StatusCode) -> Response<Body> {
        let refusal = match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG => too_large(),
            _ => ambiguous("the request's head is not that of an HTTP/1.1 request"),
        };
        self.finish(Instant::now(), RequestId(RequestId::made()), answer::graphql(refusal, answer::JSON))
    }

    async fn manage<B>(&self, id: &RequestId, peer: PeerAddress, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Cause>> + Send + Unpin + 'static,
    {
        let span = tracing::info_span!("request", request_id = id.as_str());
        match head_refusal(request.version(), request.uri(), request.headers()) {
            Some(refusal) => answer::rest(refusal),
            None => {
                let mut request = request.map(axum::body::Body::new);
                request.extensions_mut().insert(id.clone());
                request.extensions_mut().insert(peer);
                let lent = rest::lend_body(&mut request);
                let run = self.rest.clone().oneshot(request).instrument(span);
                let response = match AssertUnwindSafe(run).catch_unwind().await {
                    Ok(Ok(response)) => response.map(Body::from),
                    Ok(Err(never)) => match never {},
                    Err(_) => answer::rest(panicked().into()),
                };
                lent.discard(response).await
            }
        }
    }

    async fn exchange<B>(
        &self,
        id: &RequestId,
        peer: PeerAddress,
        name: PortalName,
        wanted: Wanted,
        request: Request<B>,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Cause>> + Unpin,
    {
        if let Some(refusal) = head_refusal(request.version(), request.uri(), request.headers()) {
            return answer::oauth(refusal);
        }
        let run = async {
            match wanted {
                Wanted::Token => exchange::answer(&self.edge, id, peer, &name, request).await,
                Wanted::Code => exchange::answer_code(&self.edge, id, peer, &name, request).await,
            }
        };
        AssertUnwindSafe(run).catch_unwind().await.unwrap_or_else(|_| answer::oauth(panicked().into()))
    }

    async fn sign_in<B>(&self, id: &RequestId, peer: PeerAddress, request: Request<B>) -> Response<Body> {
        if let Some(refusal) = head_refusal(request.version(), request.uri(), request.headers()) {
            return answer::text(refusal);
        }
        let run = sign_in::answer(&self.edge, id, peer, request);
        AssertUnwindSafe(run).catch_unwind().await.unwrap_or_else(|_| answer::text(panicked().into()))
    }
}

/// Writes what every answer has.
fn mark(headers: &mut HeaderMap, id: RequestId) {
    headers.insert(REQUEST_ID, id.0);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
}

/// An invocation, or what nobody expects here.
#[allow(clippy::manual_async_fn, reason = "it would keep the request twice")]
fn not_rest<'a, B>(
    edge: &'a Inner,
    id: &'a RequestId,
    connection: &'a Connection,
    mut request: Request<B>,
    arrived: Instant,
) -> impl Future<Output = Response<Body>>
where
    B: http_body::Body<Data = Bytes, Error: Into<Cause>> + Unpin,
{
    async move {
        if let Some(refusal) = head_refusal(request.version(), request.uri(), request.headers()) {
            return answer::graphql(refusal, media::answer_type(request.headers()));
        }
        let refusal = match invoked(request.uri().path()) {
            Some(name) if request.method() == Method::POST => {
                let wanted = media::answer_type(request.headers());
                // A panic is this call's failure and nobody else's on the connection.
                let run = invocation::invoke(edge, id, connection, name, request, arrived, wanted.clone());
                return AssertUnwindSafe(run)
                    .catch_unwind()
                    .await
                    .unwrap_or_else(|_| answer::graphql(panicked().into(), wanted));
            }
            Some(_) => {
                let fault = Fault::new(Reason::MethodNotAllowed, "a portal is invoked with POST");
                Refusal::new(fault, Headers::Allow("POST"))
            }
            None if request.uri().path() == DEVICE => return device(request.method()),
            None => Fault::new(Reason::NotFound, "there is no such route").into(),
        };
        let media_type = media::answer_type(request.headers());
        let headers = std::mem::take(request.headers_mut());
        let reusable = body::discard(request.body_mut(), &headers, refusal.fault.reason()).await;
        answer::closing(answer::graphql(refusal, media_type), !reusable)
    }
}

/// What a member reads who goes there with a browser.
fn device(method: &Method) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        let fault = Fault::new(Reason::MethodNotAllowed, "there is nothing here but to read");
        return answer::graphql(Refusal::new(fault, Headers::Allow("GET, HEAD")), answer::JSON);
    }
    let mut response = Response::new(Body::from(Bytes::from_static(DEVICE_TEXT.as_bytes())));
    response.headers_mut().insert(header::CONTENT_TYPE, answer::TEXT);
    response
}

fn panicked() -> Fault {
    Fault::internal("the call panicked")
}

/// The portal that a path invokes: `/organizations/{organization}/portals/{portal}`.
fn invoked(path: &str) -> Option<PortalName> {
    let (organization, rest) = path.strip_prefix("/organizations/")?.split_once('/')?;
    let portal = rest.strip_prefix("portals/")?;
    if organization.is_empty() || portal.is_empty() || portal.contains('/') {
        return None;
    }
    Some(PortalName::read(&decoded(organization), &decoded(portal)))
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    // What cannot be decoded is nobody's name.
    percent_decode_str(text).decode_utf8().unwrap_or(Cow::Borrowed(NOBODY))
}

/// What a path asks for of which portal: `/organizations/{organization}/portals/{portal}/tokens` and `…/codes`.
fn exchanged(path: &str) -> Option<(PortalName, Wanted)> {
    let (portal, wanted) = match path.strip_suffix("/tokens") {
        Some(portal) => (portal, Wanted::Token),
        None => (path.strip_suffix("/codes")?, Wanted::Code),
    };
    Some((invoked(portal)?, wanted))
}

fn is_rest(uri: &Uri) -> bool {
    uri.path() == "/v2" || uri.path().starts_with("/v2/")
}

/// Refuses what is too large, or what somebody on the way may have read otherwise, before anything looks at it.
fn head_refusal(version: Version, uri: &Uri, headers: &HeaderMap) -> Option<Refusal> {
    let mut bytes = uri.path_and_query().map_or(0, |target| target.as_str().len());
    let (mut hosts, mut codings, mut chunked) = (0, 0, true);
    for (name, value) in headers {
        bytes += name.as_str().len() + value.len();
        if name == header::HOST {
            hosts += 1;
        } else if name == header::TRANSFER_ENCODING {
            codings += 1;
            chunked &= value.as_bytes().eq_ignore_ascii_case(b"chunked");
        }
    }
    if headers.len() > MAX_FIELDS || bytes > MAX_HEAD_BYTES {
        return Some(too_large());
    }
    // A Content-Length beside it is gone by now: hyper lets the coding count and closes after the answer (RFC 9112, 6.3).
    if !chunked {
        return Some(ambiguous("Transfer-Encoding must be chunked alone"));
    }
    let (http1, absolute) = (version == Version::HTTP_11, uri.authority().is_some());
    if http1 && !absolute && hosts == 0 {
        return Some(ambiguous("Host must be given"));
    }
    if hosts > 1 || codings > 1 {
        return Some(ambiguous("Host and Transfer-Encoding must not be given twice"));
    }
    None
}

fn too_large() -> Refusal {
    let message = "the request's target and header fields are too large";
    Refusal::new(Fault::new(Reason::HeadersTooLarge, message), Headers::Close)
}

fn ambiguous(message: &'static str) -> Refusal {
    Refusal::new(Fault::new(Reason::BadRequest, message), Headers::Close)
}
