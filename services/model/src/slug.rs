//! Names that stand in URLs.

use std::{fmt, str::FromStr};

/// The most characters a slug has.
pub const MAX_CHARS: usize = 100;

/// A name in a URL: 1 to 100 of `a-z`, `0-9`, `-`, neither beginning nor ending with `-`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Slug(String);

/// A text that is not a slug.
#[derive(Clone, Copy, Debug, thiserror::Error, Eq, PartialEq)]
#[error("expected 1 to {MAX_CHARS} of a-z, 0-9 and -, neither beginning nor ending with -")]
pub struct InvalidSlug;

impl Slug {
    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Makes a slug of a name for people: lower case, every run of other characters one `-`.
    ///
    /// # Errors
    ///
    /// `InvalidSlug` when no letter or digit of ASCII is left.
    pub fn from_name(name: &str) -> Result<Self, InvalidSlug> {
        let mut slug = String::with_capacity(name.len());
        for character in name.chars().map(|character| character.to_ascii_lowercase()) {
            match character {
                'a'..='z' | '0'..='9' => slug.push(character),
                _ if slug.is_empty() || slug.ends_with('-') => {}
                _ => slug.push('-'),
            }
            if slug.len() == MAX_CHARS {
                break;
            }
        }
        slug.trim_end_matches('-').parse()
    }
}

impl FromStr for Slug {
    type Err = InvalidSlug;

    fn from_str(text: &str) -> Result<Self, InvalidSlug> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() | byte.is_ascii_digit() | (byte == b'-');
        // Each byte is looked at whatever the others are, which takes many at a time.
        let fits = (1..=MAX_CHARS).contains(&text.len())
            && text.bytes().fold(true, |fits, byte| fits & allowed(byte));
        if !fits || text.starts_with('-') || text.ends_with('-') {
            return Err(InvalidSlug);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_made_from_a_name() {
        for (name, slug) in [
            ("Trigger main build", "trigger-main-build"),
            ("  GetTotalBuildRunTime! ", "gettotalbuildruntime"),
            ("Ünï – code 7", "n-code-7"),
        ] {
            assert_eq!(Slug::from_name(name).unwrap().as_str(), slug);
        }
        assert_eq!(Slug::from_name("日本"), Err(InvalidSlug));
    }

    #[test]
    fn what_is_not_a_slug_is_refused() {
        for text in ["", "-a", "a-", "A", "a_b", "a/b", "..", "a\0", &"a".repeat(101)] {
            assert_eq!(text.parse::<Slug>(), Err(InvalidSlug), "{text:?}");
        }
    }
}
