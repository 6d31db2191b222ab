//! The walk over a text: no recursion, nothing allocated for a value.

use super::{Entry, InvalidJson, MAX_DEPTH};
use std::borrow::Cow;

/// What a value is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// A string.
    String,
    /// `[…]`.
    Array,
    /// `{…}`.
    Object,
}

/// What the value in `json`, which has been judged before, is; by its first byte.
pub(crate) fn kind(json: &[u8]) -> Kind {
    match json.trim_ascii_start().first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::String,
        Some(b't' | b'f') => Kind::Boolean,
        Some(b'n') | None => Kind::Null,
        Some(_) => Kind::Number,
    }
}

/// The members of the object that `text` is, in its order.
///
/// # Errors
///
/// `InvalidJson` when it is no JSON, no object, is nested over [`MAX_DEPTH`], or has a key twice (at the top;
/// within its values keys may repeat, and the values pass as they are).
pub fn object(text: &[u8]) -> Result<Vec<Entry<'_>>, InvalidJson> {
    let valid_to = std::str::from_utf8(text).err().map(|error| error.valid_up_to());
    if let Some(at) = valid_to {
        return Err(Stop::new(at, "the text is not UTF-8").located(text));
    }
    members(text).map_err(|stop| stop.located(text))
}

fn members(text: &[u8]) -> Result<Vec<Entry<'_>>, Stop> {
    let mut scanner = Scanner::new(text, MAX_DEPTH);
    scanner.space();
    if scanner.peek() != Some(b'{') {
        // Told apart from a text that is no JSON at all.
        scanner.value(0)?;
        scanner.end()?;
        return Err(Stop::new(0, "expected a JSON object"));
    }
    let mut entries = Vec::new();
    let mut places = Vec::new();
    scanner.at += 1;
    while !scanner.closed(b'}', entries.is_empty())? {
        places.push(scanner.at);
        let key = scanner.key()?;
        let start = scanner.at;
        scanner.value(1)?;
        entries.push(Entry { key: decoded(key), value: text.get(start..scanner.at).unwrap_or_default() });
    }
    scanner.end()?;
    match repeated(&entries).and_then(|index| places.get(index)) {
        Some(at) => Err(Stop::new(*at, "this key is there twice")),
        None => Ok(entries),
    }
}

/// The first entry whose key an earlier one has.
fn repeated(entries: &[Entry<'_>]) -> Option<usize> {
    const FEW: usize = 12;
    if entries.len() <= FEW {
        let has = |entries: &[Entry<'_>], key| entries.iter().any(|entry| entry.key == key);
        let mut indexed = entries.iter().enumerate();
        return indexed.find_map(|(index, entry)| has(entries.get(..index)?, &*entry.key).then_some(index));
    }
    let mut seen = std::collections::HashSet::with_capacity(entries.len());
    entries.iter().position(|entry| !seen.insert(&*entry.key))
}

/// The elements of `json`, an array that has been judged before, each as it is written.
pub(crate) fn elements(json: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut scanner = Scanner::new(json, u32::MAX);
    scanner.space();
    scanner.at += 1;
    let mut first = true;
    std::iter::from_fn(move || {
        if scanner.closed(b']', std::mem::take(&mut first)).ok()? {
            return None;
        }
        let start = scanner.at;
        scanner.value(1).ok()?;
        json.get(start..scanner.at)
    })
}

/// What is in a string's quotes, escapes resolved.
pub(crate) fn decoded(quoted: &[u8]) -> Cow<'_, str> {
    if memchr::memchr(b'\\', quoted).is_none() {
        return String::from_utf8_lossy(quoted);
    }
    let mut text = Vec::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        text.extend_from_slice(plain);
        let (character, length) = match escape.get(1) {
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => crate::document::lex::unicode_escape(escape).unwrap_or(('\u{fffd}', 6)),
            Some(other) => (char::from(*other), 2),
            None => break,
        };
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = escape.get(length..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    Cow::Owned(String::from_utf8_lossy(&text).into_owned())
}

/// Why a walk ended, and at which byte.
#[derive(Debug)]
pub(super) struct Stop {
    at: usize,
    message: Cow<'static, str>,
    /// Whether the text ended where more was to come.
    pub(super) short: bool,
}

impl Stop {
    pub(super) fn new(at: usize, message: impl Into<Cow<'static, str>>) -> Self {
        Self { at, message: message.into(), short: false }
    }

    /// The stop with its place in `text` in lines and characters.
    pub(super) fn located(self, text: &[u8]) -> InvalidJson {
        let before = String::from_utf8_lossy(text.get(..self.at).unwrap_or(text));
        let line = before.rsplit('\n').next().unwrap_or_default();
        let (lines, columns) = (memchr::memchr_iter(b'\n', before.as_bytes()).count(), line.chars().count());
        let counted = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
        InvalidJson { message: self.message, line: counted(lines), column: counted(columns) }
    }
}

/// How many bytes at the start of `text` a string has as they are: no quote, no backslash, no control character.
#[inline]
fn plain(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks();
    let mut passed = 0;
    for word in words {
        let found = plain_word(*word);
        if found < size_of::<u64>() {
            return passed + found;
        }
        passed += size_of::<u64>();
    }
    passed + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F)).unwrap_or(rest.len())
}

/// As [`plain`], for eight bytes that are looked at as one number.
///
/// A quote is what a space is but for one bit; with that bit turned in all, it and the control characters are the
/// bytes up to a space, and control characters stay what they are. Of the marks that this leaves, the lowest is always
/// right: a byte can only be marked wrongly by the borrow of a marked one below it.
#[inline]
pub(super) fn plain_word(word: [u8; 8]) -> usize {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGHS: u64 = ONES << 7;
    let word = u64::from_le_bytes(word);
    let (turned, backslash) = (word ^ (ONES * 0x02), word ^ (ONES * 0x5C));
    let marks = turned.wrapping_sub(ONES * 0x21) & !turned | backslash.wrapping_sub(ONES) & !backslash;
    // Of no mark there are 64 zeros, which makes eight bytes.
    usize::try_from((marks & HIGHS).trailing_zeros() / u8::BITS).unwrap_or(0)
}

/// A place in a text.
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    pub(super) at: usize,
    max_depth: u32,
    /// Which brackets are open, innermost last: the bytes that will close them.
    open: Vec<u8>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8], max_depth: u32) -> Self {
        Self { text, at: 0, max_depth, open: Vec::new() }
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    pub(super) fn space(&mut self) {
        // Most texts have none.
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.some_space();
        }
    }

    #[cold]
    fn some_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Passes what stands between two elements; true where `close` stood instead.
    #[inline]
    pub(super) fn closed(&mut self, close: u8, first: bool) -> Result<bool, Stop> {
        self.space();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(true);
        }
        if !first {
            let wanted = if close == b'}' { "expected `,` or `}`" } else { "expected `,` or `]`" };
            self.byte(b',', wanted)?;
            self.space();
        }
        Ok(false)
    }

    /// Passes a key and its colon, and gives what is in the key's quotes.
    #[inline]
    pub(super) fn key(&mut self) -> Result<&'a [u8], Stop> {
        let start = self.at + 1;
        if self.peek() != Some(b'"') {
            return self.unexpected("expected a key in double quotes");
        }
        self.string()?;
        let key = self.text.get(start..self.at - 1).unwrap_or_default();
        self.space();
        self.byte(b':', "expected `:`")?;
        self.space();
        Ok(key)
    }

    /// Passes one value that `depth` brackets are around.
    pub(super) fn value(&mut self, depth: u32) -> Result<(), Stop> {
        self.open.clear();
        loop {
            self.space();
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    self.deeper(depth)?;
                    let close = if bracket == b'{' { b'}' } else { b']' };
                    self.open.push(close);
                    self.at += 1;
                    if !self.closed(close, true)? {
                        self.key_of(close)?;
                        continue;
                    }
                    self.open.pop();
                }
                _ => self.scalar()?,
            }
            // A value is behind; what is open around it goes on or ends.
            loop {
                let Some(close) = self.open.last().copied() else { return Ok(()) };
                if !self.closed(close, false)? {
                    self.key_of(close)?;
                    break;
                }
                self.open.pop();
            }
        }
    }

    fn key_of(&mut self, close: u8) -> Result<(), Stop> {
        if close == b'}' { self.key().map(|_| ()) } else { Ok(()) }
    }

    #[inline]
    fn deeper(&self, depth: u32) -> Result<(), Stop> {
        let open = u32::try_from(self.open.len()).unwrap_or(u32::MAX);
        if depth.saturating_add(open) < self.max_depth {
            return Ok(());
        }
        self.too_deep()
    }

    #[cold]
    fn too_deep(&self) -> Result<(), Stop> {
        Err(Stop::new(self.at, format!("the text is nested more than {} deep", self.max_depth)))
    }

    /// Passes the space at the end of the text.
    pub(super) fn end(&mut self) -> Result<(), Stop> {
        self.space();
        if self.at < self.text.len() { self.unexpected("expected the end of the text") } else { Ok(()) }
    }

    fn scalar(&mut self) -> Result<(), Stop> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => self.unexpected("expected a JSON value"),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Stop> {
        word.iter().try_for_each(|byte| self.byte(*byte, "expected a JSON value"))
    }

    #[inline]
    fn byte(&mut self, wanted: u8, message: &'static str) -> Result<(), Stop> {
        if self.peek() != Some(wanted) {
            return self.unexpected(message);
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn string(&mut self) -> Result<(), Stop> {
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            self.at += plain(rest);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return self.unexpected("a control character must be escaped in a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Stop> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return self.unexpected("expected four hexadecimal digits after `\\u`");
                    }
                    self.at += 1;
                }
            }
            _ => return self.unexpected("there is no such escape in a string"),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Stop> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1
        } else {
            self.digits()?
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Stop> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let digits = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        if digits == 0 {
            return self.unexpected("expected a digit");
        }
        self.at += digits;
        Ok(())
    }

    /// Refuses what stands here, or tells that nothing does.
    #[cold]
    pub(super) fn unexpected<T>(&self, message: &'static str) -> Result<T, Stop> {
        if self.at >= self.text.len() {
            return Err(Stop { short: true, ..Stop::new(self.at, "the text ends too early") });
        }
        Err(Stop::new(self.at, message))
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_plain_run_ends_where_a_byte_by_byte_search_ends_it() {
        const LENGTH: usize = 90;
        for special in 0..=u8::MAX {
            for at in (0..12).chain(28..44).chain(60..LENGTH) {
                for filler in [b'a', 0x20, 0x7F, 0x80, 0xFF, b'#', b'!', b'[', b']'] {
                    let mut text = [filler; LENGTH];
                    text[at] = special;
                    let found = matches!(special, b'"' | b'\\' | 0..=0x1F);
                    let expected = if found { at } else { LENGTH };
                    assert_eq!(plain(&text), expected, "{special:#x} at {at} among {filler:#x}");
                }
            }
        }
    }
}
