//! A document for readers that know no descriptions, which the draft of the specification has and October 2021 has not.

use super::{
    extent,
    lex::{Kind, Token, tokens},
};

/// `source`, which [`Document::parse`](super::Document::parse) has read, with spaces in place of its descriptions: what is
/// left keeps its line and its column.
pub fn undescribed(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut copied = 0;
    for description in tokens(source).map(|tokens| descriptions(source, &tokens)).unwrap_or_default() {
        let Token { start, end, .. } = description;
        text.push_str(source.get(copied..start).unwrap_or_default());
        let blank = |character| if matches!(character, '\n' | '\r') { character } else { ' ' };
        text.extend(source.get(start..end).unwrap_or_default().chars().map(blank));
        copied = end;
    }
    text.push_str(source.get(copied..).unwrap_or_default());
    text
}

/// The strings that describe a definition or a variable of one.
fn descriptions(source: &str, tokens: &[Token]) -> Vec<Token> {
    let mut found = Vec::new();
    let (mut at, mut depth) = (0, 0_u32);
    while let Some(token) = tokens.get(at) {
        match token.kind {
            Kind::Punctuator(b'{' | b'(') => depth += 1,
            Kind::Punctuator(b'}' | b')') => depth = depth.saturating_sub(1),
            Kind::Name if depth == 0 && begins_operation(source, tokens, at) => {
                let declared = extent::declarations(tokens.get(at..).unwrap_or_default());
                let (within, behind) = (at + declared.start..at + declared.end, at + declared.end.max(1));
                let described = within.filter(|index| extent::describes(tokens, *index));
                found.extend(described.filter_map(|index| tokens.get(index).copied()));
                at = behind;
                continue;
            }
            _ if depth == 0 && token.is_string() => found.push(*token),
            _ => {}
        }
        at += 1;
    }
    found
}

/// Whether the name at `at`, outside of all brackets, is the keyword of an operation and no directive's name.
fn begins_operation(source: &str, tokens: &[Token], at: usize) -> bool {
    let is_directive = at.checked_sub(1).is_some_and(|before| extent::is(tokens, before, b'@'));
    let text = tokens.get(at).map_or("", |token| token.text(source));
    !is_directive && matches!(text, "query" | "mutation" | "subscription")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_stands_where_it_stood() {
        for (source, left) in [
            ("{ a }", "{ a }"),
            ("\"what\" query Q { a }", "       query Q { a }"),
            ("\"\"\"ä\n b\"\"\"\nquery ($x: Int) { a(b: $x) }", "    \n     \nquery ($x: Int) { a(b: $x) }"),
            (
                "query Q(\"first\" $x: String = \"x\" \"second\" $y: Int) { a(b: [$x, \"c\", $y]) }",
                "query Q(        $x: String = \"x\"          $y: Int) { a(b: [$x, \"c\", $y]) }",
            ),
            ("query Q @query(a: [\"b\" $c]) { a }", "query Q @query(a: [\"b\" $c]) { a }"),
            (
                "query { ...F } \"of it\" fragment F on T @d(a: \"b\") { a(b: \"c\") }",
                "query { ...F }         fragment F on T @d(a: \"b\") { a(b: \"c\") }",
            ),
        ] {
            assert_eq!(undescribed(source), left);
        }
    }
}
