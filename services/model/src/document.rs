//! A GraphQL document: measured, checked, and taken apart into operations that can be sent alone.
//!
//! It knows no schema, no network and no values of variables. The stages, in order: `lex`, `measure`, `syntax`
//! (`plain` before the parser and `tree` after it, or else `unexpected` and `beyond`), `rules` (with `graph`),
//! `split`.

mod beyond;
mod extent;
mod graph;
pub(crate) mod lex;
mod limits;
mod measure;
mod outline;
mod plain;
mod rules;
mod split;
mod syntax;
mod tree;
mod undescribed;
mod unexpected;

pub use undescribed::undescribed;

use std::{borrow::Cow, fmt};

/// A document that passed every rule, taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Document {
    /// Its operations, in the order of the source.
    pub operations: Vec<Operation>,
    /// The source of each fragment definition, used or not, without its description.
    pub fragments: Vec<String>,
    /// What is allowed but worth a look, at most 100.
    pub warnings: Vec<Problem>,
}

/// Whether an operation reads or writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OperationKind {
    /// Reads.
    Query,
    /// Writes.
    Mutation,
}

/// One operation, ready to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operation {
    /// Its name, unless it is anonymous.
    pub name: Option<String>,
    /// Whether it reads or writes.
    pub kind: OperationKind,
    /// Its source, without the declarations of variables that it never uses and without descriptions, which
    /// servers of October 2021 refuse.
    pub source: String,
    /// The fragments that it uses, by their place in [`Document::fragments`], ascending.
    pub fragments: Vec<u32>,
    /// The variables that it declares, used or not.
    pub variables: Vec<Variable>,
}

/// A declared variable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Variable {
    /// Its name, without `$`.
    pub name: String,
    /// Its type.
    pub r#type: Type,
    /// The default's source, where there is one.
    pub default: Option<String>,
    /// Whether the operation or a fragment of it uses it.
    pub used: bool,
}

/// A type as it is written in a document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Type {
    /// A name, such as `Int` or `BuildCreateInput`.
    Named(String),
    /// `[…]`.
    List(Box<Type>),
    /// `…!`.
    NonNull(Box<Type>),
}

/// A rule that a document breaks, or a warning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// A problem whose place is a byte of the source.
#[derive(Debug)]
pub(crate) struct Refusal {
    at: usize,
    message: Cow<'static, str>,
}

impl Refusal {
    fn new(at: usize, message: impl Into<Cow<'static, str>>) -> Self {
        Self { at, message: message.into() }
    }
}

impl Document {
    /// Measures, reads and checks `source`, and takes it apart.
    ///
    /// # Errors
    ///
    /// What keeps it from being stored, in the order of the source: the first thing that cannot be read, or
    /// else the rules that it breaks, at most 100 of them.
    pub fn parse(source: &str) -> Result<Self, Vec<Problem>> {
        let mut outline = outline(source).map_err(|refusal| located(source, vec![refusal]))?;
        let mut verdict = rules::judge(&mut outline);
        if !verdict.problems.is_empty() {
            return Err(located(source, verdict.problems));
        }
        Ok(Self {
            operations: split::operations(source, &outline, &verdict),
            fragments: split::fragments(source, &outline),
            warnings: located(source, std::mem::take(&mut verdict.warnings)),
        })
    }
}

/// Reads `source`; of what cannot be read, the first place counts.
fn outline(source: &str) -> Result<outline::Outline<'_>, Refusal> {
    match lex::tokens(source) {
        Ok(tokens) => syntax::outline(source, &tokens),
        Err(lex::Stopped { tokens, refusal }) => match syntax::outline(source, &tokens) {
            Err(earlier) if earlier.at < refusal.at && !tokens.is_empty() => Err(earlier),
            Ok(_) | Err(_) => Err(refusal),
        },
    }
}

/// Finds line and column of each refusal, in one walk through `source`.
fn located(source: &str, mut refusals: Vec<Refusal>) -> Vec<Problem> {
    refusals.sort_by_key(|refusal| refusal.at);
    refusals.truncate(limits::PROBLEMS);
    let mut characters = source.char_indices().peekable();
    let (mut line, mut column) = (1, 1);
    let mut problems = Vec::with_capacity(refusals.len());
    for Refusal { at, message } in refusals {
        while let Some((_, character)) = characters.next_if(|(offset, _)| *offset < at) {
            let carriage_return_of_two =
                character == '\r' && characters.peek().is_some_and(|(_, next)| *next == '\n');
            match character {
                '\n' | '\r' if !carriage_return_of_two => (line, column) = (line + 1, 1),
                _ => column += 1,
            }
        }
        problems.push(Problem { message: message.into_owned(), line, column });
    }
    problems
}

impl Operation {
    /// What is sent upstream: the operation and the fragments that it uses, of its document's `fragments`.
    pub fn text(&self, fragments: &[String]) -> String {
        let mut text = self.source.clone();
        for index in &self.fragments {
            if let Some(fragment) = usize::try_from(*index).ok().and_then(|index| fragments.get(index)) {
                text.push('\n');
                text.push_str(fragment);
            }
        }
        text
    }
}

impl Type {
    /// Reads a type as GraphQL writes it, such as `[ID!]!`.
    pub fn parse(text: &str) -> Option<Self> {
        let tokens = lex::tokens(text).ok()?;
        let (_, tokens) = tokens.split_last()?;
        Self::read(text, tokens)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => formatter.write_str(name),
            Self::List(item) => write!(formatter, "[{item}]"),
            Self::NonNull(inner) => write!(formatter, "{inner}!"),
        }
    }
}
