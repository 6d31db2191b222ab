//! `POST …/tokens` and `POST …/codes`: what a caller holds for a token of a portal, in this API's JSON or as plain OAuth 2.0.
//!
//! It checks the form of what is sent, and puts it to the registry, which decides.

mod codes;
mod credentials;
mod grant;
mod parameters;

use crate::{
    answer::{self, Headers, Refusal},
    authorization::PortalName,
    body::{self, Limits},
    client::{self, PeerAddress},
    media,
    reply::Body,
    rest::restrictions,
    room::Inner,
    router::RequestId,
};
use bytes::Bytes;
pub(crate) use codes::answer as answer_code;
use http::{HeaderValue, Method, Request, Response, header, request::Parts};
use model::{Fault, Reason, fault::Cause};
use parameters::Parameters;
use proto::{
    Channel, MAX_MESSAGE_BYTES,
    registry::v1::{
        ExchangeTokenRequest, ExchangeTokenResponse, exchange_token_request::Grant,
        registry_service_client::RegistryServiceClient,
    },
    time::Timestamp,
};
use serde::Serialize;
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time;
use tonic::Status;

/// The most exchanges at a time: strangers can ask for one, and must not take what calls need.
pub(crate) const MAX_EXCHANGES: usize = 256;
/// How long the registry may take, which waits for its turn to write.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// The most bytes of a body, for nobody is known before it is read.
const BODY_BYTES: usize = 64 << 10;

/// The registry, as far as it makes tokens.
pub(crate) type Client = RegistryServiceClient<Channel>;

/// Reaches the registry over `channel`.
pub(crate) fn client(channel: Channel) -> Client {
    Client::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// A new token, in the words of this API and in those of OAuth.
#[derive(Serialize)]
struct Exchanged {
    token: String,
    expires_at: Option<String>,
    access_token: String,
    token_type: &'static str,
    /// In seconds, though a request counts minutes.
    expires_in: u32,
    /// What kind of token this is, for whoever exchanged another (RFC 8693, section 2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

/// Answers a request for a token of the portal that `name` names.
pub(crate) async fn answer<B>(
    edge: &Inner,
    id: &RequestId,
    peer: PeerAddress,
    name: &PortalName,
    request: Request<B>,
) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error: Into<Cause>> + Unpin,
{
    let (parts, mut body) = request.into_parts();
    match exchange(edge, id, peer, name, &parts, &mut body).await {
        Ok((exchanged, is_for_another)) => write(exchanged, is_for_another),
        Err(refusal) => {
            let reusable = body::discard(&mut body, &parts.headers, refusal.fault.reason()).await;
            answer::closing(answer::oauth(refusal), !reusable)
        }
    }
}

/// The new token, and whether it is for another token.
async fn exchange<B>(
    edge: &Inner,
    id: &RequestId,
    peer: PeerAddress,
    name: &PortalName,
    parts: &Parts,
    body: &mut B,
) -> Result<(ExchangeTokenResponse, bool), Refusal>
where
    B: http_body::Body<Data = Bytes, Error: Into<Cause>> + Unpin,
{
    if parts.method != Method::POST {
        let fault = Fault::new(Reason::MethodNotAllowed, "a token is asked for with POST");
        return Err(Refusal::new(fault, Headers::Allow("POST")));
    }
    let address = client::address(peer, &parts.headers, &edge.config.trusted_proxies)?;
    let mut parameters = read(edge, parts, body).await?;
    let expires_in_minutes = parameters.whole_number("expires_in")?;
    let grant = grant::read(&parts.headers, &mut parameters)?;
    let restrictions = restrictions::read(parameters.json(&restrictions::PROPERTIES)?)?;
    let is_for_another = matches!(grant, Grant::IdentityToken(_));
    let grant = Some(grant);
    let (organization, portal) = (name.organization().to_owned(), name.portal().to_owned());
    let message = ExchangeTokenRequest { organization, portal, expires_in_minutes, grant, restrictions };
    let _permit = Arc::clone(&edge.exchanges).try_acquire_owned().map_err(|_| answer::overloaded())?;
    let mut registry = edge.exchange.clone();
    let answered = answered(registry.exchange_token(asked(message, id, address))).await?;
    Ok((answered, is_for_another))
}

/// `message` with from where it comes.
pub(crate) fn asked<T>(message: T, id: &RequestId, address: Option<IpAddr>) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    let metadata = request.metadata_mut();
    if let Some(address) = address.and_then(|address| address.to_string().parse().ok()) {
        metadata.insert("portals-client-address", address);
    }
    if let Ok(id) = id.as_str().parse() {
        metadata.insert("portals-request-id", id);
    }
    request
}

/// Waits for the registry's answer.
pub(crate) async fn answered<T>(
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Fault> {
    let late = |_| Fault::new(Reason::RegistryUnavailable, "the registry took too long");
    let answered = time::timeout(CALL_TIMEOUT, call).await.map_err(late)?;
    answered
        .map(tonic::Response::into_inner)
        .map_err(|status| proto::fault::read_status(status, Reason::RegistryUnavailable))
}

/// Reads the parameters, in whichever way they are written.
async fn read<B>(edge: &Inner, parts: &Parts, body: &mut B) -> Result<Parameters, Refusal>
where
    B: http_body::Body<Data = Bytes, Error: Into<Cause>> + Unpin,
{
    let limits = Limits { bytes: BODY_BYTES, until: Instant::now() + edge.config.body_timeout };
    let read = match media::body_type(&parts.headers) {
        media::BodyType::Json => Parameters::of_json,
        media::BodyType::Form => Parameters::of_form,
        media::BodyType::Unsaid | media::BodyType::Other => {
            let message =
                "the body must be of the media type application/json or application/x-www-form-urlencoded";
            return Err(Fault::new(Reason::UnsupportedMediaType, message).into());
        }
    };
    Ok(read(&body::read(body, limits).await?)?)
}

fn write(exchanged: ExchangeTokenResponse, is_for_another: bool) -> Response<Body> {
    told(&Exchanged {
        expires_at: time_of(exchanged.expires_at),
        token: exchanged.token.clone(),
        access_token: exchanged.token,
        token_type: "Bearer",
        expires_in: exchanged.expires_in_seconds,
        issued_token_type: is_for_another.then_some(grant::ACCESS_TOKEN),
    })
}

fn time_of(time: Option<Timestamp>) -> Option<String> {
    time.and_then(proto::time::read).and_then(proto::time::text_of_seconds)
}

fn told(what: &impl Serialize) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from(answer::write(what))));
    response.headers_mut().insert(header::CONTENT_TYPE, answer::JSON);
    // RFC 6749, section 5.1, asks for it beside Cache-Control.
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
