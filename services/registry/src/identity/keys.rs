//! The keys that an issuer publishes (RFC 7517), as far as anybody here verifies with them.

use super::MAX_KEY_ID_BYTES;
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{Jwk, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::HashMap, sync::Arc};

/// The most keys of an issuer.
const MAX_KEYS: usize = 100;

/// Keys by their id; one that has none is known by an empty one.
#[derive(Clone, Default)]
pub(super) struct Keys(HashMap<String, Arc<Key>>);

struct Key {
    /// The one algorithm that it is for, where it says.
    algorithm: Option<Algorithm>,
    decoding: DecodingKey,
}

/// What an issuer publishes; a key of a kind that nobody here knows is no reason to do without the others.
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

impl Keys {
    /// Reads a set of keys; those that are not for signatures, not asymmetric or not readable are left out.
    pub(super) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let Set { keys } = serde_json::from_slice(text)?;
        let read = keys.into_iter().take(MAX_KEYS).filter_map(|key| read(serde_json::from_value(key).ok()?));
        Ok(Self(read.collect()))
    }

    /// The key of that id, if it is for that algorithm. A token that names none is signed with the only one there is for
    /// its algorithm (OpenID Connect Core 1.0, section 10.1).
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let key = match id {
            Some(id) => self.0.get(id).filter(|key| key.fits(algorithm))?,
            None => {
                let mut fitting = self.0.values().filter(|key| key.fits(algorithm));
                fitting.next().filter(|_| fitting.next().is_none())?
            }
        };
        Some(key.decoding.clone())
    }
}

impl Key {
    fn fits(&self, algorithm: Algorithm) -> bool {
        self.decoding.family() == algorithm.family() && self.algorithm.is_none_or(|only| only == algorithm)
    }
}

fn read(key: Jwk) -> Option<(String, Arc<Key>)> {
    let id = key.common.key_id.clone().unwrap_or_default();
    if id.len() > MAX_KEY_ID_BYTES {
        return None;
    }
    if matches!(&key.common.public_key_use, Some(usage) if *usage != PublicKeyUse::Signature) {
        return None;
    }
    let algorithm = match &key.common.key_algorithm {
        Some(algorithm) => Some(algorithm.to_string().parse().ok()?),
        None => None,
    };
    let decoding = DecodingKey::from_jwk(&key).ok()?;
    (decoding.family() != AlgorithmFamily::Hmac).then(|| (id, Arc::new(Key { algorithm, decoding })))
}
