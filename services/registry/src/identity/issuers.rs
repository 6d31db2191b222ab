//! Issuers and their keys: found by discovery (OpenID Connect Discovery 1.0, section 4), kept for an hour.
//!
//! A key that is not known may be a new one, so it is asked for, but of one issuer no more often than each half
//! minute: who makes up ids of keys causes no more requests than that. An issuer that does not answer does no harm for
//! a day to tokens whose keys are known.

use super::{Fetch, Refused, keys::Keys};
use crate::administration::check_upstream_url;
use bytes::Bytes;
use http::Uri;
use jsonwebtoken::{Algorithm, DecodingKey};
use model::fault::Cause;
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::{Instant, timeout};

/// How long keys are used without asking again.
pub(crate) const FRESH: Duration = Duration::from_secs(60 * 60);
/// How long they are used where asking again fails.
const USABLE: Duration = Duration::from_secs(24 * 60 * 60);
/// The least time between two questions to an issuer.
const FLOOR: Duration = Duration::from_secs(30);
/// How long an issuer may take for one answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of one answer.
pub(crate) const MAX_ANSWER_BYTES: usize = 256 << 10;
/// The most issuers whose keys are kept.
const MAX_ISSUERS: usize = 1_000;
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// The issuers that were asked; all calls share them.
pub(crate) struct Issuers {
    fetch: Arc<dyn Fetch>,
    known: Mutex<HashMap<String, Arc<Issuer>>>,
}

/// One issuer.
#[derive(Default)]
struct Issuer {
    read: RwLock<Read>,
    /// Held by the one who asks.
    asking: tokio::sync::Mutex<()>,
}

/// What is known of an issuer.
#[derive(Clone, Default)]
struct Read {
    keys: Keys,
    /// When the keys were read.
    at: Option<Instant>,
    /// When somebody last asked for them, and whether that failed.
    asked: Option<(Instant, bool)>,
}

/// What an issuer says of itself.
#[derive(Deserialize)]
struct Configuration {
    jwks_uri: String,
}

/// As whom it says that it does.
#[derive(Deserialize)]
struct Name {
    issuer: String,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("reading {0}")]
    Read(Uri, #[source] Cause),
    #[error("{0} did not answer within {PATIENCE:?}")]
    Late(Uri),
    #[error("{0} is not what an issuer publishes")]
    Unreadable(Uri, #[source] serde_json::Error),
    #[error("the issuer calls itself `{0}`")]
    OtherIssuer(String),
    #[error("`{0}` {1}")]
    Url(String, String),
    #[error("it was asked less than {FLOOR:?} ago, in vain")]
    JustAsked,
}

/// Checks that an issuer's URL may be asked: https, or plain http on this machine alone.
///
/// # Errors
///
/// What it must be.
pub fn check_issuer(url: &str) -> Result<(), String> {
    match url.contains('?') {
        true => Err("must not have a query".to_owned()),
        false => guard(url).map(drop),
    }
}

/// A URL that may be asked.
pub(crate) fn guard(url: &str) -> Result<Uri, String> {
    check_upstream_url(url)?;
    let uri: Uri = url.parse().map_err(|_| "must be a URL".to_owned())?;
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        _ if is_loopback(uri.host().unwrap_or_default()) => Ok(uri),
        _ => Err("must begin with https://".to_owned()),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl Issuers {
    pub(crate) fn new(fetch: Arc<dyn Fetch>) -> Self {
        Self { fetch, known: Mutex::default() }
    }

    /// The key of `issuer` with that id, or its only one.
    ///
    /// # Errors
    ///
    /// `Key` where it has none, `Unavailable` where that cannot be known.
    pub(super) async fn key(
        &self,
        issuer: &str,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<DecodingKey, Refused> {
        let known = self.issuer(issuer);
        if let Some(key) = known.read().key(id, algorithm, FRESH) {
            return Ok(key);
        }
        // Who comes while another asks takes what that one is told.
        let _asking = known.asking.lock().await;
        let read = known.read();
        if let Some(key) = read.key(id, algorithm, FRESH) {
            return Ok(key);
        }
        let failure = match read.asked {
            Some((at, failed)) if at.elapsed() < FLOOR => failed.then(|| FetchError::JustAsked.into()),
            _ => known.ask(&*self.fetch, issuer).await.err(),
        };
        match (known.read().key(id, algorithm, USABLE), failure) {
            (Some(key), _) => Ok(key),
            (None, Some(failure)) => Err(Refused::Unavailable(failure)),
            (None, None) => Err(Refused::Key),
        }
    }

    fn issuer(&self, name: &str) -> Arc<Issuer> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(issuer) = known.get(name) {
            return Arc::clone(issuer);
        }
        if known.len() >= MAX_ISSUERS {
            // Whose keys are the oldest can best be asked again; one that is in use stays in the hands that use it.
            let oldest =
                known.iter().min_by_key(|(_, issuer)| issuer.read().at).map(|(name, _)| name.clone());
            oldest.and_then(|name| known.remove(&name));
        }
        Arc::clone(known.entry(name.to_owned()).or_default())
    }
}

impl Issuer {
    fn read(&self) -> Read {
        self.read.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask(&self, fetch: &dyn Fetch, issuer: &str) -> Result<(), Cause> {
        let keys = keys(fetch, issuer).await;
        let mut read = self.read.write().unwrap_or_else(PoisonError::into_inner);
        read.asked = Some((Instant::now(), keys.is_err()));
        read.keys = keys?;
        read.at = Some(Instant::now());
        Ok(())
    }
}

impl Read {
    /// A key that was read at most so long ago.
    fn key(&self, id: Option<&str>, algorithm: Algorithm, age: Duration) -> Option<DecodingKey> {
        self.at.filter(|at| at.elapsed() < age).and_then(|_| self.keys.find(id, algorithm))
    }
}

/// What an issuer says of itself, as far as `Said` reads it.
///
/// # Errors
///
/// Why it cannot be had.
pub(crate) async fn discovery<Said: DeserializeOwned>(
    fetch: &dyn Fetch,
    issuer: &str,
) -> Result<Said, Cause> {
    Ok(discover(fetch, issuer).await?)
}

async fn discover<Said: DeserializeOwned>(fetch: &dyn Fetch, issuer: &str) -> Result<Said, FetchError> {
    let (uri, text) = get(fetch, &format!("{}{DISCOVERY}", issuer.trim_end_matches('/'))).await?;
    let unreadable = |source| FetchError::Unreadable(uri.clone(), source);
    let Name { issuer: name } = serde_json::from_slice(&text).map_err(unreadable)?;
    if name != issuer {
        return Err(FetchError::OtherIssuer(name.chars().take(200).collect()));
    }
    serde_json::from_slice(&text).map_err(unreadable)
}

async fn keys(fetch: &dyn Fetch, issuer: &str) -> Result<Keys, FetchError> {
    let Configuration { jwks_uri } = discover(fetch, issuer).await?;
    let (uri, text) = get(fetch, &jwks_uri).await?;
    Keys::parse(&text).map_err(|source| FetchError::Unreadable(uri, source))
}

/// What stands under `url`, which an issuer may have named: it is guarded as the issuer's own is.
async fn get(fetch: &dyn Fetch, url: &str) -> Result<(Uri, Bytes), FetchError> {
    let uri = guard(url).map_err(|why| FetchError::Url(url.chars().take(200).collect(), why))?;
    match timeout(PATIENCE, fetch.get(uri.clone(), MAX_ANSWER_BYTES)).await {
        Ok(Ok(text)) => Ok((uri, text)),
        Ok(Err(cause)) => Err(FetchError::Read(uri, cause)),
        Err(_) => Err(FetchError::Late(uri)),
    }
}
