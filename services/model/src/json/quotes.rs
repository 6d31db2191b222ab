//! The quotes at which strings begin and end, found many bytes at a time.

use std::str::from_utf8;
use wide::{i8x16, u8x16};

/// How many bytes are looked at together: a bit of a word for each.
const BLOCK: usize = 64;
/// How many blocks are looked at ahead.
const BLOCKS: usize = 16;

/// The quotes of a text that is JSON as far as it was read: what is in a string and what is not is told by how many quotes
/// come before it.
///
/// What strings must be is seen on the way: UTF-8, without control characters, with good escapes.
pub(super) struct Quotes<'a> {
    text: &'a [u8],
    /// A bit for each byte of the blocks that were looked at last: whether it is a quote.
    marks: [u64; BLOCKS],
    /// How much of the text has been looked at.
    seen: usize,
    /// Whether the first byte behind it is escaped.
    is_escaped: bool,
    /// The marks of all blocks so far, exclusive or: so many are set as there were quotes, or an even number fewer.
    parity: u64,
    /// Whether all of the text is known to be UTF-8.
    is_utf8: bool,
}

impl<'a> Quotes<'a> {
    /// The quotes of a text.
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self { text, marks: [0; BLOCKS], seen: 0, is_escaped: false, parity: 0, is_utf8: false }
    }

    /// What is behind the next quote of `rest`, with which the text ends; nothing where there is none, or where what was
    /// looked at is no JSON.
    #[inline(always)]
    pub(super) fn behind(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let mut at = self.text.len().checked_sub(rest.len())?;
        loop {
            while at >= self.seen {
                self.look_ahead()?;
            }
            let marks = self.marks.get(at / BLOCK % BLOCKS)? >> (at % BLOCK);
            if marks != 0 {
                return self.text.get(at + marks.trailing_zeros() as usize + 1..);
            }
            at = (at / BLOCK + 1) * BLOCK;
        }
    }

    /// Looks at the next blocks; nothing where there are none, or they are no good.
    #[inline(never)]
    fn look_ahead(&mut self) -> Option<()> {
        let (blocks, tail) = self.text.get(self.seen..)?.as_chunks();
        for (index, block) in blocks.iter().take(BLOCKS).enumerate() {
            *self.marks.get_mut(index)? = self.look(block)?;
            self.seen += BLOCK;
        }
        if blocks.len() >= BLOCKS || tail.is_empty() {
            return (!blocks.is_empty()).then_some(());
        }
        let mut block = [b' '; BLOCK];
        block.get_mut(..tail.len())?.copy_from_slice(tail);
        *self.marks.get_mut(blocks.len())? = self.look(&block)?;
        self.seen += tail.len();
        Some(())
    }

    /// The quotes of the next block.
    #[inline(always)]
    fn look(&mut self, block: &[u8; BLOCK]) -> Option<u64> {
        let marks = marks(block, |lane| lane.simd_eq(u8x16::splat(b'"')));
        // As numbers with a sign, all that is beyond ASCII is below the control characters.
        let special = |lane: u8x16| {
            let other = lane.cast_signed().simd_lt(i8x16::splat(0x20)).cast_unsigned();
            other | lane.simd_eq(u8x16::splat(b'\\'))
        };
        let (lanes, _) = block.as_chunks();
        let any = lanes.iter().fold(u8x16::splat(0), |any, lane| any | special(u8x16::new(*lane)));
        let marks = match any.to_bitmask() != 0 || self.is_escaped {
            true => self.look_closer(block, marks)?,
            false => marks,
        };
        self.parity ^= marks;
        Some(marks)
    }

    /// The same where there is more to see than ASCII as it is.
    #[inline(never)]
    fn look_closer(&mut self, block: &[u8; BLOCK], mut quotes: u64) -> Option<u64> {
        if !self.is_utf8 && marks(block, |lane| lane) != 0 {
            from_utf8(self.text.get(self.seen..)?).ok()?;
            self.is_utf8 = true;
        }
        let backslashes = marks(block, |lane| lane.simd_eq(u8x16::splat(b'\\')));
        if backslashes != 0 || self.is_escaped {
            quotes &= !self.escaped(backslashes)?;
        }
        let controls = marks(block, |lane| lane.min(u8x16::splat(0x1F)).simd_eq(lane));
        if controls != 0 {
            // From each quote on all bits change, up to the next.
            let mut inside = [1, 2, 4, 8, 16, 32].iter().fold(quotes, |bits, by| bits ^ bits << by);
            if self.parity.count_ones() % 2 == 1 {
                inside = !inside;
            }
            if controls & inside != 0 {
                return None;
            }
        }
        Some(quotes)
    }

    /// Which bytes of the next block are escaped, if all that its backslashes escape is good.
    fn escaped(&mut self, backslashes: u64) -> Option<u64> {
        let mut escaped = u64::from(self.is_escaped);
        self.is_escaped = false;
        let mut left = backslashes & !escaped;
        while left != 0 {
            let backslash = left & left.wrapping_neg();
            let behind = self.seen + left.trailing_zeros() as usize + 1;
            if !is_escape(self.text.get(behind..)?) {
                return None;
            }
            let next = backslash << 1;
            self.is_escaped = next == 0;
            escaped |= next;
            left &= !(backslash | next);
        }
        Some(escaped)
    }
}

/// A bit for each byte of a block, the first lowest: whether `of` sets the highest bit of it.
#[inline(always)]
fn marks(block: &[u8; BLOCK], of: impl Fn(u8x16) -> u8x16) -> u64 {
    let (lanes, _) = block.as_chunks();
    lanes.iter().rev().fold(0, |marks, lane| marks << 16 | u64::from(of(u8x16::new(*lane)).to_bitmask()))
}

/// Whether a backslash may stand before this.
fn is_escape(rest: &[u8]) -> bool {
    match rest {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => true,
        [b'u', a, b, c, d, ..] => [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where quotes are found in a text, one after the other, and whether all of it was looked at.
    fn found(text: &[u8]) -> (Vec<usize>, bool) {
        let mut quotes = Quotes::of(text);
        let (mut rest, mut found) = (text, Vec::new());
        while let Some(behind) = quotes.behind(rest) {
            found.push(text.len() - behind.len() - 1);
            rest = behind;
        }
        (found, quotes.seen == text.len())
    }

    #[test]
    fn a_quote_is_found_wherever_it_stands() {
        let length = 2 * BLOCK * BLOCKS + BLOCK;
        for at in 0..length {
            let mut text = vec![b'a'; length];
            text[at] = b'"';
            for end in [at + 1, length] {
                assert_eq!(found(&text[..end]), (vec![at], true), "{at} of {end}");
            }
        }
        assert_eq!(found(b""), (vec![], true));
    }

    #[test]
    fn an_escaped_quote_is_none() {
        for before in 0..2 * BLOCK {
            for backslashes in 0..5 {
                let text = format!("\"{}{}\"\"", "a".repeat(before), "\\".repeat(backslashes));
                let end = before + backslashes + 1;
                let expected = if backslashes % 2 == 0 { vec![0, end, end + 1] } else { vec![0, end + 1] };
                assert_eq!(found(text.as_bytes()), (expected, true), "{text}");
            }
        }
    }

    #[test]
    fn control_characters_are_good_outside_of_strings_alone() {
        for before in 0..2 * BLOCK {
            let string = format!("\"{}\"", "a".repeat(before));
            for control in ['\0', '\n', '\x1F'] {
                let outside = format!("{string}{control}{string}{control}");
                let (quotes, is_whole) = found(outside.as_bytes());
                assert_eq!((quotes.len(), is_whole), (4, true), "{outside:?}");
                let inside = format!("{string}\"{control}\"");
                assert!(!found(inside.as_bytes()).1, "{inside:?}");
            }
        }
        // What is no control character.
        for other in ['\x20', '\x7F', 'é'] {
            assert!(found(format!("\"{other}\"").as_bytes()).1, "{other:?}");
        }
    }

    #[test]
    fn what_is_no_utf8_is_no_good() {
        for before in 0..2 * BLOCK {
            let mut text = format!("\"{}é", "a".repeat(before)).into_bytes();
            text.extend(*b"\xC3\"");
            assert!(!found(&text).1, "{before}");
        }
    }

    #[test]
    fn escapes_are_whole() {
        for before in 0..2 * BLOCK {
            for (escape, is_good) in [
                ("\\n", true),
                ("\\u00e9", true),
                ("\\\\x", true),
                ("\\x", false),
                ("\\u00g9", false),
                ("\\u00\"", false),
                ("\\u00", false),
                ("\\", false),
            ] {
                let text = format!("{}{escape}", "a".repeat(before));
                assert_eq!(found(text.as_bytes()).1, is_good, "{text}");
            }
        }
    }
}
