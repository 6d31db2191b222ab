//! What lies between the values of a text, remembered: the elements of a list are mostly alike, and so is what lies
//! between the values within one and within the next.
//!
//! A gap is brackets, keys, colons, commas and white space. Where it leads depends on its bytes and on where it begins, so one
//! that has been read needs only be compared the next time.

use crate::Numbered;
use std::hash::BuildHasher;
use wide::u8x16;

/// How many gaps are remembered: the first of a text.
const MOST: usize = 64;
/// How many places there are for their numbers. Of two that belong at one, the first stays.
const PLACES: usize = 4 * MOST;
/// The number of a gap that is not remembered.
const NONE: u8 = u8::MAX;
/// A shorter text has few gaps twice.
const LONG: usize = 1024;
/// How many bytes of a gap are compared at once.
const BEGIN: usize = 32;

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
    /// Their numbers, each in the place that its bytes say; no places where the text is short.
    numbers: Vec<u8>,
    /// The number of the one that has been passed last.
    passed: u8,
}

struct Gap<'a> {
    text: &'a [u8],
    /// How it begins, and a bit for each byte of that which belongs to it.
    begin: [u8; BEGIN],
    wanted: u32,
    from: Place,
    to: Place,
    /// The number of one that begins where this one leads.
    next: u8,
}

impl<'a> Gaps<'a> {
    /// None yet, of a text of so many bytes.
    pub(super) fn new(length: usize) -> Self {
        let numbers = if length < LONG { Vec::new() } else { vec![NONE; PLACES] };
        Self { gaps: Vec::new(), numbers, passed: NONE }
    }

    /// Passes over gaps that are expected, each with the value behind it: `value` tells what comes after that, if it is
    /// one that is no list or object. What is behind them all.
    #[inline(always)]
    pub(super) fn pass(
        &mut self,
        mut rest: &'a [u8],
        place: &mut Place,
        mut value: impl FnMut(&'a [u8]) -> Option<&'a [u8]>,
    ) -> &'a [u8] {
        let Some(mut passed) = self.gap(self.passed) else { return rest };
        let mut number = self.passed;
        while let Some(gap) = self.gap(passed.next)
            && let Some(behind) = gap.behind(rest)
            && let Some(behind) = value(behind)
        {
            (rest, number, passed) = (behind, passed.next, gap);
        }
        *place = passed.to;
        self.passed = number;
        rest
    }

    /// Remembers a gap that was read behind the one that was passed last.
    #[inline]
    pub(super) fn remember(&mut self, text: &'a [u8], from: Place, to: Place) {
        let number = self.number(text, from, to).unwrap_or(NONE);
        if let Some(passed) = self.gaps.get_mut(usize::from(self.passed)) {
            passed.next = number;
        }
        self.passed = number;
    }

    /// The number of a gap, a new one if it is new; nothing where there is no place for it.
    fn number(&mut self, text: &'a [u8], from: Place, to: Place) -> Option<u8> {
        let number = self.numbers.get_mut(place(text))?;
        match self.gaps.get(usize::from(*number)) {
            Some(gap) => (gap.from == from && gap.text == text).then_some(*number),
            None if self.gaps.len() == MOST => None,
            None => {
                *number = u8::try_from(self.gaps.len()).ok()?;
                self.gaps.push(Gap::new(text, from, to));
                Some(*number)
            }
        }
    }

    #[inline(always)]
    fn gap(&self, number: u8) -> Option<&Gap<'a>> {
        self.gaps.get(usize::from(number))
    }
}

impl<'a> Gap<'a> {
    fn new(text: &'a [u8], from: Place, to: Place) -> Self {
        let mut begin = [0; BEGIN];
        begin.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
        let beyond = u32::BITS.saturating_sub(u32::try_from(text.len()).unwrap_or(u32::MAX));
        let wanted = u32::MAX.checked_shr(beyond).unwrap_or(0);
        Self { text, begin, wanted, from, to, next: NONE }
    }

    /// What is behind this gap in `rest`, if that begins with it and goes on for a while.
    #[inline(always)]
    fn behind<'r>(&self, rest: &'r [u8]) -> Option<&'r [u8]> {
        let same = same(rest.first_chunk()?, &self.begin);
        if same & self.wanted != self.wanted {
            return None;
        }
        match self.text.len() > BEGIN {
            true => rest.strip_prefix(self.text),
            false => rest.get(self.text.len()..),
        }
    }
}

/// A bit for each byte, the first lowest: whether it is the same in both.
#[inline(always)]
fn same(one: &[u8; BEGIN], other: &[u8; BEGIN]) -> u32 {
    let ((one, _), (other, _)) = (one.as_chunks(), other.as_chunks());
    let pairs = one.iter().zip(other).rev();
    pairs.fold(0, |same, (one, other)| same << 16 | u8x16::new(*one).simd_eq(u8x16::new(*other)).to_bitmask())
}

/// The place of a gap's number, by its length and its last bytes, in which a key is told from others.
fn place(text: &[u8]) -> usize {
    let last = text.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let spread = Numbered::default().hash_one(last ^ text.len() as u64);
    usize::try_from(spread >> (u64::BITS - PLACES.trailing_zeros())).unwrap_or(0)
}
