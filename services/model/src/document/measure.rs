//! Cuts tokens into definitions, and counts what could cost a parser its stack or its time, before it starts.
//!
//! It knows brackets and keywords, and nothing of grammar.

use super::{
    Refusal,
    lex::{Kind, Token},
    limits,
};

/// What has been counted up to some token.
#[derive(Default)]
struct Measure {
    parentheses: usize,
    /// Braces that are open outside of parentheses.
    selections: u32,
    /// Brackets and braces that are open within them.
    values: u32,
    aliases: usize,
    directives: usize,
    operations: usize,
    fragments: usize,
}

/// Cuts `tokens` of `source` into definitions, each from its description to the end of its selection set.
///
/// The last one may be no whole definition, and `End` belongs to none.
pub(super) fn definitions<'t>(source: &str, tokens: &'t [Token]) -> Result<Vec<&'t [Token]>, Refusal> {
    let mut measure = Measure::default();
    let mut definitions = Vec::new();
    let mut start = 0;
    let tokens = match tokens {
        [all @ .., end] if end.kind == Kind::End => all,
        stopped => stopped,
    };
    for (index, token) in tokens.iter().enumerate() {
        measure.depth(*token)?;
        let Kind::Punctuator(punctuator) = token.kind else { continue };
        // The names around a sign tell more than the sign.
        let beside = |index: Option<usize>| index.and_then(|index| tokens.get(index)).unwrap_or(token).start;
        match punctuator {
            b':' if measure.parentheses == 0 => {
                count(&mut measure.aliases, beside(index.checked_sub(1)), "aliases", limits::ALIASES)?;
            }
            b'@' => {
                count(&mut measure.directives, beside(Some(index + 1)), "directives", limits::DIRECTIVES)?
            }
            b'}' if measure.parentheses == 0 && measure.selections == 0 => {
                let definition = tokens.get(start..=index).unwrap_or_default();
                measure.definition(source, definition)?;
                definitions.push(definition);
                start = index + 1;
            }
            _ => {}
        }
    }
    definitions.extend(tokens.get(start..).filter(|rest| !rest.is_empty()));
    Ok(definitions)
}

/// The tokens of a definition without its description, which has one token.
pub(super) fn undescribed(definition: &[Token]) -> &[Token] {
    match definition {
        [description, rest @ ..] if description.is_string() => rest,
        _ => definition,
    }
}

impl Measure {
    /// Follows how deep the brackets are nested.
    fn depth(&mut self, token: Token) -> Result<(), Refusal> {
        match token.kind {
            Kind::Punctuator(b'(') => {
                if self.parentheses == 0 {
                    self.values = 0;
                }
                self.parentheses += 1;
            }
            Kind::Punctuator(b')') => self.parentheses = self.parentheses.saturating_sub(1),
            Kind::Punctuator(b'{') if self.parentheses == 0 => self.selections += 1,
            Kind::Punctuator(b'}') if self.parentheses == 0 => {
                self.selections = self.selections.saturating_sub(1);
            }
            Kind::Punctuator(b'{' | b'[') => self.values += 1,
            Kind::Punctuator(b'}' | b']') => self.values = self.values.saturating_sub(1),
            _ => {}
        }
        if self.selections <= limits::DEPTH && self.values <= limits::DEPTH {
            return Ok(());
        }
        Err(Refusal::new(token.start, format!("the document is nested more than {} deep", limits::DEPTH)))
    }

    fn definition(&mut self, source: &str, definition: &[Token]) -> Result<(), Refusal> {
        let Some(first) = undescribed(definition).first() else { return Ok(()) };
        match first.text(source) {
            "fragment" => count(&mut self.fragments, first.start, "fragments", limits::FRAGMENTS),
            _ => count(&mut self.operations, first.start, "operations", limits::OPERATIONS),
        }
    }
}

fn count(number: &mut usize, at: usize, things: &str, most: usize) -> Result<(), Refusal> {
    *number += 1;
    if *number <= most { Ok(()) } else { Err(limits::exceeded(at, things, most)) }
}
