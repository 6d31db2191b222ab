//! The secret key that registry and executor share, and what is made of it.
//!
//! Each purpose has a key of its own, derived by HKDF-SHA256, so that what is sealed for one cannot be
//! opened as another. Sealing is AES-256-GCM-SIV: a nonce that comes twice gives nothing away.

use crate::Secret;
use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey},
    digest, hkdf,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const MARK_BYTES: usize = 4;
const NONCE_BYTES: usize = 12;

/// What a derived key is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Signs grants.
    Grant,
    /// Seals upstream credentials.
    Credential,
    /// Seals what lies in the store.
    Store,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Grant => b"portals grant 1",
            Self::Credential => b"portals credential 1",
            Self::Store => b"portals store 1",
        }
    }
}

/// The secret keys: the first seals and signs, all open and verify.
#[derive(Clone)]
pub struct Keyring(Vec<Zeroizing<[u8; KEY_BYTES]>>);

/// A text that is no keyring.
#[derive(Clone, Copy, Debug, thiserror::Error, Eq, PartialEq)]
#[error("expected 32 bytes in base64, several separated by commas")]
pub struct InvalidKeyring;

/// Keys of one purpose, first the one that seals.
#[derive(Clone)]
pub struct PurposeKeys(Vec<PurposeKey>);

/// A key of one purpose and its mark.
#[derive(Clone)]
struct PurposeKey {
    mark: [u8; MARK_BYTES],
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

/// Sealed bytes that no key opens: damaged, moved from elsewhere, or sealed with another key.
#[derive(Clone, Copy, Debug, thiserror::Error, Eq, PartialEq)]
#[error("sealed bytes cannot be opened: they are damaged or were sealed with another key")]
pub struct CannotOpen;

impl Keyring {
    /// Reads keys as an operator gives them.
    ///
    /// # Errors
    ///
    /// `InvalidKeyring` unless it is one or more keys of 32 bytes in base64.
    pub fn parse(text: &Secret) -> Result<Self, InvalidKeyring> {
        let read = |part: &str| {
            let decoded = Zeroizing::new(STANDARD.decode(part.trim()).map_err(|_| InvalidKeyring)?);
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            if decoded.len() != KEY_BYTES {
                return Err(InvalidKeyring);
            }
            key.copy_from_slice(&decoded);
            Ok(key)
        };
        text.expose().split(',').map(read).collect::<Result<Vec<_>, _>>().map(Self)
    }

    /// Makes a new key, as the text that [`Keyring::parse`] reads.
    ///
    /// # Panics
    ///
    /// When the system has no randomness to give, for then nothing can be trusted.
    pub fn generate() -> Secret {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        aws_lc_rs::rand::fill(&mut *key).expect("the system has randomness");
        Secret::new(STANDARD.encode(*key))
    }

    /// The keys of one purpose.
    pub fn keys(&self, purpose: Purpose) -> PurposeKeys {
        PurposeKeys(self.0.iter().map(|key| PurposeKey::derive(key, purpose)).collect())
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Keyring({} redacted)", self.0.len())
    }
}

impl fmt::Debug for PurposeKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PurposeKeys({} redacted)", self.0.len())
    }
}

struct Length;

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

impl PurposeKey {
    fn derive(key: &[u8; KEY_BYTES], purpose: Purpose) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"portals")
            .extract(key)
            .expand(&[purpose.label()], Length)
            .and_then(|okm| okm.fill(&mut *bytes))
            .expect("32 bytes are within what HKDF-SHA256 gives");
        let mut mark = [0; MARK_BYTES];
        let digest = digest::digest(&digest::SHA256, &*bytes);
        mark.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self { mark, bytes }
    }

    fn cipher(&self) -> RandomizedNonceKey {
        RandomizedNonceKey::new(&AES_256_GCM_SIV, &*self.bytes).expect("the key has 32 bytes")
    }
}

impl PurposeKeys {
    /// Seals `plain` to the first key and to `context`, which must be the same to open it.
    ///
    /// The result: 4 bytes that tell the key, 12 of nonce, the text, 16 of tag.
    ///
    /// # Panics
    ///
    /// Never for texts below 2^36 bytes; a keyring has at least one key by construction.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let key = self.0.first().expect("a keyring has a key");
        let mut text = plain.to_vec();
        let nonce = key
            .cipher()
            .seal_in_place_append_tag(Aad::from(context), &mut text)
            .expect("a text in memory is shorter than 2^36 bytes");
        let mut sealed = Vec::with_capacity(MARK_BYTES + NONCE_BYTES + text.len());
        sealed.extend_from_slice(&key.mark);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&text);
        sealed
    }

    /// Opens what [`PurposeKeys::seal`] made.
    ///
    /// # Errors
    ///
    /// `CannotOpen` when no key fits, the bytes are damaged or `context` is another.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        let (mark, rest) = sealed.split_at_checked(MARK_BYTES).ok_or(CannotOpen)?;
        let (nonce, text) = rest.split_at_checked(NONCE_BYTES).ok_or(CannotOpen)?;
        let key = self.0.iter().find(|key| key.mark == mark).ok_or(CannotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotOpen)?;
        let mut plain = Zeroizing::new(text.to_vec());
        let length =
            key.cipher().open_in_place(nonce, Aad::from(context), &mut plain).map_err(|_| CannotOpen)?.len();
        plain.truncate(length);
        Ok(plain)
    }

    /// The bytes of each key, for an algorithm that takes them itself; the first signs.
    pub fn raw(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|key| key.bytes.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> PurposeKeys {
        Keyring::parse(&Secret::new(text)).unwrap().keys(Purpose::Credential)
    }

    #[test]
    fn what_one_key_seals_a_rotated_ring_opens_and_another_does_not() {
        let (old, new) = (Keyring::generate(), Keyring::generate());
        let sealed = keys(old.expose()).seal(b"here", b"canary");
        let ring = format!("{},{}", new.expose(), old.expose());
        assert_eq!(keys(&ring).open(b"here", &sealed).unwrap().as_slice(), b"canary");
        assert_eq!(keys(&ring).open(b"there", &sealed), Err(CannotOpen));
        assert_eq!(keys(new.expose()).open(b"here", &sealed), Err(CannotOpen));
    }

    #[test]
    fn a_flipped_bit_is_noticed_wherever_it_is() {
        let keys = keys(Keyring::generate().expose());
        let sealed = keys.seal(b"", b"canary");
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(keys.open(b"", &damaged), Err(CannotOpen), "byte {at}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "short", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,"] {
            assert!(Keyring::parse(&Secret::new(text)).is_err(), "{text:?}");
        }
    }
}
