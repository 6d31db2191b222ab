//! `POST …/codes`: a code for whoever wants a token of a portal and asks a member for it, in this API's words and in
//! those of OAuth 2.0 (RFC 8628, section 3.2).

use super::{answered, asked, time_of, told};
use crate::{
    answer::{self, Headers, Refusal},
    authorization::PortalName,
    body,
    client::{self, PeerAddress},
    reply::Body,
    room::Inner,
    router::{DEVICE, RequestId},
};
use bytes::Bytes;
use http::{Method, Request, Response, request::Parts};
use model::{Fault, Reason, fault::Cause};
use proto::registry::v1::{CreateCodeRequest, CreateCodeResponse};
use serde::Serialize;
use std::sync::Arc;

/// A code, in the words of this API and in those of OAuth.
#[derive(Serialize)]
struct Made {
    code: String,
    secret: String,
    authorization_url: String,
    expires_at: Option<String>,
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: String,
    /// In seconds, as `interval` is.
    expires_in: u32,
    interval: u32,
}

/// Answers a request for a code of the portal that `name` names; a body says nothing.
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
    let response = match make(edge, id, peer, name, &parts).await {
        Ok(made) => told(&write(edge, made)),
        Err(refusal) => answer::oauth(refusal),
    };
    let reusable = body::discard(&mut body, &parts.headers, Reason::BadRequest).await;
    answer::closing(response, !reusable)
}

async fn make(
    edge: &Inner,
    id: &RequestId,
    peer: PeerAddress,
    name: &PortalName,
    parts: &Parts,
) -> Result<CreateCodeResponse, Refusal> {
    if parts.method != Method::POST {
        let fault = Fault::new(Reason::MethodNotAllowed, "a code is asked for with POST");
        return Err(Refusal::new(fault, Headers::Allow("POST")));
    }
    let address = client::address(peer, &parts.headers, &edge.config.trusted_proxies)?;
    let (organization, portal) = (name.organization().to_owned(), name.portal().to_owned());
    let _permit = Arc::clone(&edge.exchanges).try_acquire_owned().map_err(|_| answer::overloaded())?;
    let request = asked(CreateCodeRequest { organization, portal }, id, address);
    Ok(answered(edge.exchange.clone().create_code(request)).await?)
}

fn write(edge: &Inner, made: CreateCodeResponse) -> Made {
    let verification_uri = format!("{}{DEVICE}", edge.config.public_url.trim_end_matches('/'));
    let complete = format!("{verification_uri}?code={}", made.code);
    Made {
        authorization_url: complete.clone(),
        expires_at: time_of(made.expires_at),
        device_code: made.secret.clone(),
        user_code: made.code.clone(),
        code: made.code,
        secret: made.secret,
        verification_uri,
        verification_uri_complete: complete,
        expires_in: made.expires_in_seconds,
        interval: made.interval_seconds,
    }
}
