//! The routes, and what holds for every request whatever its route.

use crate::{
    answer::{self, Failure, Headers, Refusal},
    authorization::PortalName,
    body, invocation, media, rest,
    room::Inner,
};
use axum::{
    Router,
    extract::{Path, Request, State, rejection::PathRejection},
    middleware::{self, Next},
    response::Response,
    routing::post,
};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Uri, header};
use model::{Fault, Reason, fault::Chain};
use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};
use tracing::Instrument;
use uuid::Uuid;

/// What a request is known by, in answers and in the log.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) HeaderValue);

const REQUEST_ID: &str = "x-request-id";
const MAX_REQUEST_ID_BYTES: usize = 128;
/// The most bytes of a request's target and header fields together; a target that is too long is refused so too.
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_FIELDS: usize = 100;
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

impl RequestId {
    /// The caller's, if it is of 1 to 128 visible ASCII characters, else a new one.
    fn of(headers: &HeaderMap) -> Self {
        let fits = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=MAX_REQUEST_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        };
        let made = || HeaderValue::from_str(&Uuid::new_v4().to_string()).expect("a UUID is visible ASCII");
        Self(headers.get(REQUEST_ID).filter(fits).cloned().unwrap_or_else(made))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// All routes of the edge.
pub(crate) fn router(edge: Arc<Inner>) -> Router {
    Router::new()
        .route("/organizations/{organization}/portals/{portal}", post(invoke).fallback(not_allowed))
        .merge(rest::routes())
        .fallback(no_route)
        // Outermost, so that no answer leaves without its request id and no failure without its line in the log.
        .layer(middleware::from_fn_with_state(Arc::clone(&edge), every_request))
        .with_state(edge)
}

async fn invoke(
    State(edge): State<Arc<Inner>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    // What cannot be decoded is nobody's name.
    let (organization, portal) = path.map(|Path(path)| path).unwrap_or_default();
    invocation::invoke(edge, PortalName::read(&organization, &portal), request).await
}

async fn not_allowed(request: Request) -> Response {
    let fault = Fault::new(Reason::MethodNotAllowed, "a portal is invoked with POST");
    refused(request, Refusal::new(fault, Headers::Allow("POST"))).await
}

async fn no_route(request: Request) -> Response {
    if is_rest(request.uri()) {
        return answer::rest(Fault::new(Reason::NotFound, "Not Found").into());
    }
    refused(request, Fault::new(Reason::NotFound, "there is no such route").into()).await
}

async fn refused(mut request: Request, refusal: Refusal) -> Response {
    let media_type = media::answer_type(request.headers());
    let headers = std::mem::take(request.headers_mut());
    let reusable = body::discard(request.body_mut(), &headers, refusal.fault.reason()).await;
    answer::closing(answer::graphql(refusal, media_type), !reusable)
}

fn is_rest(uri: &Uri) -> bool {
    uri.path() == "/v2" || uri.path().starts_with("/v2/")
}

async fn every_request(State(edge): State<Arc<Inner>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    let rest = is_rest(request.uri());
    let span = tracing::info_span!("request", request_id = id.as_str());
    let mut response = match head_refusal(&request) {
        Some(refusal) if rest => answer::rest(refusal),
        Some(refusal) => answer::graphql(refusal, media::answer_type(request.headers())),
        None => {
            let wanted = media::answer_type(request.headers());
            request.extensions_mut().insert(id.clone());
            let lent = if rest { Some(rest::lend_body(&mut request)) } else { None };
            // A panic is this call's failure and nobody else's on the connection.
            let run = AssertUnwindSafe(next.run(request).instrument(span.clone())).catch_unwind();
            let response = run.await.unwrap_or_else(|_| {
                let refusal = Fault::internal("the call panicked").into();
                if rest { answer::rest(refusal) } else { answer::graphql(refusal, wanted) }
            });
            match lent {
                Some(lent) => lent.discard(response).await,
                None => response,
            }
        }
    };
    let failure = response.extensions_mut().remove::<Failure>();
    if let Some(Failure(fault)) = &failure {
        span.in_scope(|| log(fault));
    }
    if !rest {
        let code = failure.map(|Failure(fault)| answer::told(&fault).0.code());
        edge.metrics.invocation(response.status(), code, started.elapsed());
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.0);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    response
}

/// Refuses what is too large, or what somebody on the way may have read otherwise, before anything looks at it.
fn head_refusal(request: &Request) -> Option<Refusal> {
    let headers = request.headers();
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let fields = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    if headers.len() > MAX_FIELDS || fields.sum::<usize>() + target > MAX_HEAD_BYTES {
        let message = "the request's target and header fields are too large";
        return Some(Refusal::new(Fault::new(Reason::HeadersTooLarge, message), Headers::Close));
    }
    // A Content-Length beside it is gone by now: hyper lets the coding count and closes after the answer (RFC 9112, 6.3).
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Some(ambiguous("Transfer-Encoding must be chunked alone"));
    }
    for name in [header::HOST, header::TRANSFER_ENCODING] {
        if headers.get_all(&name).iter().nth(1).is_some() {
            return Some(ambiguous("Host and Transfer-Encoding must not be given twice"));
        }
    }
    None
}

fn ambiguous(message: &'static str) -> Refusal {
    Refusal::new(Fault::new(Reason::BadRequest, message), Headers::Close)
}

/// The one line of a failed call: our own failures aloud, the caller's and the upstream's as quietly as they are common.
fn log(fault: &Fault) {
    let (code, error) = (fault.reason().code(), Chain(fault));
    let status = answer::status(fault.reason());
    if status == http::StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(code, error = %error, "call failed");
    } else if status.is_server_error() {
        tracing::warn!(code, error = %error, "call failed");
    } else {
        tracing::debug!(code, error = %error, "call refused");
    }
}
