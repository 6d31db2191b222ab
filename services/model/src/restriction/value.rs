//! A value as a schema sees it: exactly what the upstream will see, or none.
//!
//! A check is worth nothing where checker and upstream may read the same bytes in two ways: a key that stands twice, a
//! number with more digits than are held here, half a surrogate pair.

use crate::json::{self, Kind, elements, kind};
use serde_json::{Map, Number, Value};

/// A decimal number of so many digits is another 64-bit floating point number than each other of so many.
const EXACT_DIGITS: usize = 15;
/// Beyond these powers of ten, floating point numbers are less exact or none.
const EXACT_EXPONENTS: std::ops::RangeInclusive<i64> = -290..=290;

/// A value that could be read in two ways.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unclear {
    /// A key is there twice.
    #[error("must not have a key twice in an object")]
    Repeated,
    /// A number has too many digits.
    #[error("must have no number of more than {EXACT_DIGITS} digits other than a 64-bit integer")]
    Number,
    /// A string has half a surrogate pair.
    #[error("must have no half of a surrogate pair in a string")]
    Text,
}

/// Reads a value of a text that has been judged before.
///
/// # Errors
///
/// `Unclear`, where it could be read in two ways.
pub(super) fn read(text: &[u8]) -> Result<Value, Unclear> {
    match kind(text) {
        Kind::Null => Ok(Value::Null),
        Kind::Boolean => Ok(Value::Bool(text.trim_ascii().starts_with(b"t"))),
        Kind::Number => number(text.trim_ascii()).map(Value::Number),
        Kind::String => serde_json::from_slice(text).map(Value::String).map_err(|_| Unclear::Text),
        Kind::Array => elements(text).map(|element| read(element.trim_ascii())).collect(),
        Kind::Object => {
            let members = json::object(text).map_err(|_| Unclear::Repeated)?;
            let member = |entry: &json::Entry<'_>| match entry.key.contains('\u{fffd}') {
                // It may stand for half a surrogate pair.
                true => Err(Unclear::Text),
                false => Ok((entry.key.clone().into_owned(), read(entry.value.trim_ascii())?)),
            };
            members.iter().map(member).collect::<Result<Map<_, _>, _>>().map(Value::Object)
        }
    }
}

/// A number, the same however it is written: a whole one as an integer where it is one of 64 bits.
fn number(text: &[u8]) -> Result<Number, Unclear> {
    let text = std::str::from_utf8(text).map_err(|_| Unclear::Number)?;
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |unsigned| ("-", unsigned));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent: i64 = exponent.parse().map_err(|_| Unclear::Number)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_end_matches('0');
    let dropped = i64::try_from(digits.len() - trimmed.len()).map_err(|_| Unclear::Number)?;
    let behind = i64::try_from(fraction.len()).map_err(|_| Unclear::Number)?;
    let digits = trimmed.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(Number::from(0));
    }
    // The number is `digits` times ten to the power of `exponent`.
    let exponent = exponent.saturating_sub(behind).saturating_add(dropped);
    if let Ok(zeros @ 0..=20) = usize::try_from(exponent) {
        let integer = format!("{sign}{digits}{}", "0".repeat(zeros));
        if let Ok(number) = integer.parse::<u64>() {
            return Ok(number.into());
        }
        if let Ok(number) = integer.parse::<i64>() {
            return Ok(number.into());
        }
    }
    let exact = digits.len() <= EXACT_DIGITS && EXACT_EXPONENTS.contains(&exponent);
    let float = text.parse().ok().filter(|_| exact).and_then(Number::from_f64);
    float.ok_or(Unclear::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        for (text, expected) in [
            ("1", json!(1)),
            ("1.0", json!(1)),
            ("100e-2", json!(1)),
            ("1e3", json!(1000)),
            ("-0", json!(0)),
            ("0.0e99999", json!(0)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("1.50", json!(1.5)),
            ("123456789012345.0", json!(123_456_789_012_345_u64)),
            ("1e30", json!(1e30)),
        ] {
            assert_eq!(read(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        for (text, expected) in [
            ("18446744073709551617", Unclear::Number),
            ("1.0000000000000001", Unclear::Number),
            ("1e400", Unclear::Number),
            ("1e-400", Unclear::Number),
            ("1e99999999999999999999", Unclear::Number),
            (r#"{"a":1,"a":2}"#, Unclear::Repeated),
            (r#"[{"b":{"a":1,"\u0061":2}}]"#, Unclear::Repeated),
            (r#""\ud83d""#, Unclear::Text),
            (r#"{"\ud83d":1}"#, Unclear::Text),
        ] {
            assert_eq!(read(text.as_bytes()), Err(expected), "{text}");
        }
    }

    #[test]
    fn everything_else_is_read_as_it_stands() {
        let text = r#" {"a": [1, "b\n", true, false, null, {}], "c": {"d": -2.5e-3}} "#;
        assert_eq!(read(text.trim().as_bytes()), Ok(serde_json::from_str(text).unwrap()));
    }

    proptest! {
        #[test]
        fn numbers_of_few_digits_keep_their_order(a in -999_999_999_999_999_i64..=999_999_999_999_999, b in -999_999_999_999_999_i64..=999_999_999_999_999, e in 0_u32..12) {
            let read = |digits: i64| number(format!("{digits}e-{e}").as_bytes()).unwrap().as_f64().unwrap();
            prop_assert_eq!(read(a).partial_cmp(&read(b)), a.partial_cmp(&b));
        }
    }
}
