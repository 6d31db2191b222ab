//! Has each definition read by async-graphql-parser.
//!
//! One definition at a time: of a whole document the parser tells but the first pair of equal names, takes
//! none without an operation, and forgets the order; the rules tell every culprit at its place.

use super::{
    Refusal, beyond,
    lex::Token,
    measure,
    outline::Outline,
    plain::Plain,
    tree::Reader,
    unexpected::{self, expected},
};
use async_graphql_parser::parse_query;

const TYPE_SYSTEM: [&str; 9] =
    ["schema", "scalar", "type", "interface", "union", "enum", "input", "directive", "extend"];
/// What stands before a fragment, since the parser reads none without an operation.
const AN_OPERATION: &str = "{a}";

/// Reads `tokens` of `source`; what is wrong first in it is told, too many tokens before anything else.
pub(super) fn outline<'s>(source: &'s str, tokens: &[Token]) -> Result<Outline<'s>, Refusal> {
    let mut outline = Outline::default();
    let definitions = measure::definitions(source, tokens)?;
    if definitions.is_empty() {
        return Err(Refusal::new(source.len(), "the document is empty"));
    }
    for described in definitions {
        let tokens = measure::undescribed(described);
        keyword(source, described, tokens)?;
        let prefix = if word(source, tokens, 0) == "fragment" { AN_OPERATION } else { "" };
        let plain = Plain::new(prefix, source, tokens);
        let tree = match (parse_query(plain.text()), beyond::refusal(source, tokens)) {
            (Ok(tree), None) => tree,
            (Ok(_), Some(beyond)) => return Err(beyond),
            (Err(error), beyond) => {
                let refusal = unexpected::refusal(source, tokens, &plain, &error);
                return Err(beyond.filter(|beyond| beyond.at < refusal.at).unwrap_or(refusal));
            }
        };
        Reader::new(source, tokens, plain, &mut outline).definition(tree);
    }
    Ok(outline)
}

/// Refuses what does not begin as a definition that can be stored; the parser takes `queryA` for `query A`.
fn keyword(source: &str, described: &[Token], tokens: &[Token]) -> Result<(), Refusal> {
    let at = tokens.first().map_or(source.len(), |token| token.start);
    match word(source, tokens, 0) {
        "{" if tokens.len() < described.len() => {
            Err(Refusal::new(at, "an operation with a description must begin with `query` or `mutation`"))
        }
        "fragment" if word(source, tokens, 1) == "on" => {
            Err(expected("a fragment's name, which cannot be `on`", source, tokens, 1))
        }
        "{" | "query" | "mutation" | "fragment" => Ok(()),
        "subscription" => {
            Err(Refusal::new(at, "a subscription cannot be stored: only queries and mutations can be called"))
        }
        word if TYPE_SYSTEM.contains(&word) => {
            let at = described.first().map_or(at, |token| token.start);
            let message = format!("`{word}` defines a schema: only operations and fragments can be stored");
            Err(Refusal::new(at, message))
        }
        _ => Err(expected("`query`, `mutation`, `fragment` or `{`", source, tokens, 0)),
    }
}

fn word<'s>(source: &'s str, tokens: &[Token], index: usize) -> &'s str {
    tokens.get(index).map(|token| token.text(source)).unwrap_or_default()
}
