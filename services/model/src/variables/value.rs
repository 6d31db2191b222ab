//! Whether a value is of a type, and the value as it is sent.

use super::{short, unknown::meant};
use crate::{
    document::Type,
    fault::PathSegment,
    input::{EnumValues, InputObject, InputType, InputTypes, is_built_in},
    json::{Cursor, Kind, kind, text},
};

/// How many values of an enum a message tells.
const MAX_TOLD: usize = 10;

/// A value that is not what was expected.
pub(super) struct Misfit {
    /// Where in the value.
    pub(super) path: Vec<PathSegment>,
    /// What was expected there, without repeating anybody's text.
    pub(super) message: String,
}

/// Writes `value` to `json` as the coerced value of `type`: as it came, but for a list around what needs one.
pub(super) fn write(
    types: &InputTypes,
    r#type: &Type,
    value: &[u8],
    json: &mut Vec<u8>,
) -> Result<(), Misfit> {
    let plain = match r#type {
        Type::NonNull(inner) => inner,
        Type::List(_) | Type::Named(_) => r#type,
    };
    let found = kind(value);
    // Most are scalars, which need no walk.
    if let Type::Named(name) = plain
        && is_built_in(name)
        && found != Kind::Null
    {
        if !is(name, found, value) {
            return Err(Misfit { path: Vec::new(), message: unfit(name, found, value) });
        }
        json.extend_from_slice(value);
        return Ok(());
    }
    let mut walk = Walk { types, cursor: Cursor::new(value), value, sent: 0, path: Vec::new(), json };
    walk.value(r#type).map_err(|message| Misfit { message, path: std::mem::take(&mut walk.path) })?;
    walk.send();
    Ok(())
}

/// A walk over a value and its type.
struct Walk<'a> {
    types: &'a InputTypes,
    cursor: Cursor<'a>,
    value: &'a [u8],
    /// How much of the value is in `json`.
    sent: usize,
    /// Where in the value this is.
    path: Vec<PathSegment>,
    json: &'a mut Vec<u8>,
}

impl Walk<'_> {
    /// Passes a value of `type`.
    ///
    /// On an error, which is a message, the path leads to the bad value.
    fn value(&mut self, r#type: &Type) -> Result<(), String> {
        let found = self.cursor.kind();
        match r#type {
            Type::NonNull(_) if found == Kind::Null => {
                Err(format!("expected `{type}`, found null", type = r#type))
            }
            Type::NonNull(inner) => self.value(inner),
            Type::List(_) | Type::Named(_) if found == Kind::Null => {
                self.cursor.pass();
                Ok(())
            }
            Type::List(item) if found == Kind::Array => self.list(item),
            Type::List(item) => {
                self.send();
                self.json.push(b'[');
                self.value(item)?;
                self.send();
                self.json.push(b']');
                Ok(())
            }
            Type::Named(name) => self.named(name, found),
        }
    }

    /// Writes what was passed and is not written yet, as it came.
    fn send(&mut self) {
        let passed = self.cursor.at();
        self.json.extend_from_slice(self.value.get(self.sent..passed).unwrap_or_default());
        self.sent = passed;
    }

    fn list(&mut self, item: &Type) -> Result<(), String> {
        self.cursor.enter();
        for index in 0.. {
            if !self.cursor.element(index == 0) {
                break;
            }
            self.path.push(PathSegment::Index(index));
            self.value(item)?;
            self.path.pop();
        }
        Ok(())
    }

    fn named(&mut self, name: &str, found: Kind) -> Result<(), String> {
        match self.types.get(name) {
            Some(InputType::Object(_)) if found != Kind::Object => {
                let value = self.cursor.pass();
                Err(format!("expected `{name}`, an object, found {}", shown_value(found, value)))
            }
            Some(InputType::Object(object)) => self.object(name, object),
            Some(InputType::Enum(values)) => {
                let value = self.cursor.pass();
                if found == Kind::String && values.has(&text(value)) {
                    return Ok(());
                }
                Err(no_value(name, values, found, value))
            }
            None => {
                let value = self.cursor.pass();
                if is(name, found, value) { Ok(()) } else { Err(unfit(name, found, value)) }
            }
        }
    }

    fn object(&mut self, name: &str, object: &InputObject) -> Result<(), String> {
        self.cursor.enter();
        let (mut places, mut nulls) = (Vec::new(), false);
        while let Some(key) = self.cursor.key(places.is_empty()) {
            let Some((place, field)) = object.field(&key) else {
                self.path.push(PathSegment::Key(short(&key)));
                return Err(format!("`{name}` has no field of this name{}", meant(&key, object.names())));
            };
            places.push(place);
            nulls |= self.cursor.kind() == Kind::Null;
            self.path.push(PathSegment::Key(field.name.clone()));
            self.value(&field.r#type)?;
            self.path.pop();
        }
        if let Some(field) = object.missing(&places) {
            self.path.push(PathSegment::Key(field.name.clone()));
            return Err(format!("`{name}` requires a `{}` here", field.r#type));
        }
        if object.is_one_of() && (places.len() != 1 || nulls) {
            return Err(format!(
                "expected `{name}`, an object with exactly one of its fields, and that not null"
            ));
        }
        Ok(())
    }
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
    let expected = match name {
        "Int" => "a whole number from -2147483648 to 2147483647",
        "Float" => "a finite number",
        "String" => "a string",
        "Boolean" => "true or false",
        _ => "a string or a whole number",
    };
    format!("expected `{name}`, {expected}, found {}", shown_value(found, value))
}

/// Says which values an enum has, and which may have been meant.
fn no_value(name: &str, values: &EnumValues, found: Kind, value: &[u8]) -> String {
    let told: Vec<String> = values.names().take(MAX_TOLD).map(|value| format!("`{value}`")).collect();
    let more = values.names().len().saturating_sub(told.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let expected = format!("expected `{name}`, one of {}{more} in a string", told.join(", "));
    if found != Kind::String {
        return format!("{expected}, found {}", shown_value(found, value));
    }
    format!("{expected}, found another{}", meant(&text(value), values.names()))
}

fn shown_value(found: Kind, value: &[u8]) -> &str {
    const SHOWN_BYTES: usize = 40;
    match (found, std::str::from_utf8(value)) {
        (Kind::Number | Kind::Boolean | Kind::Null, Ok(text)) if text.len() <= SHOWN_BYTES => text,
        _ => shown_kind(found),
    }
}

fn shown_kind(found: Kind) -> &'static str {
    match found {
        Kind::Number => "a long number",
        Kind::Boolean => "a boolean",
        Kind::Null => "null",
        Kind::String => "a string",
        Kind::Array => "an array",
        Kind::Object => "an object",
    }
}
