//! What lies between the values of a text, remembered: the elements of a list are mostly alike, and so is what lies
//! between the values within one and within the next.
//!
//! A gap is brackets, keys, colons, commas and white space. Where it leads depends on its bytes and on where it begins, so one
//! that has been read needs only be compared the next time.

use crate::Numbered;
use std::hash::BuildHasher;

/// How many gaps are remembered, each in the place that its bytes say; a newer one takes the place of an older.
const MOST: usize = 64;
/// A shorter text has few gaps twice.
const LONG: usize = 1024;

/// Where in a text one is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// The open brackets, the innermost lowest: 1 is an object's, 0 a list's.
    pub(super) open: u64,
    /// How many there are.
    pub(super) depth: u32,
    /// Whether the outermost object has had `data` or `errors`.
    pub(super) found: bool,
}

/// The gaps of a text, each with the one that came after it the last time.
pub(super) struct Gaps<'a> {
    /// None at all where the text is short.
    gaps: Vec<Gap<'a>>,
    /// Which has been passed last, and which is expected.
    passed: usize,
    expected: usize,
}

#[derive(Clone, Copy)]
struct Gap<'a> {
    text: &'a [u8],
    from: Place,
    to: Place,
    next: usize,
}

impl Gap<'_> {
    /// Begins nowhere: between values, something is open.
    const NONE: Self = {
        let nowhere = Place { open: 0, depth: 0, found: false };
        Self { text: &[], from: nowhere, to: nowhere, next: 0 }
    };
}

impl<'a> Gaps<'a> {
    /// None yet, of a text of so many bytes.
    pub(super) fn new(length: usize) -> Self {
        let gaps = if length < LONG { Vec::new() } else { vec![Gap::NONE; MOST] };
        Self { gaps, passed: 0, expected: 0 }
    }

    /// Passes over the gap that is expected, if it is the next; what is behind it, which begins as a value does that is no
    /// list or object.
    #[inline(always)]
    pub(super) fn pass(&mut self, rest: &'a [u8], place: &mut Place) -> Option<&'a [u8]> {
        let gap = self.gaps.get(self.expected).filter(|gap| gap.from == *place)?;
        let behind = rest.strip_prefix(gap.text)?;
        let [b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n', ..] = behind else { return None };
        *place = gap.to;
        (self.passed, self.expected) = (self.expected, gap.next);
        Some(behind)
    }

    /// Remembers a gap that was read.
    #[inline]
    pub(super) fn remember(&mut self, text: &'a [u8], from: Place, to: Place) {
        if self.gaps.is_empty() {
            return;
        }
        let at = at(text);
        if let Some(passed) = self.gaps.get_mut(self.passed) {
            passed.next = at;
        }
        self.passed = at;
        if let Some(gap) = self.gaps.get_mut(at) {
            if gap.from != from || gap.text != text {
                // What came after another says nothing of it.
                *gap = Gap { text, from, to, next: at };
            }
            self.expected = gap.next;
        }
    }
}

/// The place of a gap, by its length and its last bytes, in which a key is told from others.
fn at(text: &[u8]) -> usize {
    let last = text.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let spread = Numbered::default().hash_one(last ^ text.len() as u64);
    usize::try_from(spread >> (u64::BITS - MOST.trailing_zeros())).unwrap_or(0)
}
