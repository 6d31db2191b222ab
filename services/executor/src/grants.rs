//! Grants: verified once, then found by their hash until they run out. Nothing is asked of anybody.

mod once;
mod upstreams;

use crate::upstream::{UnusableUpstream, Upstream};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use model::{
    Fault, Fingerprint, Prehashed, Reason, Secret,
    key::{Keyring, Purpose},
    portal::ExtraVariables,
    restriction::{Checks, InvalidRestrictions, Restrictions},
};
use once::Once;
use proto::grant::{AUDIENCE, Claims, DocumentClaim, ISSUER, UpstreamClaim};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use upstreams::Upstreams;
use uuid::Uuid;

/// How far the clocks of registry and executor may be apart.
const LEEWAY: Duration = Duration::from_secs(5);
/// The most grants that are kept.
const MAX_GRANTS: usize = 16_384;
/// The most bytes of grants that are kept.
const MAX_BYTES: usize = 64 << 20;
/// The most bytes of one grant: a document of 128 KiB in JSON in base64, and what stands beside it.
const MAX_GRANT_BYTES: usize = 3 << 20;

/// A portal revision. The document is part of it, so that a store put back to an older state, which gives out
/// the same revision again, cannot have another document run.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct PortalKey(Fingerprint);

impl PortalKey {
    fn of(claims: &Claims) -> Self {
        let document = serde_json::to_string(&claims.document).expect("a claim always has a JSON text");
        let Claims { organization, portal, revision, .. } = claims;
        Self(Fingerprint::of(format!("{organization}\n{portal}\n{revision}\n{document}").as_bytes()))
    }
}

/// What may be run until when.
pub(crate) struct Grant {
    pub(crate) portal: PortalKey,
    pub(crate) document: DocumentClaim,
    pub(crate) extra: ExtraVariables,
    pub(crate) upstream: Arc<Upstream>,
    /// What of it may not be done.
    pub(crate) checks: Option<Checks>,
    /// What it is known by, where it is good for one call.
    once: Option<Uuid>,
    /// Whose identical queries in flight share an answer, where any do: those of one token at one upstream with one
    /// credential.
    pub(crate) coalesces: Option<Fingerprint>,
    expires: Instant,
    /// With all of its upstream, though others may share that.
    bytes: usize,
}

/// Verifies grants and keeps them; all threads share it.
pub(crate) struct Grants {
    verifying: Vec<DecodingKey>,
    validation: Validation,
    upstreams: Upstreams,
    known: RwLock<Known>,
    once: Once,
}

#[derive(Default)]
struct Known {
    grants: HashMap<Fingerprint, Arc<Grant>, Prehashed>,
    bytes: usize,
}

#[derive(Debug, thiserror::Error)]
enum InvalidGrant {
    #[error("the grant has {0} bytes")]
    Size(usize),
    #[error("the grant's token is not valid")]
    Token(#[source] jsonwebtoken::errors::Error),
    #[error("the grant's token is of another type")]
    Type,
    #[error("the grant has run out")]
    Expired,
    #[error("the grant is good for one call and lasts longer than such a grant may")]
    Lasting,
    #[error("the grant's upstream cannot be used")]
    Upstream(#[source] UnusableUpstream),
    #[error("the grant's restrictions cannot be kept to")]
    Restrictions(#[source] InvalidRestrictions),
}

/// Tells whose calls may share an answer. Whatever decides on the request beside the call itself is in it.
fn principal(claims: &Claims) -> Fingerprint {
    let UpstreamClaim { url, sealed, .. } = &claims.upstream;
    Fingerprint::of(format!("{}\n{url}\n{sealed}", claims.token).as_bytes())
}

impl Grants {
    pub(crate) fn new(keyring: &Keyring) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.leeway = LEEWAY.as_secs();
        Self {
            verifying: keyring.keys(Purpose::Grant).raw().map(DecodingKey::from_secret).collect(),
            validation,
            upstreams: Upstreams::new(keyring.keys(Purpose::Credential)),
            known: RwLock::default(),
            once: Once::new(SystemTime::now(), Instant::now()),
        }
    }

    /// Finds a grant that was verified before and still holds.
    pub(crate) fn known(&self, hash: &Fingerprint, now: Instant) -> Option<Arc<Grant>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.grants.get(hash).filter(|grant| now < grant.expires).cloned()
    }

    /// Verifies a grant and keeps it under a hash of its own making: who introduces it has no say in that. One that is
    /// good for one call is not kept, and has had its call with this.
    ///
    /// # Errors
    ///
    /// `GrantInvalid` when it is forged, malformed, has run out, or is sealed to another key; what [`Once::take`] says.
    pub(crate) fn verify(&self, jwt: &Secret) -> Result<Arc<Grant>, Fault> {
        let hash = Fingerprint::of(jwt.expose().as_bytes());
        if let Some(grant) = self.known(&hash, Instant::now()) {
            return Ok(grant);
        }
        let grant = Arc::new(self.read(jwt.expose()).map_err(|error| {
            Fault::new(Reason::GrantInvalid, "the grant is not valid or has run out").because(error)
        })?);
        if let Some(id) = grant.once {
            self.once.take(id, Instant::now())?;
            return Ok(grant);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.keep(hash, Arc::clone(&grant), Instant::now());
        Ok(grant)
    }

    fn read(&self, jwt: &str) -> Result<Grant, InvalidGrant> {
        if jwt.len() > MAX_GRANT_BYTES {
            return Err(InvalidGrant::Size(jwt.len()));
        }
        let claims = self.claims(jwt)?;
        let expires = UNIX_EPOCH + Duration::from_secs(claims.exp.min(u32::MAX.into())) + LEEWAY;
        let left = expires.duration_since(SystemTime::now()).map_err(|_| InvalidGrant::Expired)?;
        if claims.jti.is_some() && left > once::LONGEST {
            return Err(InvalidGrant::Lasting);
        }
        let extra = claims.extra_variables();
        let upstream = self.upstreams.open(&claims.organization, &claims.upstream);
        let upstream = upstream.map_err(InvalidGrant::Upstream)?;
        let checks = claims.restrictions.as_ref().map(|claim| Restrictions::try_from(claim)?.compile());
        let checks = checks.transpose().map_err(InvalidGrant::Restrictions)?;
        let portal = PortalKey::of(&claims);
        let coalesces = claims.coalesce.then(|| principal(&claims));
        let expires = Instant::now() + left;
        let (document, once, bytes) = (claims.document, claims.jti, jwt.len() + upstream.screen.bytes());
        Ok(Grant { portal, document, extra, upstream, checks, once, coalesces, expires, bytes })
    }

    fn claims(&self, jwt: &str) -> Result<Claims, InvalidGrant> {
        let mut refused = InvalidGrant::Type;
        for key in &self.verifying {
            match decode::<Claims>(jwt, key, &self.validation) {
                Ok(token) if token.header.typ.as_deref() == Some(token.claims.r#type()) => {
                    return Ok(token.claims);
                }
                Ok(_) => refused = InvalidGrant::Type,
                Err(error) => refused = InvalidGrant::Token(error),
            }
        }
        Err(refused)
    }
}

impl Known {
    fn keep(&mut self, hash: Fingerprint, grant: Arc<Grant>, now: Instant) {
        self.bytes += grant.bytes;
        if let Some(replaced) = self.grants.insert(hash, grant) {
            self.bytes = self.bytes.saturating_sub(replaced.bytes);
        }
        if self.grants.len() <= MAX_GRANTS && self.bytes <= MAX_BYTES {
            return;
        }
        self.forget(|grant| now < grant.expires);
        // What runs out first goes first, an eighth at once, so that a full cache is not searched for each grant.
        let mut ends: Vec<Instant> = self.grants.values().map(|grant| grant.expires).collect();
        while self.grants.len() > MAX_GRANTS || self.bytes > MAX_BYTES {
            let eighth = ends.len() / 8;
            let (_, end, _) = ends.select_nth_unstable(eighth);
            let end = *end;
            self.forget(|grant| grant.expires > end);
            ends.retain(|kept| *kept > end);
        }
    }

    fn forget(&mut self, keep: impl Fn(&Grant) -> bool) {
        self.grants.retain(|_, grant| keep(grant));
        self.bytes = self.grants.values().map(|grant| grant.bytes).sum();
    }
}
