//! The identity provider: where it is found, where people are sent, and what it makes of a code.

use crate::identity::{self, FRESH, Fetch, MAX_ANSWER_BYTES, PATIENCE};
use base64::{Engine, engine::general_purpose::STANDARD};
use form_urlencoded::{Serializer, byte_serialize};
use http::Uri;
use model::{Secret, fault::Cause};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// The least time between two questions to a provider that did not answer.
const FLOOR: Duration = Duration::from_secs(5);
const BASIC: &str = "client_secret_basic";

/// What this house is at an identity provider.
#[derive(Clone, Debug)]
pub struct OpenId {
    /// The provider, letter for letter as its tokens name it in `iss`.
    pub issuer: String,
    /// As whom this house is known there.
    pub client_id: String,
    /// How it proves that; nothing for a public client.
    pub client_secret: Option<Secret>,
}

/// An identity provider.
pub(super) struct Provider {
    pub(super) at: OpenId,
    fetch: Arc<dyn Fetch>,
    /// What it said of itself, and when it was asked; held by the one who asks.
    said: Mutex<Option<(Instant, Option<Endpoints>)>>,
}

/// Where what is done (OpenID Connect Discovery 1.0, section 3).
#[derive(Clone, Deserialize)]
struct Endpoints {
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// What a provider makes of a code; what else it says is not read.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// What somebody takes to the provider.
pub(super) struct Journey<'a> {
    pub(super) callback: &'a str,
    pub(super) state: &'a str,
    pub(super) nonce: &'a str,
    pub(super) challenge: &'a str,
}

impl Provider {
    pub(super) fn new(at: OpenId, fetch: Arc<dyn Fetch>) -> Self {
        Self { at, fetch, said: Mutex::new(None) }
    }

    /// Where somebody is sent to sign in.
    ///
    /// # Errors
    ///
    /// Why the provider cannot be asked.
    pub(super) async fn authorization_url(&self, journey: &Journey<'_>) -> Result<String, Cause> {
        let Endpoints { authorization_endpoint, .. } = self.endpoints().await?;
        let query = Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.at.client_id)
            .append_pair("redirect_uri", journey.callback)
            .append_pair("scope", "openid email")
            .append_pair("state", journey.state)
            .append_pair("nonce", journey.nonce)
            .append_pair("code_challenge", journey.challenge)
            .append_pair("code_challenge_method", "S256")
            .finish();
        let mark = if authorization_endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{authorization_endpoint}{mark}{query}"))
    }

    /// The ID token that the provider gives for a code.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(super) async fn id_token(
        &self,
        code: &str,
        callback: &str,
        verifier: &Secret,
    ) -> Result<Secret, Cause> {
        let Endpoints { token_endpoint, token_endpoint_auth_methods_supported: methods, .. } =
            self.endpoints().await?;
        let uri: Uri = identity::guard(&token_endpoint)?;
        // What a provider takes that does not say (RFC 8414, section 2).
        let basic = methods.is_none_or(|methods| methods.iter().any(|method| method == BASIC));
        let (authorization, form) = self.question(code, callback, verifier, basic);
        let post = self.fetch.post(uri, authorization, form, MAX_ANSWER_BYTES);
        let answer = timeout(PATIENCE, post).await.map_err(|_| "it did not answer in time")??;
        // What the parser says of it may quote it.
        let Tokens { id_token } = serde_json::from_slice(&answer).map_err(|_| "it gave no id_token")?;
        Ok(Secret::new(id_token))
    }

    /// What the provider is asked with: how this house proves who it is, and the form.
    fn question(
        &self,
        code: &str,
        callback: &str,
        verifier: &Secret,
        basic: bool,
    ) -> (Option<Secret>, Secret) {
        let OpenId { client_id, client_secret, .. } = &self.at;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", callback)
            .append_pair("code_verifier", verifier.expose());
        if let Some(secret) = client_secret.as_ref().filter(|_| basic) {
            return (Some(pair(client_id, secret)), Secret::new(form.finish()));
        }
        form.append_pair("client_id", client_id);
        if let Some(secret) = client_secret {
            form.append_pair("client_secret", secret.expose());
        }
        (None, Secret::new(form.finish()))
    }

    async fn endpoints(&self) -> Result<Endpoints, Cause> {
        let mut said = self.said.lock().await;
        match &*said {
            Some((at, Some(endpoints))) if at.elapsed() < FRESH => return Ok(endpoints.clone()),
            Some((at, None)) if at.elapsed() < FLOOR => return Err("it was just asked, in vain".into()),
            Some(_) | None => {}
        }
        // It stays, for whoever asks may leave in between.
        let before = said.as_ref().and_then(|(_, endpoints)| endpoints.clone());
        let asked = identity::discovery::<Endpoints>(&*self.fetch, &self.at.issuer).await;
        match (asked, before) {
            (Ok(endpoints), _) => {
                identity::guard(&endpoints.authorization_endpoint)?;
                *said = Some((Instant::now(), Some(endpoints.clone())));
                Ok(endpoints)
            }
            // Where it was an hour ago, it most likely still is.
            (Err(_), Some(before)) => {
                *said = Some((Instant::now(), Some(before.clone())));
                Ok(before)
            }
            (Err(cause), None) => {
                *said = Some((Instant::now(), None));
                Err(cause)
            }
        }
    }
}

/// An id and its secret as HTTP Basic carries them (RFC 6749, section 2.3.1).
fn pair(id: &str, secret: &Secret) -> Secret {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(id), encoded(secret.expose()));
    Secret::new(format!("Basic {}", STANDARD.encode(pair)))
}
