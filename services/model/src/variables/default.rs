//! Defaults from a document as JSON, where no schema is needed to tell it.

use super::value::{is_int, number};
use crate::{
    document::{
        Type,
        lex::{Kind, Token, tokens},
    },
    json::decoded,
};

/// Writes the default in `source` as a value of `type`; nothing where only a schema could tell.
///
/// What may have been written to `json` until then is for the caller to take back.
pub(super) fn write(r#type: &Type, source: &str, json: &mut Vec<u8>) -> Option<()> {
    let tokens = tokens(source).ok()?;
    let mut literal = Literal { source, tokens: tokens.iter() };
    let first = literal.next()?;
    literal.write(r#type, first, json)?;
    (literal.next()?.0 == Kind::End).then_some(())
}

struct Literal<'s, 't> {
    source: &'s str,
    tokens: std::slice::Iter<'t, Token>,
}

impl<'s> Literal<'s, '_> {
    fn next(&mut self) -> Option<(Kind, &'s str)> {
        let token = self.tokens.next()?;
        Some((token.kind, self.source.get(token.start..token.end)?))
    }

    fn write(&mut self, r#type: &Type, first: (Kind, &'s str), json: &mut Vec<u8>) -> Option<()> {
        let null = first == (Kind::Name, "null");
        match r#type {
            Type::NonNull(_) if null => None,
            Type::NonNull(inner) => self.write(inner, first, json),
            Type::List(_) | Type::Named(_) if null => {
                json.extend_from_slice(b"null");
                Some(())
            }
            Type::List(item) if first.0 == Kind::Punctuator(b'[') => self.list(item, json),
            Type::List(item) => {
                json.push(b'[');
                self.write(item, first, json)?;
                json.push(b']');
                Some(())
            }
            Type::Named(name) => scalar(name, first, json),
        }
    }

    fn list(&mut self, item: &Type, json: &mut Vec<u8>) -> Option<()> {
        json.push(b'[');
        loop {
            let first = self.next()?;
            if first.0 == Kind::Punctuator(b']') {
                break;
            }
            if json.last() != Some(&b'[') {
                json.push(b',');
            }
            self.write(item, first, json)?;
        }
        json.push(b']');
        Some(())
    }
}

fn scalar(name: &str, (kind, text): (Kind, &str), json: &mut Vec<u8>) -> Option<()> {
    match (name, kind) {
        ("Int", Kind::Int) if is_int(text.as_bytes()) => json.extend_from_slice(text.as_bytes()),
        ("Float", Kind::Int | Kind::Float) if number(text.as_bytes()).is_some() => {
            json.extend_from_slice(text.as_bytes());
        }
        ("Boolean", Kind::Name) if matches!(text, "true" | "false") => {
            json.extend_from_slice(text.as_bytes())
        }
        ("ID", Kind::Int) => quote(text, json),
        ("String" | "ID", Kind::String) => {
            let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'))?;
            quote(&decoded(quoted.as_bytes()), json);
        }
        ("String" | "ID", Kind::BlockString) => {
            let quoted = text.strip_prefix("\"\"\"").and_then(|text| text.strip_suffix("\"\"\""))?;
            quote(&block(quoted), json);
        }
        _ => return None,
    }
    Some(())
}

/// The value of a block string (October 2021, 2.9.4).
fn block(raw: &str) -> String {
    let unescaped = raw.replace("\r\n", "\n").replace('\r', "\n");
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let blank = |line: &str| indent(line) == line.len();
    let lines: Vec<&str> = unescaped.split('\n').collect();
    let indented = lines.iter().skip(1).filter(|line| !blank(line));
    let common = indented.map(|line| indent(line)).min().unwrap_or(0);
    let first = lines.iter().position(|line| !blank(line)).unwrap_or(lines.len());
    let last = lines.iter().rposition(|line| !blank(line)).map_or(first, |last| last + 1);
    let mut value = String::with_capacity(raw.len());
    for (index, line) in lines.iter().enumerate().take(last).skip(first) {
        if index > first {
            value.push('\n');
        }
        let cut = if index == 0 { 0 } else { common };
        value.push_str(line.get(cut..).unwrap_or_default());
    }
    value.replace("\\\"\"\"", "\"\"\"")
}

/// Writes `text` as a JSON string.
fn quote(text: &str, json: &mut Vec<u8>) {
    json.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => json.extend_from_slice(&[b'\\', byte]),
            0..=0x1F => json.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => json.push(byte),
        }
    }
    json.push(b'"');
}
