//! Looks for the upstream's credential in what the upstream says: no caller may read it from an echo.
//!
//! An echo need not be letter for letter: a header field that is told back may stand in JSON with escapes, in a URL, or
//! within something else in base64.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;
use std::{collections::BTreeSet, sync::Arc};

/// Shorter ones would be found in answers that have nothing to do with them.
const MIN_CREDENTIAL_BYTES: usize = 16;

/// How many bytes are looked at in one place.
const GRAM: usize = size_of::<u32>();

/// Words for 8,192 bits, of which a credential of 50 bytes sets a twenty-fifth.
const GRAMS: usize = 128;

/// Knows the credential in each form that it is looked for; clones share them. It is not printed.
#[derive(Clone)]
pub(crate) struct Screen(Option<Arc<Needles>>);

/// Texts that are looked for all at once: whatever has one of them has four bytes of it at a place that is looked at.
struct Needles {
    forms: Vec<Finder<'static>>,
    /// From each place that is looked at to the next.
    stride: usize,
    longest: usize,
    /// A set of the four bytes that may be there, and of few others, by what [`bits`] makes of them.
    grams: Box<[u64; GRAMS]>,
}

/// Looks through an answer piece by piece, and holds back what may be the beginning of the credential.
pub(crate) struct Passage {
    screen: Screen,
    held: Bytes,
}

/// The credential stood in the answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer has the credential in it")]
pub(crate) struct Echoed;

impl Screen {
    pub(crate) fn new(credential: &str) -> Self {
        let worth = credential.len() >= MIN_CREDENTIAL_BYTES;
        Self(worth.then(|| Arc::new(Needles::new(&forms(credential)))))
    }

    /// Looks through a whole answer.
    pub(crate) fn check(&self, answer: &[u8]) -> Result<(), Echoed> {
        let found = self.0.as_ref().is_some_and(|needles| needles.stand_in(answer));
        if found { Err(Echoed) } else { Ok(()) }
    }

    /// How many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let of = |finder: &Finder<'_>| size_of_val(finder) + finder.needle().len();
        let all =
            |needles: &Arc<Needles>| GRAMS * size_of::<u64>() + needles.forms.iter().map(of).sum::<usize>();
        self.0.as_ref().map_or(0, all)
    }

    /// Looks through an answer that comes in pieces.
    pub(crate) fn passage(&self) -> Passage {
        Passage { screen: self.clone(), held: Bytes::new() }
    }
}

impl Needles {
    fn new(forms: &BTreeSet<String>) -> Self {
        let lengths = || forms.iter().map(String::len);
        // So that the first place within one, wherever it begins, has four bytes of it.
        let stride = (lengths().min().unwrap_or_default() + 1).saturating_sub(GRAM).max(1);
        let mut grams = Box::new([0; GRAMS]);
        for gram in forms.iter().flat_map(|form| form.as_bytes().windows(GRAM).take(stride)) {
            let (word, mask) = bits(gram.first_chunk().expect("a window has its length"));
            if let Some(word) = grams.get_mut(word) {
                *word |= mask;
            }
        }
        let longest = lengths().max().unwrap_or_default();
        let forms = forms.iter().map(|form| Finder::new(form).into_owned()).collect();
        Self { forms, stride, longest, grams }
    }

    fn stand_in(&self, text: &[u8]) -> bool {
        let mut at = 0;
        while let Some(gram) = text.get(at..).and_then(<[u8]>::first_chunk) {
            if self.may_have(gram) && self.stand_at(text, at) {
                return true;
            }
            at += self.stride;
        }
        false
    }

    fn may_have(&self, gram: &[u8; GRAM]) -> bool {
        let (word, mask) = bits(gram);
        self.grams.get(word).is_some_and(|word| word & mask == mask)
    }

    /// Whether one of them stands around this place.
    fn stand_at(&self, text: &[u8], at: usize) -> bool {
        let end = text.len().min(at + self.longest);
        let around = text.get(at.saturating_sub(self.longest)..end).unwrap_or_default();
        self.forms.iter().any(|finder| finder.find(around).is_some())
    }

    /// How many bytes at the end of `text` may be the beginning of one of them: seldom any, so that seldom anything is
    /// copied.
    fn begun(&self, text: &[u8]) -> usize {
        self.forms.iter().map(|finder| begun(finder.needle(), text)).max().unwrap_or(0)
    }
}

/// Where in [`Needles::grams`] these bytes are: the word and its bits, as one alone is set for too many others.
fn bits(gram: &[u8; GRAM]) -> (usize, u64) {
    let hash = u32::from_le_bytes(*gram).wrapping_mul(0x9e37_79b1);
    (usize::from((hash >> 25) as u8), 1 << (hash >> 19 & 63) | 1 << (hash >> 13 & 63))
}

impl Passage {
    /// Takes a piece, and gives what can be passed on.
    pub(crate) fn push(&mut self, piece: Bytes) -> Result<Bytes, Echoed> {
        let Some(needles) = &self.screen.0 else { return Ok(piece) };
        let mut piece = if self.held.is_empty() {
            piece
        } else {
            let mut joined = BytesMut::with_capacity(self.held.len() + piece.len());
            joined.extend_from_slice(&self.held);
            joined.extend_from_slice(&piece);
            joined.freeze()
        };
        self.screen.check(&piece)?;
        let held = piece.split_off(piece.len() - needles.begun(&piece));
        // A copy, for a part of the piece would keep all of it in memory.
        self.held = Bytes::copy_from_slice(&held);
        Ok(piece)
    }

    /// Gives what was held back, at the end.
    pub(crate) fn finish(self) -> Bytes {
        self.held
    }
}

/// The credential as it is, and as it is written elsewhere: most have nothing that JSON or a URL would write otherwise.
fn forms(credential: &str) -> BTreeSet<String> {
    let json = credential.replace('\\', r"\\").replace('"', r#"\""#);
    let mut forms = BTreeSet::from([
        credential.to_owned(),
        json.replace('/', r"\/"),
        json,
        percent_encoded(credential, |byte| format!("%{byte:02X}")),
        percent_encoded(credential, |byte| format!("%{byte:02x}")),
    ]);
    // In base64 within something longer, of which a group of three bytes may end with its first, second or third.
    for from in 0..3 {
        let groups = credential.as_bytes().get(from..).unwrap_or_default().as_chunks::<3>().0.as_flattened();
        let base64 = STANDARD.encode(groups);
        forms.extend([base64.replace('/', r"\/"), base64, URL_SAFE.encode(groups)]);
    }
    forms
}

/// All but the unreserved characters of RFC 3986 percent-encoded.
fn percent_encoded(credential: &str, encoded: fn(u8) -> String) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let bytes = credential.bytes();
    bytes.map(|byte| if unreserved(byte) { char::from(byte).to_string() } else { encoded(byte) }).collect()
}

/// How many bytes at the end of `text` may be the beginning of `needle`.
fn begun(needle: &[u8], text: &[u8]) -> usize {
    let ends_with = |bytes: &usize| needle.get(..*bytes).is_some_and(|beginning| text.ends_with(beginning));
    (1..needle.len()).rev().find(ends_with).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prelude::*, sample::Index};

    /// With characters that JSON, URLs and the two alphabets of base64 write each in their own way.
    const CREDENTIAL: &str = r#"ab/cd+ef="gh\ij>>>???kl"#;

    /// What passes of an answer in pieces of so many bytes, or what had passed when the credential was found.
    fn pass(credential: &str, answer: &str, size: usize) -> Result<Vec<u8>, Vec<u8>> {
        let mut passage = Screen::new(credential).passage();
        let mut passed = Vec::new();
        for piece in answer.as_bytes().chunks(size) {
            match passage.push(Bytes::copy_from_slice(piece)) {
                Ok(piece) => passed.extend_from_slice(&piece),
                Err(Echoed) => return Err(passed),
            }
        }
        passed.extend_from_slice(&passage.finish());
        Ok(passed)
    }

    #[test]
    fn an_echo_is_found_in_each_form_and_wherever_it_is_cut() {
        let written = [
            CREDENTIAL.to_owned(),
            r#"ab/cd+ef=\"gh\\ij>>>???kl"#.to_owned(),
            r#"ab\/cd+ef=\"gh\\ij>>>???kl"#.to_owned(),
            "ab%2Fcd%2Bef%3D%22gh%5Cij%3E%3E%3E%3F%3F%3Fkl".to_owned(),
            "ab%2fcd%2bef%3d%22gh%5cij%3e%3e%3e%3f%3f%3fkl".to_owned(),
            STANDARD.encode(format!("Bearer {CREDENTIAL}")),
            STANDARD.encode(format!("user:{CREDENTIAL}\n")),
            STANDARD.encode(format!(":{CREDENTIAL}:{CREDENTIAL}")),
            STANDARD.encode(format!("Bearer {CREDENTIAL}")).replace('/', r"\/"),
            URL_SAFE.encode(format!("Bearer {CREDENTIAL}")),
            URL_SAFE.encode(format!("user:{CREDENTIAL}\n")),
            URL_SAFE.encode(format!("{CREDENTIAL}.")),
        ];
        for form in written {
            let answer = format!("before {form} after");
            for size in 1..=answer.len() {
                let passed =
                    pass(CREDENTIAL, &answer, size).expect_err(&format!("{form} in pieces of {size}"));
                let told = passed.strip_prefix(b"before ").map_or(0, <[u8]>::len);
                // What stands before the credential within base64 may have passed.
                assert!(told <= 12 && answer.as_bytes().starts_with(&passed), "{form} in pieces of {size}");
            }
        }
    }

    #[test]
    fn everything_else_passes_whole() {
        let (nearly, _) = CREDENTIAL.split_at(CREDENTIAL.len() - 1);
        let encoded = STANDARD.encode(CREDENTIAL);
        let (_, without_its_first) = encoded.split_at(1);
        let answer = format!("{nearly} {nearly}X {without_its_first} {nearly}");
        for size in 1..=answer.len() {
            assert_eq!(pass(CREDENTIAL, &answer, size).as_deref(), Ok(answer.as_bytes()), "pieces of {size}");
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_a_plain_search_finds(
            credential in "[ab/]{16,60}",
            before in "[abYWJ/]{0,90}",
            form: Index,
            cut in 0..20_usize,
            after in "[abYWJ/]{0,90}",
        ) {
            let forms = forms(&credential);
            let form = form.get(&forms.iter().collect::<Vec<_>>()).as_str();
            // Most often whole, else without a part of its end.
            let form = form.get(..form.len() - cut.saturating_sub(10)).unwrap_or_default();
            let answer = format!("{before}{form}{after}");
            let stands = forms.iter().any(|form| answer.contains(form));
            prop_assert_eq!(Screen::new(&credential).check(answer.as_bytes()).is_err(), stands);
        }
    }

    #[test]
    fn most_credentials_are_looked_for_in_four_forms() {
        assert_eq!(forms("bkua_0123456789abcdef").len(), 4);
    }

    #[test]
    fn a_piece_passes_as_it_is_unless_it_ends_with_a_beginning() {
        let mut passage = Screen::new("0123456789abcdef").passage();
        let piece = Bytes::from_static(b"0123456789abcde and more");
        let place = piece.as_ptr();
        let passed = passage.push(piece).unwrap();
        assert_eq!((passed.as_ptr(), passed.len()), (place, 24));
        assert_eq!(passage.push(Bytes::from_static(b"more of it 01")).unwrap(), "more of it ");
        assert_eq!(passage.push(Bytes::from_static(b"2")).unwrap(), "");
        assert!(passage.push(Bytes::from_static(b"3456789abcdef")).is_err());
    }

    #[test]
    fn a_beginning_within_another_is_found() {
        let mut passage = Screen::new("aaaaaaaaaaaaaaab").passage();
        assert_eq!(passage.push(Bytes::from_static(b"xaaaaaaaaaaaaaaaaaa")).unwrap(), "xaaa");
        assert!(passage.push(Bytes::from_static(b"b")).is_err());
    }

    #[test]
    fn a_short_credential_is_not_looked_for() {
        assert!(Screen::new("short").check(b"short").is_ok());
    }
}
