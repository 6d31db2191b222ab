//! Identities from outside: JWTs of OpenID Connect issuers that a portal trusts.
//!
//! It says whether a token is what it claims to be and whether a trust takes it. It makes no tokens of its own, stores
//! nothing, and opens no sockets: what issuers publish is fetched by whoever opens the registry.

mod claims;
mod condition;
mod issuers;
mod keys;

#[cfg(test)]
mod forgery;
#[cfg(test)]
pub(crate) mod issuing;

pub(crate) use condition::Condition;
pub use issuers::check_issuer;
pub(crate) use issuers::{FRESH, Issuers, MAX_ANSWER_BYTES, PATIENCE, discovery, guard};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use claims::{Claims, Nbf, wrong};
use http::Uri;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use model::{Secret, fault::Cause};
use serde::{Deserialize, de::IgnoredAny};
use std::{fmt, future::Future, pin::Pin, time::SystemTime};

/// The most bytes of a JWT from outside.
const MAX_TOKEN_BYTES: usize = 16 << 10;
/// The most bytes of a key's id.
const MAX_KEY_ID_BYTES: usize = 256;

/// What an issuer may sign with: asymmetric algorithms alone.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Reads what issuers publish.
pub trait Fetch: fmt::Debug + Send + Sync {
    /// The body of a GET of `uri` that was answered with 200: at most `limit` bytes, and no redirect followed.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn get(&self, uri: Uri, limit: usize) -> Pin<Box<dyn Future<Output = Result<Bytes, Cause>> + Send + '_>>;

    /// The same of a POST of a form, with what authenticates whoever sends it where that is no part of the form.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn post(
        &self,
        uri: Uri,
        authorization: Option<Secret>,
        form: Secret,
        limit: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, Cause>> + Send + '_>>;
}

/// Whose tokens are taken, and which of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Trust {
    /// The issuer, letter for letter as its tokens name it.
    pub(crate) issuer: String,
    /// For whom a token must be.
    pub(crate) audience: String,
    /// What must be true of its claims, all of it.
    pub(crate) conditions: Vec<Condition>,
}

/// Why a token from outside is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// It is no JWT, or not one that anybody here reads.
    #[error("the token is not a JWT that can be read: {0}")]
    Unreadable(&'static str),
    /// Nobody said that this issuer is trusted.
    #[error("the token is not of an issuer that this portal trusts")]
    Issuer,
    /// The issuer has no such key.
    #[error("the token is signed with a key that its issuer does not publish")]
    Key,
    /// It is not what the issuer signed.
    #[error("the token's signature does not fit")]
    Signature,
    /// It is for other times, or others.
    #[error("the token's claim `{claim}` must be {expected}")]
    Claim {
        /// The claim.
        claim: String,
        /// What it must be.
        expected: &'static str,
    },
    /// What the issuer publishes cannot be had now.
    #[error("what the token's issuer publishes cannot be read now")]
    Unavailable(#[source] Cause),
}

/// What is read of a token before anything is known of it.
#[derive(Deserialize)]
struct Head {
    alg: Algorithm,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

/// Whose a token says that it is.
#[derive(Deserialize)]
struct Unverified {
    iss: String,
}

/// Which of `trusts` takes `token`, and who its issuer says that its holder is.
///
/// # Errors
///
/// See [`Refused`].
pub(crate) async fn verify<'a, Id>(
    issuers: &Issuers,
    token: &str,
    trusts: &'a [(Id, Trust)],
    now: SystemTime,
) -> Result<(&'a Id, Option<String>), Refused> {
    let is_trusted = |issuer: &str| trusts.iter().any(|(_, trust)| trust.issuer == issuer);
    let (issuer, claims) = read(issuers, token, is_trusted).await?;
    claims.judge(&issuer, now, Nbf::Required)?;
    let mut refused = Refused::Issuer;
    for (id, trust) in trusts.iter().filter(|(_, trust)| trust.issuer == issuer) {
        match claims.meet(trust) {
            Ok(()) => return Ok((id, claims.subject())),
            Err(unmet) => refused = unmet,
        }
    }
    Err(refused)
}

/// Who a provider says that somebody is who signs in (OpenID Connect Core 1.0, section 3.1.3.7): their email address,
/// which the provider has verified.
///
/// # Errors
///
/// See [`Refused`].
pub(crate) async fn verify_id_token(
    issuers: &Issuers,
    token: &str,
    expected: &Expected<'_>,
    now: SystemTime,
) -> Result<String, Refused> {
    let Expected { issuer, client_id, nonce } = *expected;
    let (_, claims) = read(issuers, token, |named| named == issuer).await?;
    claims.judge(issuer, now, Nbf::MayBeMissing)?;
    let azp = claims.text("azp");
    if !claims.is_for(client_id) || (claims.is_for_several() && azp.is_none()) {
        return Err(wrong("aud", "the client that signs them in"));
    }
    if azp.is_some_and(|party| party != client_id) {
        return Err(wrong("azp", "the client that signs them in"));
    }
    if claims.text("nonce") != Some(nonce) {
        return Err(wrong("nonce", "that of the sign-in"));
    }
    if !claims.is_true("email_verified") {
        return Err(wrong("email_verified", "true"));
    }
    claims.text("email").map(str::to_owned).ok_or_else(|| wrong("email", "an address"))
}

/// What somebody's identity must be of.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) nonce: &'a str,
}

/// Who signed a token, and what it says; nothing is judged yet but that it is an issuer's that is trusted.
async fn read(
    issuers: &Issuers,
    token: &str,
    is_trusted: impl Fn(&str) -> bool,
) -> Result<(String, Claims), Refused> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refused::Unreadable("it is too long"));
    }
    let Head { alg, kid, crit } = part(token, 0).ok_or(Refused::Unreadable("its header must name alg"))?;
    if !ALGORITHMS.contains(&alg) {
        return Err(Refused::Unreadable("its alg is none that is taken"));
    }
    if crit.is_some() || kid.as_ref().is_some_and(|kid| kid.len() > MAX_KEY_ID_BYTES) {
        return Err(Refused::Unreadable("its header asks for what is not known here"));
    }
    let Unverified { iss } = part(token, 1).ok_or(Refused::Unreadable("its claims must have iss"))?;
    if !is_trusted(&iss) {
        return Err(Refused::Issuer);
    }
    let key = issuers.key(&iss, kid.as_deref(), alg).await?;
    let claims = verified(token, &key, alg)?;
    Ok((iss, claims))
}

fn verified(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Claims, Refused> {
    // Times and names are judged here, by rules of our own; the library sees to the signature alone.
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.set_required_spec_claims::<&str>(&[]);
    decode::<Claims>(token, key, &validation).map(|token| token.claims).map_err(|_| Refused::Signature)
}

/// A part of a JWT as JSON; nothing where it is none.
fn part<T: for<'de> Deserialize<'de>>(token: &str, at: usize) -> Option<T> {
    let parts: Vec<&str> = token.split('.').collect();
    let [_, _, _] = parts.as_slice() else { return None };
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.get(at)?).ok()?).ok()
}

#[cfg(test)]
mod tests;
