//! Says what the parser did not expect, and where, in words of our own.

use super::{
    Refusal, extent,
    lex::{Kind, Token},
    outline::shown,
    plain::Plain,
};
use async_graphql_parser::Error;

/// The parser's names for what may come next, and how it is written, in the order in which it is told.
const WORDS: [(&str, &str); 12] = [
    ("name", "a name"),
    ("type_condition", "`on`"),
    ("type_", "a type"),
    ("variable_definitions", "`(`"),
    ("arguments", "`(`"),
    ("default_value", "`=`"),
    ("directive", "`@`"),
    ("selection_set", "`{`"),
    ("value", "a value"),
    ("const_value", "a value"),
    ("variable", "`$`"),
    ("selection", "a selection"),
];

/// What `error` says of `plain`, which `tokens` of `source` were written as.
pub(super) fn refusal(source: &str, tokens: &[Token], plain: &Plain, error: &Error) -> Refusal {
    let index = error.positions().next().map_or(0, |place| plain.token(place.column));
    // Several lines, the last of which is `  = expected name, directive, or selection_set`.
    let message = error.to_string();
    let rules =
        message.lines().last().and_then(|line| line.rsplit_once("expected ")).map_or("", |(_, rules)| rules);
    let rules: Vec<&str> = rules.split([',', ' ']).collect();
    if rules.contains(&"const_value") && extent::is(tokens, index, b'$') {
        return not_constant(tokens.get(index).map_or(0, |token| token.start));
    }
    if let Some((index, wanted)) = within(&rules, tokens, index) {
        return expected(wanted, source, tokens, index);
    }
    let mut wanted: Vec<&str> =
        WORDS.iter().filter(|(rule, _)| rules.contains(rule)).map(|(_, word)| *word).collect();
    // The end of a list, which is no rule by itself.
    let first = index
        .checked_sub(1)
        .is_some_and(|before| extent::is(tokens, before, b'{') || extent::is(tokens, before, b'('));
    match wanted.last() {
        Some(&"a selection") if !first => wanted.push("`}`"),
        Some(&"`$`") if !first => wanted.push("`)`"),
        _ => {}
    }
    expected(&listed(&wanted), source, tokens, index)
}

/// The token that is wrong, and what should stand there, where the parser tells the start of a part alone.
fn within(rules: &[&str], tokens: &[Token], start: usize) -> Option<(usize, &'static str)> {
    let named = |rule| rules.contains(&rule);
    let is = |index, punctuator| extent::is(tokens, index, punctuator);
    let name = |index: usize| tokens.get(index).is_some_and(|token| token.kind == Kind::Name);
    if (named("argument") || named("object_field") || named("const_object_field")) && name(start) {
        return Some((start + 1, "`:`"));
    }
    if named("variable_definition") && is(start, b'$') {
        return Some((start + 2, "`:`"));
    }
    if named("variable") && tokens.get(start).is_some_and(Token::is_string) {
        return Some((start + 1, "`$`"));
    }
    if !named("type_") {
        return None;
    }
    let lists = (start..).take_while(|index| is(*index, b'[')).count();
    let mut at = start + lists;
    if !name(at) {
        return Some((at, "a type"));
    }
    for _ in 0..lists {
        at += 1 + usize::from(is(at + 1, b'!'));
        if !is(at, b']') {
            return Some((at, "`]`"));
        }
    }
    None
}

fn listed(words: &[&str]) -> String {
    match words {
        [] => "something else".to_owned(),
        [one] => (*one).to_owned(),
        [all @ .., last] => format!("{} or {last}", all.join(", ")),
    }
}

/// Refuses a variable at `at`.
pub(super) fn not_constant(at: usize) -> Refusal {
    Refusal::new(at, "a variable cannot stand here: the value must be constant")
}

/// Refuses the token at `index`, since `wanted` should stand there.
pub(super) fn expected(wanted: &str, source: &str, tokens: &[Token], index: usize) -> Refusal {
    let Some(token) = tokens.get(index) else {
        return Refusal::new(source.len(), format!("expected {wanted}, but the document ends here"));
    };
    let message = match token.kind {
        Kind::String | Kind::BlockString => format!("expected {wanted}, found a string"),
        _ => format!("expected {wanted}, found `{}`", shown(token.text(source))),
    };
    Refusal::new(token.start, message)
}
