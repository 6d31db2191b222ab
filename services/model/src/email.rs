//! Where people are written to, which is what they are known by.

use std::{fmt, str::FromStr};

/// The most characters of an address (RFC 5321, section 4.5.3.1.3, without the brackets).
const MAX_CHARS: usize = 254;

/// An email address: 3 to 254 visible ASCII characters with one `@` between others.
///
/// Whether anybody reads what is sent there, nobody can tell by looking at it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Email(String);

/// A text that is no email address.
#[derive(Clone, Copy, Debug, thiserror::Error, Eq, PartialEq)]
#[error("expected an email address such as ada@example.com, of at most {MAX_CHARS} ASCII characters")]
pub struct InvalidEmail;

impl Email {
    /// The address as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address without its case: two that differ in nothing else are one person's.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let fits = text.len() <= MAX_CHARS && text.bytes().all(|byte| byte.is_ascii_graphic());
        let (local, domain) = text.split_once('@').ok_or(InvalidEmail)?;
        if !fits || local.is_empty() || domain.is_empty() || domain.contains('@') {
            return Err(InvalidEmail);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_case_and_is_compared_without() {
        let email: Email = "Ada@Example.com".parse().unwrap();
        assert_eq!((email.as_str(), &*email.folded()), ("Ada@Example.com", "ada@example.com"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(243));
        for text in
            ["", "@", "ada", "ada@", "@example.com", "a@b@c", "a b@c", "ä@example.com", "a@b\n", &long]
        {
            assert_eq!(text.parse::<Email>(), Err(InvalidEmail), "{text:?}");
        }
    }
}
