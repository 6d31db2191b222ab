//! Whether a value is of a type, and the value as it is sent.

use crate::{
    document::Type,
    json::{Kind, elements, kind},
};

/// Writes `value` to `json` as the coerced value of `type`.
///
/// What needs no list around it is written as it came. On an error, which is a message, `path` leads to
/// the bad value.
pub(super) fn write(
    r#type: &Type,
    value: &[u8],
    path: &mut Vec<u32>,
    json: &mut Vec<u8>,
) -> Result<Written, String> {
    let found = kind(value);
    match r#type {
        Type::NonNull(_) if found == Kind::Null => {
            Err(format!("expected `{type}`, found null", type = r#type))
        }
        Type::NonNull(inner) => write(inner, value, path, json),
        Type::List(item) if found == Kind::Array => list(item, value, path, json),
        Type::List(item) if found != Kind::Null => {
            json.push(b'[');
            write(item, value, path, json)?;
            json.push(b']');
            Ok(Written::Changed)
        }
        Type::Named(name) if found != Kind::Null && !is(name, found, value) => Err(unfit(name, found, value)),
        Type::List(_) | Type::Named(_) => {
            json.extend_from_slice(value);
            Ok(Written::AsItCame)
        }
    }
}

/// Whether a value was sent on in the bytes that it came in.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Written {
    AsItCame,
    Changed,
}

fn list(item: &Type, value: &[u8], path: &mut Vec<u32>, json: &mut Vec<u8>) -> Result<Written, String> {
    let start = json.len();
    let mut written = Written::AsItCame;
    json.push(b'[');
    for (index, element) in (0..).zip(elements(value)) {
        if index > 0 {
            json.push(b',');
        }
        path.push(index);
        if write(item, element, path, json)? == Written::Changed {
            written = Written::Changed;
        }
        path.pop();
    }
    json.push(b']');
    if written == Written::AsItCame {
        json.truncate(start);
        json.extend_from_slice(value);
    }
    Ok(written)
}

/// Whether `value`, which is not null, is of the type `name`; any is, where `name` is not built in.
///
/// Numbers are judged as 64-bit floating point, as the reference implementation does: `1.0` and `1e3` are
/// whole (October 2021, 3.5.1 to 3.5.5).
fn is(name: &str, found: Kind, value: &[u8]) -> bool {
    match name {
        "Int" => found == Kind::Number && is_int(value),
        "Float" => found == Kind::Number && number(value).is_some(),
        "String" => found == Kind::String,
        "Boolean" => found == Kind::Boolean,
        "ID" if found == Kind::Number => is_whole(value),
        "ID" => found == Kind::String,
        _ => true,
    }
}

/// Whether a number has no fraction; digits alone have none, however many there are.
fn is_whole(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    digits.iter().all(u8::is_ascii_digit) || number(value).is_some_and(|number| number.fract() == 0.0)
}

/// Whether a number is one that `Int` has.
pub(super) fn is_int(value: &[u8]) -> bool {
    let range = f64::from(i32::MIN)..=f64::from(i32::MAX);
    number(value).is_some_and(|number| number.fract() == 0.0 && range.contains(&number))
}

/// A number, unless it is too large for 64-bit floating point.
pub(super) fn number(value: &[u8]) -> Option<f64> {
    let number: f64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

/// Says what was expected and what came, without repeating anybody's text.
fn unfit(name: &str, found: Kind, value: &[u8]) -> String {
    const SHOWN_BYTES: usize = 40;
    let expected = match name {
        "Int" => "a whole number from -2147483648 to 2147483647",
        "Float" => "a finite number",
        "String" => "a string",
        "Boolean" => "true or false",
        _ => "a string or a whole number",
    };
    let found = match (found, std::str::from_utf8(value)) {
        (Kind::Number | Kind::Boolean | Kind::Null, Ok(text)) if text.len() <= SHOWN_BYTES => text,
        (Kind::Number, _) => "a long number",
        (Kind::Boolean, _) => "a boolean",
        (Kind::Null, _) => "null",
        (Kind::String, _) => "a string",
        (Kind::Array, _) => "an array",
        (Kind::Object, _) => "an object",
    };
    format!("expected `{name}`, {expected}, found {found}")
}
