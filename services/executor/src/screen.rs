//! Looks for the upstream's credential in what the upstream says: no caller may read it from an echo.

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;
use std::sync::Arc;

/// Shorter ones would be found in answers that have nothing to do with them.
const MIN_CREDENTIAL_BYTES: usize = 16;

/// Knows the credential; clones share it. It is not printed.
#[derive(Clone)]
pub(crate) struct Screen(Option<Arc<Finder<'static>>>);

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
    pub(crate) fn new(credential: &[u8]) -> Self {
        let worth = credential.len() >= MIN_CREDENTIAL_BYTES;
        Self(worth.then(|| Arc::new(Finder::new(credential).into_owned())))
    }

    /// Looks through a whole answer.
    pub(crate) fn check(&self, answer: &[u8]) -> Result<(), Echoed> {
        let found = self.0.as_ref().is_some_and(|finder| finder.find(answer).is_some());
        if found { Err(Echoed) } else { Ok(()) }
    }

    /// Looks through an answer that comes in pieces.
    pub(crate) fn passage(&self) -> Passage {
        Passage { screen: self.clone(), held: Bytes::new() }
    }
}

impl Passage {
    /// Takes a piece, and gives what can be passed on.
    pub(crate) fn push(&mut self, piece: Bytes) -> Result<Bytes, Echoed> {
        let Some(finder) = &self.screen.0 else { return Ok(piece) };
        let mut piece = if self.held.is_empty() {
            piece
        } else {
            let mut joined = BytesMut::with_capacity(self.held.len() + piece.len());
            joined.extend_from_slice(&self.held);
            joined.extend_from_slice(&piece);
            joined.freeze()
        };
        self.screen.check(&piece)?;
        let held = piece.split_off(piece.len() - begun(finder.needle(), &piece));
        // A copy, for a part of the piece would keep all of it in memory.
        self.held = Bytes::copy_from_slice(&held);
        Ok(piece)
    }

    /// Gives what was held back, at the end.
    pub(crate) fn finish(self) -> Bytes {
        self.held
    }
}

/// How many bytes at the end of `text` may be the beginning of `needle`: seldom any, so that seldom anything is copied.
fn begun(needle: &[u8], text: &[u8]) -> usize {
    let ends_with = |bytes: &usize| needle.get(..*bytes).is_some_and(|beginning| text.ends_with(beginning));
    (1..needle.len()).rev().find(ends_with).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIAL: &[u8] = b"0123456789abcdef";

    #[test]
    fn an_echo_is_found_wherever_it_is_cut() {
        let answer = [b"before ".as_slice(), CREDENTIAL, b" after"].concat();
        for size in 1..answer.len() {
            let mut passage = Screen::new(CREDENTIAL).passage();
            let mut passed = Vec::new();
            let echoed = answer.chunks(size).any(|piece| match passage.push(Bytes::copy_from_slice(piece)) {
                Ok(piece) => {
                    passed.extend_from_slice(&piece);
                    false
                }
                Err(Echoed) => true,
            });
            assert!(echoed, "pieces of {size}");
            assert!(b"before ".starts_with(&passed), "pieces of {size}");
        }
    }

    #[test]
    fn everything_else_passes_whole() {
        let answer = b"0123456789abcde 0123456789abcdeX".as_slice();
        for size in 1..answer.len() {
            let mut passage = Screen::new(CREDENTIAL).passage();
            let mut passed = Vec::new();
            for piece in answer.chunks(size) {
                passed.extend_from_slice(&passage.push(Bytes::copy_from_slice(piece)).unwrap());
            }
            passed.extend_from_slice(&passage.finish());
            assert_eq!(passed, answer, "pieces of {size}");
        }
    }

    #[test]
    fn a_piece_passes_as_it_is_unless_it_ends_with_a_beginning() {
        let mut passage = Screen::new(CREDENTIAL).passage();
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
        let credential = b"aaaaaaaaaaaaaaab";
        let mut passage = Screen::new(credential).passage();
        assert_eq!(passage.push(Bytes::from_static(b"xaaaaaaaaaaaaaaaaaa")).unwrap(), "xaaa");
        assert!(passage.push(Bytes::from_static(b"b")).is_err());
    }

    #[test]
    fn a_short_credential_is_not_looked_for() {
        assert!(Screen::new(b"short").check(b"short").is_ok());
    }
}
