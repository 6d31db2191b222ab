//! Measures a source and cuts it into tokens (GraphQL October 2021, 2.1): one pass, no recursion.
//!
//! It knows nothing of grammar. As the reference implementation does, it takes any Unicode scalar value
//! inside strings and comments, and `\u{…}` escapes, which came after October 2021.

use super::{Refusal, limits};
use std::borrow::Cow;

/// What a token is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// One of `! $ & ( ) : = @ [ ] { | }`, and `.` for `...`.
    Punctuator(u8),
    Name,
    Int,
    Float,
    String,
    BlockString,
    End,
}

/// A token and the bytes it spans.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    /// The text that it spans in `source`, which it was cut from.
    pub(crate) fn text<'s>(&self, source: &'s str) -> &'s str {
        source.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn is_string(&self) -> bool {
        matches!(self.kind, Kind::String | Kind::BlockString)
    }
}

/// Where the cutting ended early, and the tokens up to there.
pub(crate) struct Stopped {
    pub(super) tokens: Vec<Token>,
    pub(super) refusal: Refusal,
}

/// Cuts `source` into tokens, the last of which is `End`.
pub(crate) fn tokens(source: &str) -> Result<Vec<Token>, Stopped> {
    if source.len() > limits::BYTES {
        let message = format!("the document has {} bytes, the most is {}", source.len(), limits::BYTES);
        return Err(Stopped { tokens: Vec::new(), refusal: Refusal::new(0, message) });
    }
    let mut lexer = Lexer { source, at: 0 };
    let mut tokens = Vec::with_capacity(source.len() / 4);
    loop {
        let token = match lexer.next() {
            Ok(token) => token,
            Err(refusal) => return Err(Stopped { tokens, refusal }),
        };
        tokens.push(token);
        if token.kind == Kind::End {
            return Ok(tokens);
        }
        if tokens.len() > limits::TOKENS {
            let refusal = limits::exceeded(token.start, "tokens", limits::TOKENS);
            return Err(Stopped { tokens: Vec::new(), refusal });
        }
    }
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.source.as_bytes().get(self.at + ahead).copied()
    }

    fn rest(&self) -> &[u8] {
        self.source.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn refuse<T>(&self, at: usize, message: impl Into<Cow<'static, str>>) -> Result<T, Refusal> {
        Err(Refusal::new(at, message))
    }

    fn skip_ignored(&mut self) {
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b',' => self.at += 1,
                b'#' => {
                    let end = memchr::memchr2(b'\n', b'\r', self.rest());
                    self.at = end.map_or(self.source.len(), |end| self.at + end);
                }
                // U+FEFF, the byte order mark.
                0xEF if self.rest().starts_with(b"\xEF\xBB\xBF") => self.at += 3,
                _ => return,
            }
        }
    }

    fn next(&mut self) -> Result<Token, Refusal> {
        self.skip_ignored();
        let start = self.at;
        let kind = match self.peek(0) {
            None => Kind::End,
            Some(
                byte @ (b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|'
                | b'}'),
            ) => {
                self.at += 1;
                Kind::Punctuator(byte)
            }
            Some(b'.') if self.rest().starts_with(b"...") => {
                self.at += 3;
                Kind::Punctuator(b'.')
            }
            Some(b'_' | b'a'..=b'z' | b'A'..=b'Z') => {
                self.skip_while(is_name_byte);
                Kind::Name
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'"') if self.rest().starts_with(b"\"\"\"") => self.block_string()?,
            Some(b'"') => self.string()?,
            Some(_) => return self.unexpected(),
        };
        Ok(Token { kind, start, end: self.at })
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&wanted) {
            self.at += 1;
        }
    }

    fn unexpected<T>(&self) -> Result<T, Refusal> {
        let message = match self.source.get(self.at..).and_then(|rest| rest.chars().next()) {
            None => "unexpected end of the document".to_owned(),
            Some('\'') => "unexpected `'`: a string is written between `\"`".to_owned(),
            Some(character) if character.is_ascii_graphic() => format!("unexpected character `{character}`"),
            Some(character) => format!("unexpected character U+{:04X}", u32::from(character)),
        };
        self.refuse(self.at, message)
    }

    fn digits(&mut self) -> Result<(), Refusal> {
        if !self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
            return self.refuse(self.at, "a digit is missing in this number");
        }
        self.skip_while(|byte| byte.is_ascii_digit());
        Ok(())
    }

    fn number(&mut self) -> Result<Kind, Refusal> {
        let mut kind = Kind::Int;
        if self.peek(0) == Some(b'-') {
            self.at += 1;
        }
        if self.peek(0) == Some(b'0') {
            self.at += 1;
            if self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
                return self.refuse(self.at, "a number must not begin with a 0 before another digit");
            }
        } else {
            self.digits()?;
        }
        if self.peek(0) == Some(b'.') {
            kind = Kind::Float;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(0), Some(b'e' | b'E')) {
            kind = Kind::Float;
            self.at += 1;
            if matches!(self.peek(0), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        match self.peek(0) {
            Some(byte) if byte == b'.' || is_name_byte(byte) => {
                self.refuse(self.at, "a number must not be followed by a letter, `_` or `.`")
            }
            _ => Ok(kind),
        }
    }

    fn string(&mut self) -> Result<Kind, Refusal> {
        self.at += 1;
        loop {
            self.skip_while(|byte| !matches!(byte, b'"' | b'\\' | b'\n' | b'\r'));
            match self.peek(0) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Kind::String);
                }
                Some(b'\\') => self.escape()?,
                _ => return self.refuse(self.at, "this string is not closed on its line"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Refusal> {
        let length = match self.peek(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => match unicode_escape(self.rest()) {
                Some((_, length)) => length,
                None => return self.refuse(self.at, "this Unicode escape stands for no character"),
            },
            _ => return self.refuse(self.at, "there is no such escape in a string"),
        };
        self.at += length;
        Ok(())
    }

    fn block_string(&mut self) -> Result<Kind, Refusal> {
        self.at += 3;
        loop {
            self.skip_while(|byte| !matches!(byte, b'"' | b'\\'));
            let rest = self.rest();
            if rest.starts_with(b"\"\"\"") {
                self.at += 3;
                return Ok(Kind::BlockString);
            } else if rest.starts_with(b"\\\"\"\"") {
                self.at += 4;
            } else if rest.is_empty() {
                return self.refuse(self.at, "this block string is not closed");
            } else {
                self.at += 1;
            }
        }
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// Reads the `\u…` that `text` begins with: its character, and its length in bytes.
///
/// Two escapes of four digits may be one character (a surrogate pair); a lone half is none.
pub(crate) fn unicode_escape(text: &[u8]) -> Option<(char, usize)> {
    if text.starts_with(b"\\u{") {
        // Eight digits are what the reference implementation reads.
        let digits = text.get(3..)?.iter().take(9).position(|byte| *byte == b'}')?;
        let value = hexadecimal(text.get(3..3 + digits)?)?;
        return Some((char::from_u32(value)?, digits + 4));
    }
    let first = hexadecimal(text.get(2..6)?)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, 6));
    }
    let second = text.get(6..)?.strip_prefix(b"\\u").and_then(|rest| hexadecimal(rest.get(..4)?))?;
    if !(0xD800..0xDC00).contains(&first) || !(0xDC00..0xE000).contains(&second) {
        return None;
    }
    Some((char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))?, 12))
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits.iter().try_fold(0, |value: u32, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}
