//! Upstreams: opened once for all grants that name the same.

use crate::upstream::{UnusableUpstream, Upstream};
use model::{Fingerprint, Prehashed, key::PurposeKeys};
use proto::grant::UpstreamClaim;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// Opens upstreams. Those that no grant has any more are not kept.
pub(super) struct Upstreams {
    credentials: PurposeKeys,
    open: Mutex<HashMap<Fingerprint, Weak<Upstream>, Prehashed>>,
}

impl Upstreams {
    /// Opens them with these keys.
    pub(super) fn new(credentials: PurposeKeys) -> Self {
        Self { credentials, open: Mutex::default() }
    }

    /// The upstream that the registry sealed to `organization`.
    ///
    /// # Errors
    ///
    /// [`UnusableUpstream`], as [`Upstream::open`] says.
    pub(super) fn open(
        &self,
        organization: &str,
        claim: &UpstreamClaim,
    ) -> Result<Arc<Upstream>, UnusableUpstream> {
        let UpstreamClaim { url, sealed, timeout_ms } = claim;
        let name = Fingerprint::of(format!("{organization}\n{timeout_ms}\n{sealed}\n{url}").as_bytes());
        let known =
            self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&name).and_then(Weak::upgrade);
        if let Some(upstream) = known {
            return Ok(upstream);
        }
        let upstream = Arc::new(Upstream::open(&self.credentials, organization, claim)?);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() == open.capacity() {
            open.retain(|_, upstream| upstream.strong_count() > 0);
            // Room for as many again, so that they are not looked through for each.
            let kept = open.len();
            open.reserve(kept);
        }
        open.insert(name, Arc::downgrade(&upstream));
        Ok(upstream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD};
    use model::key::{Keyring, Purpose};
    use proto::grant::UpstreamSecrets;

    fn upstreams() -> Upstreams {
        let keyring = Keyring::parse(&Keyring::generate()).unwrap();
        Upstreams::new(keyring.keys(Purpose::Credential))
    }

    fn claim(upstreams: &Upstreams, organization: &str, url: &str) -> UpstreamClaim {
        let secrets = UpstreamSecrets { credential: "ours".to_owned(), headers: Vec::new() };
        let plain = serde_json::to_vec(&secrets).unwrap();
        let sealed = STANDARD.encode(upstreams.credentials.seal(organization.as_bytes(), &plain));
        UpstreamClaim { url: url.to_owned(), sealed, timeout_ms: 1_000 }
    }

    #[test]
    fn what_is_named_the_same_is_opened_once() {
        let upstreams = upstreams();
        let claim = claim(&upstreams, "one", "https://api.example.test/graphql");
        let first = upstreams.open("one", &claim).unwrap();
        assert!(Arc::ptr_eq(&first, &upstreams.open("one", &claim).unwrap()));

        let slower = UpstreamClaim { timeout_ms: 2_000, ..claim.clone() };
        let elsewhere = UpstreamClaim { url: "https://other.example.test/".to_owned(), ..claim.clone() };
        for other in [&slower, &elsewhere] {
            assert!(!Arc::ptr_eq(&first, &upstreams.open("one", other).unwrap()));
        }
        // What is open to one organization is not to another.
        assert!(upstreams.open("two", &claim).is_err());
    }

    #[test]
    fn what_no_grant_has_any_more_is_not_kept() {
        let upstreams = upstreams();
        let claim = |number: u32| claim(&upstreams, "one", &format!("https://{number}.example.test/"));
        let kept = upstreams.open("one", &claim(0)).unwrap();
        for number in 1..1_000 {
            upstreams.open("one", &claim(number)).unwrap();
        }
        let open = upstreams.open.lock().unwrap();
        assert!(open.capacity() < 100, "{}", open.capacity());
        assert!(open.values().any(|upstream| upstream.as_ptr() == Arc::as_ptr(&kept)));
    }
}
