//! A walk over a value that has been judged before: forwards, each byte once.

use super::{
    Kind, kind,
    scan::{Scanner, decoded},
};
use std::borrow::Cow;

/// A place in a value.
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    scanner: Scanner<'a>,
}

impl<'a> Cursor<'a> {
    /// At the beginning of `text`, which is JSON.
    pub(crate) fn new(text: &'a [u8]) -> Self {
        let mut scanner = Scanner::new(text, u32::MAX);
        scanner.space();
        Self { text, scanner }
    }

    /// How many bytes are behind.
    pub(crate) fn at(&self) -> usize {
        self.scanner.at
    }

    /// What begins here.
    pub(crate) fn kind(&self) -> Kind {
        kind(self.text.get(self.at()..).unwrap_or_default())
    }

    /// Passes the value that begins here, and gives it as it is written.
    pub(crate) fn pass(&mut self) -> &'a [u8] {
        let start = self.at();
        let passed = self.scanner.value(0);
        debug_assert!(passed.is_ok(), "{passed:?}");
        self.text.get(start..self.at()).unwrap_or_default()
    }

    /// Goes into the array or object that begins here.
    pub(crate) fn enter(&mut self) {
        self.scanner.at += 1;
    }

    /// Goes on to the next element of an array, or behind the array where there is none.
    pub(crate) fn element(&mut self, first: bool) -> bool {
        self.scanner.closed(b']', first).is_ok_and(|closed| !closed)
    }

    /// Goes on to the value of the next key of an object, or behind the object where there is none.
    pub(crate) fn key(&mut self, first: bool) -> Option<Cow<'a, str>> {
        if self.scanner.closed(b'}', first).ok()? {
            return None;
        }
        self.scanner.key().ok().map(decoded)
    }
}

/// The text of `json`, a string that has been judged before.
pub(crate) fn text(json: &[u8]) -> Cow<'_, str> {
    let quoted = json.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    decoded(quoted.unwrap_or_default())
}
