//! JSON texts of restrictions: bounded, one value, nothing in them that could be read in two ways.

use super::{MAX_VALUE_BYTES, value};
use crate::json;
use serde_json::Value;

/// How deep a fixed value or a schema may be nested.
const MAX_DEPTH: usize = 16;

/// Reads a text.
///
/// # Errors
///
/// What was expected.
pub(super) fn read(text: &str) -> Result<Value, String> {
    check(text)?;
    value::read(text.as_bytes()).map_err(|unclear| unclear.to_string())
}

/// Passes what is one JSON value, not too large and not too deep.
///
/// # Errors
///
/// What was expected.
pub(super) fn check(text: &str) -> Result<(), String> {
    if text.len() > MAX_VALUE_BYTES {
        return Err(format!("must have at most {MAX_VALUE_BYTES} bytes, it has {}", text.len()));
    }
    // As a member of an object, it is judged as strictly as what a caller sends.
    let member = [b"{\"value\":", text.as_bytes(), b"}"].concat();
    match json::object(&member) {
        Ok(members) if members.len() == 1 && depth(text) <= MAX_DEPTH => Ok(()),
        Ok(members) if members.len() == 1 => Err(format!("must be nested at most {MAX_DEPTH} deep")),
        Ok(_) | Err(_) => Err("must be one JSON value".to_owned()),
    }
}

/// Whether two texts that were checked say the same.
pub(super) fn same(one: &str, other: &str) -> bool {
    one == other || matches!((read(one), read(other)), (Ok(one), Ok(other)) if one == other)
}

/// How deep brackets are nested, in a text that has been judged before.
fn depth(text: &str) -> usize {
    let (mut deepest, mut depth, mut quoted, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_passes_and_nothing_else() {
        for good in
            ["null", "1.50", "\"a\"", "{\"a\":[1]}", " 7 ", &format!("{}{}", "[".repeat(16), "]".repeat(16))]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let deep = format!("{}{}", "[".repeat(17), "]".repeat(17));
        let long = format!("\"{}\"", "a".repeat(MAX_VALUE_BYTES));
        for bad in ["", "1,\"b\":2", "1}{", "01", "nul", "\"a", "1 2", &deep, &long] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert_eq!(depth(r#"["[[[","\"[{",{"a":"\\"}]"#), 2);
    }

    #[test]
    fn texts_are_the_same_that_say_the_same() {
        for (one, other, expected) in [
            ("1", "1.0", true),
            ("{\"a\":1,\"b\":2}", "{ \"b\":2, \"a\":1 }", true),
            ("\"\\u0061\"", "\"a\"", true),
            ("1", "2", false),
            // What cannot be told apart is the same only as a text.
            ("123456789012345678901234567890", "123456789012345678901234567890", true),
            ("123456789012345678901234567890", "123456789012345678901234567891", false),
        ] {
            assert_eq!(same(one, other), expected, "{one} {other}");
        }
    }
}
