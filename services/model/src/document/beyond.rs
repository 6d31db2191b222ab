//! Refuses what the parser's grammar takes and the specification does not.

use super::{
    Refusal, extent,
    lex::{Kind, Token},
    unexpected::{expected, not_constant},
};

/// The first such place in `tokens` of `source`, a definition without its description.
///
/// It is right as far as the parser gets: of tokens that are no definition, what it refuses first counts.
pub(super) fn refusal(source: &str, tokens: &[Token]) -> Option<Refusal> {
    let declarations = extent::declarations(tokens);
    let mut parentheses = 0_u32;
    let mut directed = false;
    for (index, token) in tokens.iter().enumerate() {
        let Kind::Punctuator(punctuator) = token.kind else { continue };
        // `on` is no fragment's name.
        if punctuator == b'.' && tokens.get(index + 1).is_some_and(|token| token.text(source) == "on") {
            let condition = tokens.get(index + 2);
            if condition.is_none_or(|token| token.kind != Kind::Name) {
                return Some(expected("a name", source, tokens, index + 2));
            }
        }
        if !declarations.contains(&index) {
            continue;
        }
        match (punctuator, parentheses) {
            (b'(', 0) if extent::is(tokens, index + 1, b')') => {
                return Some(expected("`$`", source, tokens, index + 1));
            }
            (b'(', _) => parentheses += 1,
            (b')', _) => parentheses = parentheses.saturating_sub(1),
            (b'$', 1) => directed = false,
            (b'$', _) => return Some(not_constant(token.start)),
            (b'@', 1) => directed = true,
            (b'=', 1) if directed => return Some(expected("`@`, `$` or `)`", source, tokens, index)),
            _ => {}
        }
    }
    None
}
