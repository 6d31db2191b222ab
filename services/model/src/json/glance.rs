//! A quick look at a whole answer: most are good, and of those nothing more needs to be known.
//!
//! What it cannot vouch for it leaves to the slower walk, which says what is wrong, and where. Both accept the same texts.

use super::{
    gaps::{Gaps, Place},
    scan::plain_word,
};

/// How deep an answer may be nested to be told at a glance: a bit for each bracket.
const DEPTH: u32 = u64::BITS;

/// What a text is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Made {
    /// ASCII without a backslash or a control character: whatever is in quotes ends at the next one.
    Plainly,
    /// Anything else.
    Otherwise,
}

/// What has come after a bracket, a key or a comma.
enum Entered<'a> {
    /// A value that is no list or object, if the text is good.
    Value(&'a [u8]),
    /// A list or an object with nothing in it, and this is behind it.
    Passed(&'a [u8]),
}

/// What has come after a value.
enum Left<'a> {
    /// An element of what is open: a member of an object, or a value of a list.
    Element(&'a [u8]),
    /// The end of the text.
    End,
}

/// What `text` is made of.
pub(super) fn made(text: &[u8]) -> Made {
    // As numbers with a sign, all that is beyond ASCII is below the control characters.
    let other = |byte: &u8| u8::from(byte.cast_signed() < 0x20) | u8::from(*byte == b'\\');
    // No branch for a byte, so that a compiler can look at many at a time.
    let any_other = |bytes: &[u8]| bytes.iter().map(other).fold(0, |any, one| any | one) != 0;
    let (blocks, rest) = text.as_chunks::<128>();
    match blocks.iter().any(|block| any_other(block)) || any_other(rest) {
        true => Made::Otherwise,
        false => Made::Plainly,
    }
}

/// Whether the object that `text`, which is UTF-8, consists of has `data` or `errors`; nothing where a closer look is
/// needed.
pub(super) fn response(text: &[u8], made: Made) -> Option<bool> {
    match made {
        Made::Plainly => look::<true>(text),
        Made::Otherwise => look::<false>(text),
    }
}

fn look<const PLAIN: bool>(text: &[u8]) -> Option<bool> {
    let [b'{', tail @ ..] = space(text) else { return None };
    let mut place = Place { open: 1, depth: 1, found: false };
    let mut rest = match enter::<PLAIN>(space(tail), &mut place)? {
        Entered::Value(rest) => rest,
        Entered::Passed(rest) => match gap::<PLAIN>(rest, &mut place)? {
            Some(rest) => rest,
            None => return Some(place.found),
        },
    };
    let mut gaps = Gaps::new(text.len());
    loop {
        rest = values::<PLAIN>(rest, &mut place, &mut gaps)?;
        let (begin, from) = (rest, place);
        let Some(behind) = gap::<PLAIN>(rest, &mut place)? else { return Some(place.found) };
        gaps.remember(begin.get(..begin.len().checked_sub(behind.len())?)?, from, place);
        rest = behind;
    }
}

/// What is behind values and the gaps between them that are known.
#[inline(always)]
fn values<'a, const PLAIN: bool>(
    mut rest: &'a [u8],
    place: &mut Place,
    gaps: &mut Gaps<'a>,
) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [b'"', tail @ ..] => string::<PLAIN>(tail)?,
            [b'-' | b'0'..=b'9', ..] => number(rest)?,
            [b't', b'r', b'u', b'e', tail @ ..]
            | [b'f', b'a', b'l', b's', b'e', tail @ ..]
            | [b'n', b'u', b'l', b'l', tail @ ..] => tail,
            _ => return None,
        };
        match gaps.pass(rest, place) {
            Some(behind) => rest = behind,
            None => return Some(rest),
        }
    }
}

/// What is behind a gap: a value that is no list or object, if the text is good; nothing where the text ends there.
#[inline(always)]
fn gap<'a, const PLAIN: bool>(mut rest: &'a [u8], place: &mut Place) -> Option<Option<&'a [u8]>> {
    loop {
        let Left::Element(element) = leave(rest, place)? else { return Some(None) };
        match enter::<PLAIN>(element, place)? {
            Entered::Value(behind) => return Some(Some(behind)),
            Entered::Passed(behind) => rest = behind,
        }
    }
}

/// Goes into an element, as deep as lists and objects begin with one another.
#[inline(always)]
fn enter<'a, const PLAIN: bool>(mut rest: &'a [u8], place: &mut Place) -> Option<Entered<'a>> {
    loop {
        if place.open & 1 == 1 {
            let [b'"', key @ ..] = rest else { return None };
            rest = string::<PLAIN>(key)?;
            if place.depth == 1 {
                place.found |= is_wanted(key, rest)?;
            }
            // Most keys have their colon at once.
            rest = match rest {
                [b':', tail @ ..] => space(tail),
                _ => {
                    let [b':', tail @ ..] = space(rest) else { return None };
                    space(tail)
                }
            };
        }
        let [bracket @ (b'{' | b'['), tail @ ..] = rest else { return Some(Entered::Value(rest)) };
        if place.depth == DEPTH {
            return None;
        }
        let is_object = *bracket == b'{';
        rest = space(tail);
        match rest {
            [b'}', tail @ ..] if is_object => return Some(Entered::Passed(tail)),
            [b']', tail @ ..] if !is_object => return Some(Entered::Passed(tail)),
            _ => {
                place.open = place.open << 1 | u64::from(is_object);
                place.depth += 1;
            }
        }
    }
}

/// Goes out of what ends behind a value.
#[inline(always)]
fn leave<'a>(mut rest: &'a [u8], place: &mut Place) -> Option<Left<'a>> {
    loop {
        rest = space(rest);
        rest = match rest {
            [b',', tail @ ..] => return Some(Left::Element(space(tail))),
            [b'}', tail @ ..] if place.open & 1 == 1 => tail,
            [b']', tail @ ..] if place.open & 1 == 0 => tail,
            _ => return None,
        };
        (place.open, place.depth) = (place.open >> 1, place.depth - 1);
        if place.depth == 0 {
            return space(rest).is_empty().then_some(Left::End);
        }
    }
}

/// Whether the key at the start of `key`, behind which is `rest`, is one of a GraphQL response; nothing where it has
/// escapes.
fn is_wanted(key: &[u8], rest: &[u8]) -> Option<bool> {
    // The quote behind it is no part of it.
    let key = key.get(..key.len().checked_sub(rest.len() + 1)?)?;
    (!key.contains(&b'\\')).then_some(matches!(key, b"data" | b"errors"))
}

#[inline(always)]
fn space(rest: &[u8]) -> &[u8] {
    match rest {
        // Most texts have none.
        [0..=b' ', ..] => some_space(rest),
        _ => rest,
    }
}

#[cold]
fn some_space(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', tail @ ..] = rest {
        rest = tail;
    }
    rest
}

/// What is behind a string whose first quote is passed.
#[inline(always)]
fn string<const PLAIN: bool>(rest: &[u8]) -> Option<&[u8]> {
    if PLAIN { quoted(rest) } else { checked(rest) }
}

/// The same in a text that is made plainly.
#[inline(always)]
fn quoted(mut rest: &[u8]) -> Option<&[u8]> {
    const ONES: u64 = u64::MAX / 0xFF;
    while let Some((word, tail)) = rest.split_first_chunk() {
        // What was a quote is nothing, and borrows from its highest bit, which no other has. The lowest mark is right: a
        // byte can only be marked wrongly by the borrow of a marked one below it.
        let marks = (u64::from_le_bytes(*word) ^ (ONES * 0x22)).wrapping_sub(ONES) & (ONES << 7);
        if marks != 0 {
            let at = usize::try_from(marks.trailing_zeros() / u8::BITS).unwrap_or(0);
            return rest.get(at + 1..);
        }
        rest = tail;
        while let Some((block, tail)) = rest.split_first_chunk::<16>()
            && block.iter().fold(0, |any, byte| any | u8::from(*byte == b'"')) == 0
        {
            rest = tail;
        }
    }
    let at = rest.iter().position(|byte| *byte == b'"')?;
    rest.get(at + 1..)
}

/// The same in any text.
#[inline(always)]
fn checked(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        if let Some((word, tail)) = rest.split_first_chunk() {
            let plain = plain_word(*word);
            if plain == word.len() {
                rest = blocks(tail);
                continue;
            }
            rest = rest.get(plain..)?;
        }
        rest = match rest {
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', tail @ ..] => escape(tail)?,
            [] | [..=0x1F, ..] => return None,
            [_, tail @ ..] => tail,
        };
    }
}

/// What is behind the blocks of a string's bytes that are as they are: what is longer than a word is often much longer.
#[inline(always)]
fn blocks(mut rest: &[u8]) -> &[u8] {
    // No branch for a byte, so that a compiler can look at many at a time.
    let special = |byte: &u8| u8::from(*byte == b'"') | u8::from(*byte == b'\\') | u8::from(*byte < 0x20);
    while let Some((block, tail)) = rest.split_first_chunk::<16>() {
        if block.iter().map(special).fold(0, |any, one| any | one) != 0 {
            break;
        }
        rest = tail;
    }
    rest
}

/// What is behind an escape whose backslash is passed.
fn escape(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', tail @ ..] => Some(tail),
        [b'u', digits @ ..] => {
            let (digits, tail) = digits.split_first_chunk::<4>()?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(tail)
        }
        _ => None,
    }
}

/// What is behind a number.
fn number(mut rest: &[u8]) -> Option<&[u8]> {
    if let [b'-', tail @ ..] = rest {
        rest = tail;
    }
    rest = match rest {
        [b'0', tail @ ..] => tail,
        _ => digits(rest)?,
    };
    if let [b'.', tail @ ..] = rest {
        rest = digits(tail)?;
    }
    if let [b'e' | b'E', tail @ ..] = rest {
        rest = match tail {
            [b'+' | b'-', tail @ ..] => digits(tail)?,
            _ => digits(tail)?,
        };
    }
    Some(rest)
}

/// What is behind one digit or more.
fn digits(rest: &[u8]) -> Option<&[u8]> {
    let [b'0'..=b'9', tail @ ..] = rest else { return None };
    let mut rest = tail;
    while let [b'0'..=b'9', tail @ ..] = rest {
        rest = tail;
    }
    Some(rest)
}
