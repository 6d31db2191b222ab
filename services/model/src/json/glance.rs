//! A quick look at a whole answer: most are good, and of those nothing more needs to be known.
//!
//! What it cannot vouch for it leaves to the slower walk, which says what is wrong, and where. Both accept the same texts.

use super::{
    gaps::{Gaps, Place},
    quotes::Quotes,
};

/// How deep an answer may be nested to be told at a glance: a bit for each bracket.
const DEPTH: u32 = u64::BITS;

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

/// Whether the object that `text` consists of has `data` or `errors`; nothing where that is no JSON or a closer look is
/// needed.
pub(super) fn response(text: &[u8]) -> Option<bool> {
    let mut quotes = Quotes::of(text);
    let [b'{', tail @ ..] = space(text) else { return None };
    let mut place = Place { open: 1, depth: 1, found: false };
    let mut rest = match enter(space(tail), &mut place, &mut quotes)? {
        Entered::Value(rest) => rest,
        Entered::Passed(rest) => match gap(rest, &mut place, &mut quotes)? {
            Some(rest) => rest,
            None => return Some(place.found),
        },
    };
    let mut gaps = Gaps::new(text.len());
    loop {
        rest = value(rest, &mut quotes)?;
        rest = gaps.pass(rest, &mut place, |rest| value(rest, &mut quotes));
        let (begin, from) = (rest, place);
        let Some(behind) = gap(rest, &mut place, &mut quotes)? else { return Some(place.found) };
        gaps.remember(begin.get(..begin.len().checked_sub(behind.len())?)?, from, place);
        rest = behind;
    }
}

/// What is behind a value that is no list or object.
#[inline(always)]
fn value<'a>(rest: &'a [u8], quotes: &mut Quotes<'a>) -> Option<&'a [u8]> {
    match rest {
        [b'"', tail @ ..] => quotes.behind(tail),
        [b'-' | b'0'..=b'9', ..] => number(rest),
        [b't', b'r', b'u', b'e', tail @ ..]
        | [b'f', b'a', b'l', b's', b'e', tail @ ..]
        | [b'n', b'u', b'l', b'l', tail @ ..] => Some(tail),
        _ => None,
    }
}

/// What is behind a gap: a value that is no list or object, if the text is good; nothing where the text ends there.
#[inline(always)]
fn gap<'a>(mut rest: &'a [u8], place: &mut Place, quotes: &mut Quotes<'a>) -> Option<Option<&'a [u8]>> {
    loop {
        let Left::Element(element) = leave(rest, place)? else { return Some(None) };
        match enter(element, place, quotes)? {
            Entered::Value(behind) => return Some(Some(behind)),
            Entered::Passed(behind) => rest = behind,
        }
    }
}

/// Goes into an element, as deep as lists and objects begin with one another.
#[inline(always)]
fn enter<'a>(mut rest: &'a [u8], place: &mut Place, quotes: &mut Quotes<'a>) -> Option<Entered<'a>> {
    loop {
        if place.open & 1 == 1 {
            let [b'"', key @ ..] = rest else { return None };
            rest = quotes.behind(key)?;
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
