//! What lies between the values of a text, remembered: the elements of a list are mostly alike, and so is what lies
//! between the values within one and within the next.
//!
//! A gap is brackets, keys, colons, commas and white space. Where it leads depends on its bytes and on where it begins, so one
//! that has been read needs only be compared the next time.

/// How many gaps are remembered; of more than these the oldest is forgotten.
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
    gaps: Vec<Gap<'a>>,
    /// How many have been read; where the next one goes.
    read: usize,
    /// Which has been passed last, and which is expected.
    passed: usize,
    expected: usize,
}

struct Gap<'a> {
    text: &'a [u8],
    from: Place,
    to: Place,
    next: usize,
}

impl<'a> Gaps<'a> {
    /// None yet, of a text of so many bytes.
    pub(super) fn new(length: usize) -> Self {
        let room = if length < LONG { 0 } else { MOST };
        Self { gaps: Vec::with_capacity(room), read: 0, passed: 0, expected: 0 }
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
    pub(super) fn remember(&mut self, text: &'a [u8], from: Place, to: Place) {
        if self.gaps.capacity() == 0 {
            return;
        }
        let at = self.read % MOST;
        self.read += 1;
        if let Some(passed) = self.gaps.get_mut(self.passed) {
            passed.next = at;
        }
        // What came after the one that is forgotten may come after this one too.
        let gap = Gap { text, from, to, next: at + 1 };
        match self.gaps.get_mut(at) {
            Some(place) => *place = gap,
            None => self.gaps.push(gap),
        }
        (self.passed, self.expected) = (at, (at + 1) % MOST);
    }
}
