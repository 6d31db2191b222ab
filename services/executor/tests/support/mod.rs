//! An executor with a keyring of its own, grants that are signed here, and upstreams that misbehave as told.
#![allow(dead_code, reason = "each test file uses its part of this")]
#![allow(unreachable_pub, reason = "each test file has this as a module of its own")]

pub mod session;
pub mod upstream;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use executor::{Config, Executor};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use model::{
    Fault, Secret,
    document::Document,
    key::{Keyring, Purpose},
};
use proto::{
    Answer, Body, Call, Execute,
    execute::SignedGrant,
    grant::{AUDIENCE, Claims, DocumentClaim, ISSUER, TYPE, UpstreamClaim, UpstreamSecrets},
};
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

pub const ORGANIZATION: &str = "0190b5a0-0000-7000-8000-000000000001";
pub const CREDENTIAL: &str = "canary-credential-0123456789";
pub const QUERY: &str = "query q($id: ID) { node(id: $id) { id } }";
pub const MUTATION: &str = "mutation m { do }";

/// An executor and the keys that its grants are signed with.
pub struct House {
    pub executor: Executor,
    pub keyring: Keyring,
}

/// A grant that can still be changed.
pub struct Granted {
    pub claims: Claims,
    pub header: Header,
    keyring: Keyring,
}

impl House {
    pub fn open() -> Self {
        Self::open_with(|_| {})
    }

    pub fn open_with(change: impl FnOnce(&mut Config)) -> Self {
        let keyring = Keyring::parse(&Keyring::generate()).unwrap();
        let mut config = Config::new(keyring.clone());
        change(&mut config);
        Self { executor: executor::open(config).unwrap(), keyring }
    }

    /// A grant for `document` at `url`.
    pub fn grant(&self, document: &str, url: &str) -> Granted {
        let document =
            Document::parse(document).unwrap_or_else(|problems| panic!("{document}: {problems:?}"));
        self.grant_for(DocumentClaim::from(&document), url)
    }

    pub fn grant_for(&self, document: DocumentClaim, url: &str) -> Granted {
        let secrets = UpstreamSecrets {
            credential: CREDENTIAL.to_owned(),
            headers: vec![("X-Team".to_owned(), "ci".to_owned())],
        };
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat: now(),
            exp: now() + 300,
            organization: ORGANIZATION.to_owned(),
            portal: "0190b5a0-0000-7000-8000-000000000002".to_owned(),
            revision: 1,
            token: "0190b5a0-0000-7000-8000-000000000003".to_owned(),
            document,
            ignore_extra_variables: false,
            coalesce: false,
            upstream: UpstreamClaim {
                url: url.to_owned(),
                sealed: seal(&self.keyring, &secrets),
                timeout_ms: 10_000,
            },
            restrictions: None,
            jti: None,
        };
        Granted { claims, header, keyring: self.keyring.clone() }
    }

    /// Calls with everything but the grant left out.
    pub async fn call(&self, granted: &Granted) -> Result<Answer, Fault> {
        self.executor.execute(granted.call()).await
    }

    /// The whole body of a good answer.
    pub async fn good(&self, granted: &Granted) -> String {
        let answer = self.call(granted).await.unwrap_or_else(|fault| panic!("{fault:?}"));
        String::from_utf8(collect(answer.body).await.unwrap().to_vec()).unwrap()
    }

    /// The reason of a bad one.
    pub async fn refused(&self, granted: &Granted) -> Fault {
        match self.call(granted).await {
            Ok(answer) => panic!("answered with {}", answer.status),
            Err(fault) => fault,
        }
    }
}

impl Granted {
    pub fn change(mut self, change: impl FnOnce(&mut Claims)) -> Self {
        change(&mut self.claims);
        self
    }

    /// Seals other secrets.
    pub fn secrets(mut self, secrets: &UpstreamSecrets) -> Self {
        self.claims.upstream.sealed = seal(&self.keyring, secrets);
        self
    }

    pub fn timeout(self, timeout: Duration) -> Self {
        self.change(|claims| claims.upstream.timeout_ms = timeout.as_millis().try_into().unwrap())
    }

    pub fn jwt(&self) -> String {
        let keys = self.keyring.keys(Purpose::Grant);
        let key = EncodingKey::from_secret(keys.raw().next().unwrap());
        encode(&self.header, &self.claims, &key).unwrap()
    }

    pub fn signed(&self) -> Arc<SignedGrant> {
        Arc::new(SignedGrant::new(Secret::new(self.jwt())))
    }

    pub fn call(&self) -> Call {
        Call {
            patience: Duration::ZERO,
            grant: self.signed(),
            operation_name: None,
            variables: Bytes::new(),
            deadline: Instant::now() + Duration::from_secs(30),
            request_id: "test".to_owned(),
        }
    }
}

pub async fn collect(body: Body) -> Result<Bytes, Fault> {
    match body {
        Body::Whole(bytes) => Ok(bytes),
        Body::Stream(mut stream) => {
            let mut whole = Vec::new();
            while let Some(chunk) = stream.recv().await {
                whole.extend_from_slice(&chunk?);
            }
            Ok(whole.into())
        }
    }
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn seal(keyring: &Keyring, secrets: &UpstreamSecrets) -> String {
    let plain = serde_json::to_vec(secrets).unwrap();
    STANDARD.encode(keyring.keys(Purpose::Credential).seal(ORGANIZATION.as_bytes(), &plain))
}
