//! What callers present: random tokens with a kind and a checksum.
//!
//! A bearer is `ptk_`, `pts_`, `pta_`, `pti_`, `ptd_` or `ptn_`, 43 characters of base64url (256 random bits) and 6 more (a
//! checksum), so that a typo is told from a stranger without asking anybody.

use crate::Secret;
use aws_lc_rs::{digest, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::fmt::{self, Write};

const CHECKSUM_CHARS: usize = 6;
const RANDOM_BYTES: usize = 32;
const RANDOM_CHARS: usize = 43;

/// The most bytes a bearer has: an administrator may choose one of 256 characters.
pub const MAX_BYTES: usize = 256;

/// What a bearer is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BearerKind {
    /// Calls one portal: `ptk_`.
    PortalToken,
    /// Is exchanged for tokens of one portal: `pts_`.
    PortalSecret,
    /// Manages organizations and portals: `pta_`.
    AccessToken,
    /// Makes its holder a member of an organization, once: `pti_`.
    Invitation,
    /// Is exchanged for a token of one portal once a member has approved the code that came with it: `ptd_`.
    DeviceCode,
    /// Is what a sign-in that is under way is known by: `ptn_`.
    SignIn,
}

impl BearerKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::PortalToken => "ptk_",
            Self::PortalSecret => "pts_",
            Self::AccessToken => "pta_",
            Self::Invitation => "pti_",
            Self::DeviceCode => "ptd_",
            Self::SignIn => "ptn_",
        }
    }
}

/// A bearer as it came in: visible ASCII, at most 256 characters. It cannot be printed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bearer(Secret);

/// A text that cannot be a bearer.
#[derive(Clone, Copy, Debug, thiserror::Error, Eq, PartialEq)]
#[error("expected 1 to {MAX_BYTES} visible ASCII characters")]
pub struct InvalidBearer;

/// SHA-256 of a bearer: what is stored and looked up in its place.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint([u8; 32]);

impl Bearer {
    /// Reads what a caller sent.
    ///
    /// # Errors
    ///
    /// `InvalidBearer` for anything that is not 1 to 256 visible ASCII characters.
    pub fn parse(text: &str) -> Result<Self, InvalidBearer> {
        // Each byte is looked at whatever the others are, which takes many at a time.
        let graphic = text.bytes().fold(true, |graphic, byte| graphic & byte.is_ascii_graphic());
        let fits = (1..=MAX_BYTES).contains(&text.len()) && graphic;
        if fits { Ok(Self(Secret::new(text))) } else { Err(InvalidBearer) }
    }

    /// Makes a new one of 256 random bits.
    ///
    /// # Panics
    ///
    /// When the system has no randomness to give, for then nothing can be trusted.
    pub fn generate(kind: BearerKind) -> Self {
        let mut random = [0; RANDOM_BYTES];
        rand::fill(&mut random).expect("the system has randomness");
        let body = format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(random));
        let checksum = checksum(&body);
        Self(Secret::new(body + &checksum))
    }

    /// Whether this is a bearer that we made of this kind, by its prefix and checksum alone.
    pub fn is(&self, kind: BearerKind) -> bool {
        let text = self.0.expose();
        let body_chars = kind.prefix().len() + RANDOM_CHARS;
        text.len() == body_chars + CHECKSUM_CHARS
            && text.starts_with(kind.prefix())
            && text.split_at_checked(body_chars).is_some_and(|(body, sum)| checksum(body) == sum)
    }

    /// What is stored and looked up in its place.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.0.expose().as_bytes())
    }

    /// The text itself, for the one answer or request that carries it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

fn checksum(body: &str) -> String {
    let digest = digest::digest(&digest::SHA256, body.as_bytes());
    let mut text = URL_SAFE_NO_PAD.encode(digest);
    text.truncate(CHECKSUM_CHARS);
    text
}

impl Fingerprint {
    /// SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(fingerprint)
    }

    /// In base64url, as others who count with SHA-256 write it (RFC 7636, section 4.2).
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// In hexadecimal, in lower case.
    pub fn to_hex(&self) -> String {
        let mut digits = String::with_capacity(64);
        for byte in &self.0 {
            write!(digits, "{byte:02x}").expect("a string takes all that is written");
        }
        digits
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Fingerprint {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Fingerprint(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_known_by_its_checksum() {
        let bearer = Bearer::generate(BearerKind::PortalToken);
        assert!(bearer.is(BearerKind::PortalToken));
        assert!(!bearer.is(BearerKind::AccessToken));
        let mut typo = bearer.expose().to_owned();
        typo.replace_range(10..11, if typo.as_bytes()[10] == b'A' { "B" } else { "A" });
        assert!(!Bearer::parse(&typo).unwrap().is(BearerKind::PortalToken));
    }

    #[test]
    fn a_bearer_is_not_printed() {
        let bearer = Bearer::generate(BearerKind::AccessToken);
        assert!(!format!("{bearer:?}").contains(bearer.expose()));
    }

    #[test]
    fn what_cannot_be_a_bearer_is_refused() {
        for text in ["", "a b", "ä", "a\n", &"a".repeat(257)] {
            assert_eq!(Bearer::parse(text), Err(InvalidBearer), "{text:?}");
        }
    }
}
