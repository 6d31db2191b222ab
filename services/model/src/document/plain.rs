//! Writes a definition anew, so that the parser takes what the reference implementation takes, and keeps
//! which token stands where.
//!
//! Strings and numbers are judged by the lexer: only their kind is left here, so that `\u{1F600}` and `1e400`
//! pass. What the parser cannot read is left out (descriptions, comments, spaces within a type) or stands
//! where it looks for it (directives of a variable, which come after the default in the specification).

use super::{
    extent,
    lex::{Kind, Token},
};

/// A definition on one line of ASCII.
pub(super) struct Plain {
    text: String,
    /// Where its last token ends.
    end: usize,
    /// Where each token stands in the text, ascending, and its index.
    columns: Vec<(usize, usize)>,
    tokens: usize,
}

impl Plain {
    /// Writes `tokens` of `source`, a definition without its description, after `prefix`.
    pub(super) fn new(prefix: &str, source: &str, tokens: &[Token]) -> Self {
        let mut text = String::with_capacity(prefix.len() + tokens.len() * 6);
        text.push_str(prefix);
        let mut columns = Vec::with_capacity(tokens.len());
        let mut previous = Kind::End;
        let mut in_type = false;
        for index in order(tokens) {
            let Some(token) = tokens.get(index) else { continue };
            // The parser takes no space within a type.
            let glued = in_type
                && (previous == Kind::Punctuator(b'[')
                    && matches!(token.kind, Kind::Name | Kind::Punctuator(b'['))
                    || matches!(token.kind, Kind::Punctuator(b']' | b'!')));
            if !glued {
                text.push(' ');
            }
            columns.push((text.len(), index));
            // The parser would read the enum value `nullable` as `null` and `able`. Types alone are taken from its
            // tree by name.
            if token.kind == Kind::Name && !in_type && begins_with_a_literal(token.text(source)) {
                text.push('_');
            }
            write(&mut text, source, *token);
            in_type = match token.kind {
                Kind::Punctuator(b':') => {
                    index.checked_sub(2).is_some_and(|index| extent::is(tokens, index, b'$'))
                }
                Kind::Punctuator(b'[' | b']' | b'!') | Kind::Name => in_type,
                _ => false,
            };
            previous = token.kind;
        }
        let end = text.len();
        // The parser reads `on` only with a space after it.
        text.push(' ');
        Self { text, end, columns, tokens: tokens.len() }
    }

    /// What the parser reads.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The index of the token at `column`, which counts from 1; beyond the last, the number of tokens.
    pub(super) fn token(&self, column: usize) -> usize {
        let before = self.columns.partition_point(|(start, _)| *start < column);
        match self.columns.get(before.saturating_sub(1)) {
            Some((_, index)) if column <= self.end => *index,
            _ => self.tokens,
        }
    }
}

fn write(text: &mut String, source: &str, token: Token) {
    match token.kind {
        Kind::Punctuator(b'.') => text.push_str("..."),
        Kind::Punctuator(punctuator) => text.push(char::from(punctuator)),
        Kind::Int => text.push('0'),
        Kind::Float => text.push_str("0.0"),
        Kind::String | Kind::BlockString => text.push_str("\"\""),
        Kind::Name => text.push_str(token.text(source)),
        Kind::End => {}
    }
}

fn begins_with_a_literal(name: &str) -> bool {
    ["true", "false", "null"].iter().any(|literal| name != *literal && name.starts_with(literal))
}

/// The indices of `tokens` in the order that the parser wants.
fn order(tokens: &[Token]) -> Vec<usize> {
    let declarations = extent::declarations(tokens);
    let mut order = Vec::with_capacity(tokens.len());
    let mut at = 0;
    let mut parentheses = 0_u32;
    while let Some(token) = tokens.get(at) {
        match token.kind {
            _ if !declarations.contains(&at) => {}
            Kind::Punctuator(b'(') => parentheses += 1,
            Kind::Punctuator(b')') => parentheses = parentheses.saturating_sub(1),
            Kind::String | Kind::BlockString if parentheses == 1 && extent::describes(tokens, at) => {
                at += 1;
                continue;
            }
            Kind::Punctuator(b'=') if parentheses == 1 && extent::is_typed(tokens, at) => {
                let directives = extent::value_end(tokens, at + 1);
                let end = extent::directives_end(tokens, directives);
                order.extend(directives..end);
                // Where directives are the last there is, the definition is refused at its end, not here.
                if end < tokens.len() || directives == end {
                    order.extend(at..directives);
                }
                at = end;
                continue;
            }
            _ => {}
        }
        order.push(at);
        at += 1;
    }
    order
}
