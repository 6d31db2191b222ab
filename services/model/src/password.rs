//! What people prove with who they are.

use crate::Secret;

/// The fewest characters of a password that is set (NIST SP 800-63B, and a few more).
const MIN_CHARS: usize = 12;
/// The most bytes of one: what is longer takes time to hash and proves nothing more.
const MAX_BYTES: usize = 256;

/// A password that somebody may choose: at least 12 characters and at most 256 bytes. It cannot be printed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Password(Secret);

/// A text that nobody may choose as a password.
#[derive(Clone, Copy, Debug, thiserror::Error, Eq, PartialEq)]
#[error("expected at least {MIN_CHARS} characters and at most {MAX_BYTES} bytes")]
pub struct InvalidPassword;

impl Password {
    /// Reads what somebody chose or presents; any character will do, and each counts as it stands.
    ///
    /// # Errors
    ///
    /// `InvalidPassword` for what is too short or too long.
    pub fn parse(text: Secret) -> Result<Self, InvalidPassword> {
        let fits = text.expose().len() <= MAX_BYTES && text.expose().chars().count() >= MIN_CHARS;
        if fits { Ok(Self(text)) } else { Err(InvalidPassword) }
    }

    /// The text itself, for the one place that hashes it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_its_length_in_characters_and_its_bound_in_bytes() {
        for (text, fits) in [
            ("a".repeat(11), false),
            ("a".repeat(12), true),
            ("a".repeat(256), true),
            ("a".repeat(257), false),
            ("ä".repeat(6), false),
            ("ä".repeat(128), true),
            ("ä".repeat(129), false),
            (" \n\u{0}correct horse".to_owned(), true),
        ] {
            assert_eq!(Password::parse(Secret::new(text.clone())).is_ok(), fits, "{text:?}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let password = Password::parse(Secret::new("canary-of-a-password")).unwrap();
        assert!(!format!("{password:?}").contains("canary"));
    }
}
