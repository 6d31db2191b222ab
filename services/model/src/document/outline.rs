//! What the rules ask of a document: its names, spreads, uses of variables, and where they are.
//!
//! It holds no tree: it is as small as its source, of which it borrows.

use super::{OperationKind, Refusal, Type};
use std::ops::Range;

/// A name and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'s> {
    pub(super) text: &'s str,
    pub(super) at: usize,
}

/// What an operation and a fragment have in common.
#[derive(Debug, Default)]
pub(super) struct Body<'s> {
    /// The bytes of the definition, without its description.
    pub(super) span: Range<usize>,
    /// Each use of a variable.
    pub(super) uses: Vec<Name<'s>>,
    /// Each fragment spread.
    pub(super) spreads: Vec<Name<'s>>,
    /// How many selections there are, a spread being one.
    pub(super) selections: u64,
}

#[derive(Debug)]
pub(super) struct OperationOutline<'s> {
    pub(super) kind: OperationKind,
    /// The name, or nothing and the place of the definition.
    pub(super) name: Result<Name<'s>, usize>,
    /// The bytes from `(` to `)` around the declarations.
    pub(super) parentheses: Range<usize>,
    pub(super) declarations: Vec<Declaration<'s>>,
    pub(super) body: Body<'s>,
}

/// The declaration of a variable.
#[derive(Debug)]
pub(super) struct Declaration<'s> {
    pub(super) name: Name<'s>,
    /// Its bytes with its description.
    pub(super) span: Range<usize>,
    /// The bytes of its description, up to the `$`.
    pub(super) description: Range<usize>,
    pub(super) r#type: Type,
    pub(super) default: Option<&'s str>,
}

#[derive(Debug)]
pub(super) struct FragmentOutline<'s> {
    pub(super) name: Name<'s>,
    pub(super) body: Body<'s>,
}

/// A document as it is written.
#[derive(Debug, Default)]
pub(super) struct Outline<'s> {
    pub(super) operations: Vec<OperationOutline<'s>>,
    pub(super) fragments: Vec<FragmentOutline<'s>>,
    /// Names that a list of arguments, of fields or of declarations has twice.
    pub(super) repeated: Vec<Refusal>,
}

/// A text, cut short where it is too long for a message.
pub(super) fn shown(text: &str) -> &str {
    text.char_indices().nth(64).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}
