//! JSON texts (RFC 8259), judged byte by byte and never rebuilt.
//!
//! Values stay the bytes that they are: nothing here knows numbers' sizes or builds a tree. A text is
//! UTF-8 without a byte order mark. `\ud83d` alone, half a surrogate pair, is a good escape by the grammar
//! and passes; read as text it is U+FFFD.

mod cursor;
mod gaps;
mod glance;
mod quotes;
mod response;
mod scan;

pub(crate) use cursor::{Cursor, text};
pub use response::{NoResponse, response_head};
pub use scan::object;
pub(crate) use scan::{Kind, decoded, elements, kind};

use std::borrow::Cow;

/// How deep arrays and objects of a caller's text may be nested, itself included.
pub const MAX_DEPTH: u32 = 128;

/// A text that is not what was asked for.
#[derive(Clone, Debug, thiserror::Error, Eq, PartialEq)]
#[error("{message} (line {line}, column {column})")]
pub struct InvalidJson {
    /// What is wrong.
    pub message: Cow<'static, str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// A member of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry<'a> {
    /// Its key, escapes resolved.
    pub key: Cow<'a, str>,
    /// Its value as it is written.
    pub value: &'a [u8],
}
