//! What was given, and whether it stands on the command line: there it wins over a variable.
//!
//! It knows the places of values and not what they mean.

use clap::{
    Arg, Command, Error,
    builder::{PathBufValueParser, TypedValueParser},
    parser::ValueSource,
};
use model::Secret;
use std::{convert::Infallible, ffi::OsStr, path::PathBuf};

/// A value, and where it was given.
#[derive(Clone, Debug)]
pub(crate) struct Given<T> {
    pub(crate) value: T,
    by_flag: bool,
}

impl<T> Given<T> {
    /// What a flag has said.
    pub(crate) fn by_flag(value: T) -> Self {
        Self { value, by_flag: true }
    }
}

/// The one of two ways to say the same that counts.
pub(crate) enum Twin<A, B> {
    Neither,
    This(A),
    That(B),
    /// Both are flags, or both are variables.
    Both,
}

/// Which of the two counts: a flag wins over a variable.
pub(crate) fn winner<A, B>(this: Option<Given<A>>, that: Option<Given<B>>) -> Twin<A, B> {
    match (this, that) {
        (None, None) => Twin::Neither,
        (Some(this), None) => Twin::This(this.value),
        (None, Some(that)) => Twin::That(that.value),
        (Some(this), Some(that)) => match (this.by_flag, that.by_flag) {
            (true, false) => Twin::This(this.value),
            (false, true) => Twin::That(that.value),
            (true, true) | (false, false) => Twin::Both,
        },
    }
}

/// Reads a flag's text as a secret; it is judged later, where an error does not repeat it.
pub(crate) fn secret() -> impl TypedValueParser<Value = Given<Secret>> {
    Noting(|text: &str| Ok::<_, Infallible>(Secret::new(text)))
}

/// Reads the path of a file.
pub(crate) fn file() -> impl TypedValueParser<Value = Given<PathBuf>> {
    Noting(PathBufValueParser::new())
}

/// Reads as `Parser` does, and notes where the value was given.
#[derive(Clone)]
struct Noting<Parser>(Parser);

impl<Parser: TypedValueParser> TypedValueParser for Noting<Parser> {
    type Value = Given<Parser::Value>;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Self::Value, Error> {
        self.parse_ref_(command, arg, value, ValueSource::CommandLine)
    }

    fn parse_ref_(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<Self::Value, Error> {
        let value = self.0.parse_ref_(command, arg, value, source)?;
        Ok(Given { value, by_flag: source == ValueSource::CommandLine })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_a_variable_and_two_of_a_kind_are_too_many() {
        let given = |by_flag: Option<bool>| by_flag.map(|by_flag| Given { value: (), by_flag });
        for (this, that, expected) in [
            (None, None, "neither"),
            (Some(true), None, "this"),
            (None, Some(false), "that"),
            (Some(true), Some(false), "this"),
            (Some(false), Some(true), "that"),
            (Some(true), Some(true), "both"),
            (Some(false), Some(false), "both"),
        ] {
            let won = match winner(given(this), given(that)) {
                Twin::Neither => "neither",
                Twin::This(()) => "this",
                Twin::That(()) => "that",
                Twin::Both => "both",
            };
            assert_eq!(won, expected, "{this:?} {that:?}");
        }
    }
}
