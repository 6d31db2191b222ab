//! Codes that people read from one screen and type into another (RFC 8628, section 6.1).
//!
//! A code is eight of twenty letters, which is 34.6 bits: no vowels, so that it is no word, and none that is taken for
//! a digit. It is told as `WDJB-MJHT` and read in any case, with or without what stands between.

use aws_lc_rs::rand;
use std::{fmt, str::FromStr};

const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LETTERS: usize = 8;
/// The most characters that are read: the letters, and as many that only part them.
const MAX_CHARS: usize = 2 * LETTERS;
/// The most whole alphabets that a byte holds: what is above would make the first letters likelier.
const FAIR: u8 = 240;

/// A code that a member types.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct UserCode([u8; LETTERS]);

/// A text that cannot be such a code.
#[derive(Clone, Copy, Debug, thiserror::Error, Eq, PartialEq)]
#[error("expected a code of {LETTERS} letters, such as WDJB-MJHT")]
pub struct InvalidUserCode;

impl UserCode {
    /// Makes a new one, each as likely as any other.
    ///
    /// # Panics
    ///
    /// When the system has no randomness to give, for then nothing can be trusted.
    pub fn generate() -> Self {
        Self(std::array::from_fn(|_| letter()))
    }
}

/// One letter, each as likely as any other.
fn letter() -> u8 {
    loop {
        let mut random = [0];
        rand::fill(&mut random).expect("the system has randomness");
        let [byte] = random;
        let place = usize::from(byte) % ALPHABET.len();
        if let Some(letter) = ALPHABET.get(place).filter(|_| byte < FAIR) {
            return *letter;
        }
    }
}

impl FromStr for UserCode {
    type Err = InvalidUserCode;

    fn from_str(text: &str) -> Result<Self, InvalidUserCode> {
        if text.len() > MAX_CHARS {
            return Err(InvalidUserCode);
        }
        let told = text.bytes().filter(|byte| !matches!(byte, b'-' | b' '));
        let letters: Vec<u8> = told.map(|byte| byte.to_ascii_uppercase()).collect();
        let letters = <[u8; LETTERS]>::try_from(letters).map_err(|_| InvalidUserCode)?;
        let known = letters.iter().all(|letter| ALPHABET.contains(letter));
        known.then_some(Self(letters)).ok_or(InvalidUserCode)
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, letter) in self.0.iter().enumerate() {
            if place == LETTERS / 2 {
                formatter.write_str("-")?;
            }
            write!(formatter, "{}", char::from(*letter))?;
        }
        Ok(())
    }
}

/// It is good for a token as long as it lives, so it is not printed.
impl fmt::Debug for UserCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("UserCode(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn a_code_is_read_as_it_is_told_and_as_people_type_it() {
        let code = UserCode::generate();
        let told = code.to_string();
        assert_eq!(told.len(), 9);
        assert_eq!(told.parse(), Ok(code));
        let wdjb: UserCode = "WDJB-MJHT".parse().unwrap();
        for typed in ["wdjbmjht", "WDJB MJHT", " wdjb-mjht ", "W-D-J-B-M-J-H-T"] {
            assert_eq!(typed.parse(), Ok(wdjb), "{typed}");
        }
        for typed in ["", "WDJB-MJH", "WDJB-MJHTB", "WDJA-MJHT", "WDJB_MJHT", "WDJB-MJHÜ", &"-".repeat(100)]
        {
            assert_eq!(typed.parse::<UserCode>(), Err(InvalidUserCode), "{typed}");
        }
        assert!(!format!("{code:?}").contains(&told));
    }

    #[test]
    fn every_letter_is_as_likely_as_any_other() {
        let mut seen: HashMap<u8, u32> = HashMap::new();
        for _ in 0..10_000 {
            for letter in UserCode::generate().0 {
                *seen.entry(letter).or_default() += 1;
            }
        }
        assert_eq!(seen.len(), ALPHABET.len());
        // 4,000 each, with a deviation of about 62.
        assert!(seen.values().all(|count| (3_500..4_500).contains(count)), "{seen:?}");
    }
}
