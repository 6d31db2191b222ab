//! Signs grants: the one place of the registry that knows what a JWT is.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use model::{
    Fault, Secret,
    key::{Keyring, Purpose},
};
use proto::grant::Claims;

/// Signs grants with the first key.
pub(crate) struct Signer(EncodingKey);

impl Signer {
    pub(crate) fn new(keyring: &Keyring) -> Self {
        let keys = keyring.keys(Purpose::Grant);
        let key = keys.raw().next().expect("a keyring has a key");
        Self(EncodingKey::from_secret(key))
    }

    /// Signs `claims`.
    ///
    /// # Errors
    ///
    /// INTERNAL, where the claims have no JSON text.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<Secret, Fault> {
        let header = Header { typ: Some(claims.r#type().to_owned()), ..Header::new(Algorithm::HS256) };
        encode(&header, claims, &self.0).map(Secret::new).map_err(Fault::internal)
    }
}
