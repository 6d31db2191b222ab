//! Signing in with an identity provider: OpenID Connect's code flow with PKCE and a nonce (Core 1.0, section 3.1).
//!
//! Whoever signs in begins at a program on their own machine and comes back to it (RFC 8252), with a code that is of use
//! to that program alone. What is under way lies in memory, for minutes. It says for whom the provider vouches; who that
//! is here, and what they get for it, is decided elsewhere.

mod provider;
#[cfg(test)]
mod tests;
mod waiting;

pub use provider::OpenId;

use crate::{
    caller::Origin,
    exchange::Place,
    identity::{self, Expected, Fetch, Issuers, Refused},
};
use form_urlencoded::Serializer;
use http::Uri;
use model::{Bearer, BearerKind, Fault, Fingerprint, Reason, Secret, fault::Cause};
use proto::registry::v1::BeginSignInRequest;
use provider::{Journey, Provider};
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use uuid::Uuid;
use waiting::Waiting;

/// How long somebody may take at the provider.
const LIFE: Duration = Duration::from_secs(10 * 60);
/// How long they may take to come for their session.
const LIFE_OF_CODE: Duration = Duration::from_secs(60);
const MAX_URL_BYTES: usize = 2_048;
const MAX_STATE_BYTES: usize = 512;
/// SHA-256 in base64url.
const CHALLENGE_BYTES: usize = 43;
/// When whoever found no provider may try again.
const RETRY: Duration = Duration::from_secs(5);

/// Sign-ins that are under way; shared by all calls.
pub(crate) struct SignIns {
    provider: Option<Provider>,
    begun: Waiting<Begun>,
    finished: Waiting<Finished>,
}

/// Somebody is at the provider.
struct Begun {
    callback: String,
    nonce: Secret,
    verifier: Secret,
    back: Back,
}

/// Where they go in the end, and what comes with them.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    to: String,
    state: String,
    challenge: String,
}

/// Somebody has been signed in, and has yet to come for their session.
struct Finished {
    user: Uuid,
    challenge: String,
}

impl SignIns {
    pub(crate) fn new(openid: Option<OpenId>, fetch: Arc<dyn Fetch>) -> Self {
        let provider = openid.map(|openid| Provider::new(openid, fetch));
        Self { provider, begun: Waiting::new(LIFE), finished: Waiting::new(LIFE_OF_CODE) }
    }

    /// Begins, and says where somebody is to be sent.
    ///
    /// # Errors
    ///
    /// NOT_FOUND without a provider, BAD_REQUEST for what is not of its form, RATE_LIMITED, OVERLOADED,
    /// REGISTRY_UNAVAILABLE.
    pub(crate) async fn begin(&self, origin: &Origin, request: BeginSignInRequest) -> Result<String, Fault> {
        let none = || Fault::new(Reason::NotFound, "this house signs nobody in by an identity provider");
        let provider = self.provider.as_ref().ok_or_else(none)?;
        let BeginSignInRequest { return_to, state, code_challenge, callback_url } = request;
        let back = Back { to: return_to, state, challenge: code_challenge };
        back.check()?;
        let [nonce, verifier] = [(); 2].map(|()| Bearer::generate(BearerKind::SignIn));
        let begun = Begun {
            callback: callback_url.clone(),
            nonce: Secret::new(nonce.expose()),
            verifier: Secret::new(verifier.expose()),
            back,
        };
        let state = self.begun.put(Place::of(origin.address), begun, Instant::now())?;
        let journey = Journey {
            callback: &callback_url,
            state: state.expose(),
            nonce: nonce.expose(),
            challenge: &challenge(verifier.expose()),
        };
        provider.authorization_url(&journey).await.map_err(unavailable)
    }

    /// Whom the provider vouches for, once it has sent somebody back; and where they go.
    ///
    /// # Errors
    ///
    /// BAD_REQUEST for a sign-in that is not under way.
    pub(crate) async fn vouched(
        &self,
        issuers: &Issuers,
        state: &str,
        code: Result<&str, &str>,
    ) -> Result<(Back, Result<String, Fault>), Fault> {
        let unknown = || {
            let message = "this sign-in is unknown, finished, or took longer than ten minutes: begin again";
            Fault::new(Reason::BadRequest, message)
        };
        let provider = self.provider.as_ref().ok_or_else(unknown)?;
        let begun = self.begun.take(state, Instant::now()).ok_or_else(unknown)?;
        let email = match code {
            Ok(code) => self.email(provider, issuers, &begun, code).await,
            // What the provider says of it is its own affair.
            Err(_) => Err(Fault::new(Reason::AccessDenied, "the identity provider did not sign you in")),
        };
        Ok((begun.back, email))
    }

    async fn email(
        &self,
        provider: &Provider,
        issuers: &Issuers,
        begun: &Begun,
        code: &str,
    ) -> Result<String, Fault> {
        let token = provider.id_token(code, &begun.callback, &begun.verifier).await.map_err(unavailable)?;
        let expected = Expected {
            issuer: &provider.at.issuer,
            client_id: &provider.at.client_id,
            nonce: begun.nonce.expose(),
        };
        let verified = identity::verify_id_token(issuers, token.expose(), &expected, SystemTime::now()).await;
        verified.map_err(|refused| match refused {
            Refused::Unavailable(cause) => unavailable(cause),
            // Which claim it is that is wrong helps whoever set the provider up.
            refused => Fault::new(
                Reason::AccessDenied,
                format!("the identity provider's word is not taken: {refused}"),
            ),
        })
    }

    /// Where somebody goes for whom the provider has vouched: with a code that is good for their session.
    ///
    /// # Errors
    ///
    /// RATE_LIMITED, OVERLOADED.
    pub(crate) fn finish(&self, origin: &Origin, back: &Back, user: Uuid) -> Result<String, Fault> {
        let finished = Finished { user, challenge: back.challenge.clone() };
        let code = self.finished.put(Place::of(origin.address), finished, Instant::now())?;
        Ok(back.with(&[("code", code.expose())]))
    }

    /// Who comes for their session: whoever has the code and knows what only the one who began does.
    ///
    /// # Errors
    ///
    /// UNAUTHENTICATED.
    pub(crate) fn redeem(&self, code: &str, verifier: &str) -> Result<Uuid, Fault> {
        let finished = self.finished.take(code, Instant::now());
        let fits = finished.filter(|finished| challenge(verifier) == finished.challenge);
        let refused = || {
            let message = "the code of the sign-in is unknown, used or too old, or the verifier is another's";
            Fault::new(Reason::Unauthenticated, message)
        };
        fits.map(|finished| finished.user).ok_or_else(refused)
    }
}

impl Back {
    fn check(&self) -> Result<(), Fault> {
        let bad = |message: &'static str| Err(Fault::new(Reason::BadRequest, message));
        if !is_own_machine(&self.to) {
            return bad(
                "redirect_uri must be http://127.0.0.1, http://[::1] or http://localhost, with a port",
            );
        }
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if self.state.is_empty() || self.state.len() > MAX_STATE_BYTES || !visible(&self.state) {
            return bad("state must be 1 to 512 visible ASCII characters");
        }
        let is_challenge =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if self.challenge.len() != CHALLENGE_BYTES || !is_challenge(&self.challenge) {
            return bad("code_challenge must be a SHA-256 in base64url, of code_challenge_method S256");
        }
        Ok(())
    }

    /// The way back, with these parameters and the state.
    fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(parameters).append_pair("state", &self.state);
        let mark = if self.to.contains('?') { '&' } else { '?' };
        format!("{}{mark}{}", self.to, query.finish())
    }

    /// The way back for somebody who is not signed in, in OAuth's words.
    pub(crate) fn refused(&self, fault: &Fault) -> String {
        let error = match fault.reason() {
            Reason::RegistryUnavailable
            | Reason::StorageUnavailable
            | Reason::Overloaded
            | Reason::RateLimited => "temporarily_unavailable",
            Reason::Internal => "server_error",
            _ => "access_denied",
        };
        self.with(&[("error", error), ("error_description", fault.message())])
    }
}

/// Whether a URL leads to a program on the machine of whoever follows it (RFC 8252, section 7.3), and says to which.
fn is_own_machine(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let own = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    let plain = url.len() <= MAX_URL_BYTES && !url.contains(['#', '@']);
    own && plain && uri.scheme_str() == Some("http") && uri.port_u16().is_some_and(|port| port > 0)
}

/// What a verifier is known by before it is told (RFC 7636, section 4.2).
fn challenge(verifier: &str) -> String {
    Fingerprint::of(verifier.as_bytes()).text()
}

fn unavailable(cause: Cause) -> Fault {
    let message = "the identity provider does not answer as one";
    Fault::new(Reason::RegistryUnavailable, message).retry_after(RETRY).because(cause)
}
