//! How far a part of a definition reaches in its tokens, which the parser's tree does not tell.
//!
//! Nothing is judged here: of tokens that are no definition, some extent comes out.

use super::lex::{Kind, Token};
use std::ops::Range;

/// The indices from `(` to `)` around the declarations of an operation, or an empty range after its name.
pub(super) fn declarations(tokens: &[Token]) -> Range<usize> {
    let kind = |index: usize| tokens.get(index).map(|token: &Token| token.kind);
    // A keyword, and maybe a name.
    let words = (0..2).take_while(|index| kind(*index) == Some(Kind::Name)).count();
    if words > 0 && kind(words) == Some(Kind::Punctuator(b'(')) {
        words..parentheses_end(tokens, words)
    } else {
        words..words
    }
}

/// The end of the value that begins at `start`.
pub(super) fn value_end(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0_u32;
    for (index, token) in tokens.iter().enumerate().skip(start) {
        match token.kind {
            Kind::Punctuator(b'[' | b'{') => depth += 1,
            Kind::Punctuator(b']' | b'}') => depth = depth.saturating_sub(1),
            Kind::Punctuator(b'$') => continue,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// The end of the directives that begin at `start`, if any do.
pub(super) fn directives_end(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while is(tokens, at, b'@') {
        at += 2;
        if is(tokens, at, b'(') {
            at = parentheses_end(tokens, at);
        }
    }
    at.min(tokens.len())
}

/// Whether the token at `index`, a string among declarations, describes the variable that follows.
pub(super) fn describes(tokens: &[Token], index: usize) -> bool {
    let default = index.checked_sub(1).is_some_and(|before| is(tokens, before, b'='));
    is(tokens, index + 1, b'$') && !default && tokens.get(index).is_some_and(Token::is_string)
}

/// Whether what stands before `index` can be the end of a type.
pub(super) fn is_typed(tokens: &[Token], index: usize) -> bool {
    let before = index.checked_sub(1).and_then(|before| tokens.get(before));
    before.is_some_and(|token| matches!(token.kind, Kind::Name | Kind::Punctuator(b']' | b'!')))
}

/// Whether the token at `index` is `punctuator`.
pub(super) fn is(tokens: &[Token], index: usize, punctuator: u8) -> bool {
    tokens.get(index).is_some_and(|token| token.kind == Kind::Punctuator(punctuator))
}

fn parentheses_end(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0_u32;
    for (index, token) in tokens.iter().enumerate().skip(start) {
        match token.kind {
            Kind::Punctuator(b'(') => depth += 1,
            Kind::Punctuator(b')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}
