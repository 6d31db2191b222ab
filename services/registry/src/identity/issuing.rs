//! For tests: an issuer with keys of its own, and what it publishes.

use super::Fetch;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::Uri;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use model::{Secret, fault::Cause};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

pub(crate) const ISSUER: &str = "https://issuer.example";

/// A key that signs.
pub(crate) struct Signing {
    pub(crate) id: String,
    algorithm: Algorithm,
    key: EncodingKey,
    published: Value,
}

impl Signing {
    /// One of the kind that most issuers have.
    pub(crate) fn es256(id: &str) -> Self {
        Self::new(id, Algorithm::ES256)
    }

    pub(crate) fn new(id: &str, algorithm: Algorithm) -> Self {
        let kind = match algorithm {
            Algorithm::ES256 => &PKCS_ECDSA_P256_SHA256,
            Algorithm::EdDSA => &PKCS_ED25519,
            _ => &PKCS_RSA_SHA256,
        };
        let pair = KeyPair::generate_for(kind).unwrap();
        let key = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_der(pair.serialized_der()),
            Algorithm::EdDSA => EncodingKey::from_ed_der(pair.serialized_der()),
            // What PKCS #8 puts before a key of 2048 bits.
            _ => EncodingKey::from_rsa_der(&pair.serialized_der()[26..]),
        };
        let mut published = match algorithm {
            Algorithm::EdDSA => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key_raw())})
            }
            _ => serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap(),
        };
        published["kid"] = id.into();
        published["use"] = "sig".into();
        Self { id: id.to_owned(), algorithm, key, published }
    }

    /// The public half, as it is published.
    pub(crate) fn published(&self) -> Value {
        self.published.clone()
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key).unwrap()
    }
}

/// Claims as CI providers issue them, good from now for five minutes.
pub(crate) fn claims(now: SystemTime) -> Value {
    let now = now.duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({"iss": ISSUER, "aud": "portals", "sub": "repo:acme/app:ref:refs/heads/main", "repository": "acme/app",
        "ref": "refs/heads/main", "iat": now, "nbf": now, "exp": now + 300})
}

/// What is published under which URL; nothing else answers.
#[derive(Debug, Default)]
pub(crate) struct Published {
    texts: Mutex<HashMap<String, String>>,
    asked: AtomicUsize,
}

impl Published {
    pub(crate) fn new(keys: &[&Signing]) -> Arc<Self> {
        let published = Arc::new(Self::default());
        published.set(keys);
        published
    }

    pub(crate) fn set(&self, keys: &[&Signing]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.published()).collect();
        let configuration = json!({"issuer": ISSUER, "jwks_uri": "https://keys.example/jwks?set=1"});
        self.put(&format!("{ISSUER}/.well-known/openid-configuration"), &configuration);
        self.put("https://keys.example/jwks?set=1", &json!({"keys": keys}));
    }

    pub(crate) fn put(&self, url: &str, value: &Value) {
        self.texts.lock().unwrap().insert(url.to_owned(), value.to_string());
    }

    pub(crate) fn fall_silent(&self) {
        self.texts.lock().unwrap().clear();
    }

    /// How often the issuer was asked for its configuration.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Fetch for Published {
    fn get(&self, uri: Uri, limit: usize) -> Pin<Box<dyn Future<Output = Result<Bytes, Cause>> + Send + '_>> {
        if uri.path().ends_with("openid-configuration") {
            self.asked.fetch_add(1, Ordering::Relaxed);
        }
        let text = self.texts.lock().unwrap().get(&uri.to_string()).cloned();
        Box::pin(async move {
            let text = text.ok_or("nobody answers")?;
            if text.len() > limit {
                return Err("too long".into());
            }
            Ok(text.into())
        })
    }

    fn post(
        &self,
        uri: Uri,
        _: Option<Secret>,
        _: Secret,
        limit: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, Cause>> + Send + '_>> {
        self.get(uri, limit)
    }
}
