//! `/sign-in` and `/sign-in/callback`: on the way to the identity provider, and back from it.
//!
//! People come here with a browser, so what goes wrong is told as text. It keeps nothing: the registry knows what is
//! under way.

use crate::{
    answer::{self, Headers, Refusal},
    client::{self, PeerAddress},
    exchange::{answered, asked},
    reply::Body,
    room::Inner,
    router::RequestId,
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use model::{Fault, Reason};
use proto::registry::v1::{BeginSignInRequest, FinishSignInRequest};
use std::{collections::HashMap, sync::Arc};

/// Where somebody begins.
const BEGIN: &str = "/sign-in";
/// Where the provider sends them.
const CALLBACK: &str = "/sign-in/callback";

/// Whether a path is one of these.
pub(crate) fn is(path: &str) -> bool {
    path == BEGIN || path == CALLBACK
}

/// Sends somebody on their way.
pub(crate) async fn answer<B>(
    edge: &Inner,
    id: &RequestId,
    peer: PeerAddress,
    request: Request<B>,
) -> Response<Body> {
    let (parts, _) = request.into_parts();
    match location(edge, id, peer, &parts).await {
        Ok(location) => sent(&location),
        Err(refusal) => answer::text(refusal),
    }
}

async fn location(edge: &Inner, id: &RequestId, peer: PeerAddress, parts: &Parts) -> Result<String, Refusal> {
    if parts.method != Method::GET {
        let fault = Fault::new(Reason::MethodNotAllowed, "people sign in with a browser, which sends GET");
        return Err(Refusal::new(fault, Headers::Allow("GET")));
    }
    let address = client::address(peer, &parts.headers, &edge.config.trusted_proxies)?;
    let mut parameters = parameters(parts.uri.query().unwrap_or_default())?;
    let _permit = Arc::clone(&edge.exchanges).try_acquire_owned().map_err(|_| answer::overloaded())?;
    let mut registry = edge.sign_in.clone();
    if parts.uri.path() == CALLBACK {
        let state = required(&mut parameters, "state")?;
        let (code, error) = (parameters.remove("code"), parameters.remove("error"));
        let request = asked(FinishSignInRequest { state, code, error }, id, address);
        return Ok(answered(registry.finish_sign_in(request)).await?.location);
    }
    let return_to = required(&mut parameters, "redirect_uri")?;
    let state = required(&mut parameters, "state")?;
    let code_challenge = required(&mut parameters, "code_challenge")?;
    if required(&mut parameters, "code_challenge_method")? != "S256" {
        return Err(bad("code_challenge_method must be S256").into());
    }
    let callback_url = format!("{}{CALLBACK}", edge.config.public_url.trim_end_matches('/'));
    let request = asked(BeginSignInRequest { return_to, state, code_challenge, callback_url }, id, address);
    Ok(answered(registry.begin_sign_in(request)).await?.location)
}

/// The parameters of a query, each once.
fn parameters(query: &str) -> Result<HashMap<String, String>, Fault> {
    let mut read = HashMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if read.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(bad("a parameter is given twice"));
        }
    }
    Ok(read)
}

fn required(parameters: &mut HashMap<String, String>, name: &str) -> Result<String, Fault> {
    parameters.remove(name).ok_or_else(|| bad(format!("{name} is required")))
}

fn bad(message: impl Into<String>) -> Fault {
    Fault::new(Reason::BadRequest, message.into())
}

/// Sends a browser elsewhere, which is to tell nobody from where it came.
fn sent(location: &str) -> Response<Body> {
    let Ok(location) = HeaderValue::from_str(location) else {
        return answer::text(Fault::internal("where somebody is sent is no header field").into());
    };
    let mut response = Response::new(Body::from(Bytes::new()));
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_read_once_or_not_at_all() {
        let read = parameters("state=a%20b&code=c").unwrap();
        assert_eq!((&*read["state"], &*read["code"]), ("a b", "c"));
        assert!(parameters("state=a&state=b").is_err());
        assert_eq!(required(&mut HashMap::new(), "state").unwrap_err().message(), "state is required");
    }
}
