//! Whether an upstream's answer is a GraphQL response (GraphQL over HTTP; October 2021, 7.1).

use super::{
    InvalidJson, glance,
    scan::{Scanner, Stop, decoded},
};

/// How deep an answer may be nested: custom scalars hold trees of their own.
const MAX_DEPTH: u32 = 1_024;

/// An answer that is no GraphQL response.
#[derive(Clone, Debug, thiserror::Error, Eq, PartialEq)]
pub enum NoResponse {
    /// It is not JSON.
    #[error("the answer is no JSON: {0}")]
    NotJson(InvalidJson),
    /// It is JSON, but no object.
    #[error("the answer is no JSON object")]
    NotObject,
    /// It is an object without `data` and `errors`.
    #[error("the answer has neither `data` nor `errors`")]
    NothingOfGraphql,
}

/// Judges an upstream's answer.
///
/// With `complete`, `text` is the whole answer: a JSON object with `data` or `errors`. Without, it is how
/// the answer begins: as far as it goes, it must be good JSON of an object whose first key is `data`,
/// `errors` or `extensions`.
///
/// # Errors
///
/// `NoResponse`.
pub fn response_head(text: &[u8], complete: bool) -> Result<(), NoResponse> {
    if complete && let Some(found) = glance::response(text) {
        return if found { Ok(()) } else { Err(NoResponse::NothingOfGraphql) };
    }
    if let Err(error) = std::str::from_utf8(text)
        // A character that is cut in two at the end may still be completed.
        && (complete || error.error_len().is_some())
    {
        let stop = Stop::new(error.valid_up_to(), "the text is not UTF-8");
        return Err(NoResponse::NotJson(stop.located(text)));
    }
    match walk(text, complete) {
        Ok(verdict) => verdict,
        Err(stop) if stop.short && !complete => Ok(()),
        Err(stop) => Err(NoResponse::NotJson(stop.located(text))),
    }
}

fn walk(text: &[u8], complete: bool) -> Result<Result<(), NoResponse>, Stop> {
    let mut scanner = Scanner::new(text, MAX_DEPTH);
    scanner.space();
    if scanner.peek() != Some(b'{') {
        if !complete && scanner.peek().is_some() {
            return Ok(Err(NoResponse::NotObject));
        }
        scanner.value(0)?;
        scanner.end()?;
        return Ok(Err(NoResponse::NotObject));
    }
    scanner.at += 1;
    let (mut first, mut found) = (true, false);
    while !scanner.closed(b'}', first)? {
        let key = decoded(scanner.key()?);
        found |= matches!(&*key, "data" | "errors");
        if first && !complete && !found && key != "extensions" {
            return Ok(Err(NoResponse::NothingOfGraphql));
        }
        first = false;
        scanner.value(1)?;
    }
    scanner.end()?;
    Ok(if found { Ok(()) } else { Err(NoResponse::NothingOfGraphql) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_whole_answer_must_be_a_graphql_response() {
        for good in [
            r#"{"data":null}"#,
            r#" {"errors":[{"message":"é"}]} "#,
            r#"{"extensions":{},"data":{"a":1e400}}"#,
            r#"{"label":"x","data":{}}"#,
        ] {
            assert_eq!(response_head(good.as_bytes(), true), Ok(()), "{good}");
        }
        for bad in [r#"{}"#, r#"{"message":"no"}"#, r#"{"nested":{"data":1}}"#] {
            assert_eq!(response_head(bad.as_bytes(), true), Err(NoResponse::NothingOfGraphql), "{bad}");
        }
        for bad in ["[]", "null", "\"data\"", "[{\"data\":1}]"] {
            assert_eq!(response_head(bad.as_bytes(), true), Err(NoResponse::NotObject), "{bad}");
        }
        for bad in [
            "",
            "<html>",
            "{\"data\":1",
            "{\"data\":1}}",
            "{\"data\":}",
            "{\"data\":01}",
            "\u{feff}{\"data\":1}",
        ] {
            assert!(matches!(response_head(bad.as_bytes(), true), Err(NoResponse::NotJson(_))), "{bad}");
        }
        assert!(matches!(response_head(b"{\"data\":\"\xFF\"}", true), Err(NoResponse::NotJson(_))));
    }

    /// Values of JSON.
    fn values() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            Just("false".to_owned()),
            "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
            "\"([a-zé ]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}){0,20}\"",
        ];
        let space = || prop_oneof![4 => Just(""), 1 => Just(" "), 1 => Just("\n\t")];
        scalar.prop_recursive(6, 40, 5, move |inner| {
            let key = prop_oneof![
                Just("data"),
                Just("errors"),
                Just("d\\u0061ta"),
                Just("a"),
                Just("longer_than_a_word")
            ];
            let member = (key, inner.clone(), space())
                .prop_map(|(key, value, space)| format!("{space}\"{key}\":{space}{value}"));
            prop_oneof![
                proptest::collection::vec(member, 0..5).prop_map(|all| format!("{{{}}}", all.join(","))),
                (proptest::collection::vec(inner, 0..5), space())
                    .prop_map(|(all, space)| format!("[{space}{}]{space}", all.join(&format!(",{space}")))),
            ]
        })
    }

    /// Texts that are JSON but for a byte here and there.
    fn texts(values: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
        let change = proptest::option::of((
            any::<proptest::sample::Index>(),
            prop::sample::select(&b"\"\\{}[]:,0-. \nu\x01a\xFF"[..]),
        ));
        (values, change).prop_map(|(text, change)| {
            let mut bytes = text.into_bytes();
            if let Some((at, byte)) = change {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        })
    }

    /// Long lists of elements that are one of a few.
    fn lists() -> impl Strategy<Value = String> {
        let element = || prop::sample::select(&[0, 0, 0, 0, 0, 1, 1, 2, 3][..]);
        (proptest::collection::vec(values(), 4), proptest::collection::vec(element(), 20..150)).prop_map(
            |(kinds, elements)| {
                let elements: Vec<&str> = elements.into_iter().map(|kind: usize| &*kinds[kind]).collect();
                format!("{{\"data\":[{}]}}", elements.join(","))
            },
        )
    }

    fn agree(text: &[u8]) -> Result<(), TestCaseError> {
        let closer = match walk(text, true) {
            _ if std::str::from_utf8(text).is_err() => None,
            Ok(Ok(())) => Some(true),
            Ok(Err(NoResponse::NothingOfGraphql)) => Some(false),
            Ok(Err(_)) | Err(_) => None,
        };
        match glance::response(text) {
            Some(found) => prop_assert_eq!(closer, Some(found)),
            // It has no eye for keys with escapes, nor for nothing.
            None => prop_assert!(closer.is_none() || text.contains(&b'\\') || closer == Some(false)),
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn a_glance_and_a_closer_look_agree(text in texts(values())) {
            agree(&text)?;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]
        #[test]
        fn they_agree_on_what_is_alike_again_and_again(text in texts(lists())) {
            agree(&text)?;
        }
    }

    #[test]
    fn a_string_ends_at_its_quote_wherever_that_stands() {
        for length in 0..90 {
            let text = format!("{{\"data\":\"{}\"}}", "!".repeat(length));
            assert_eq!(response_head(text.as_bytes(), true), Ok(()), "{length}");
            for end in 1..text.len() {
                assert!(response_head(&text.as_bytes()[..end], true).is_err(), "{length} to {end}");
            }
        }
    }

    #[test]
    fn what_is_deep_is_looked_at_closely() {
        for (depth, seen) in [(64, true), (65, false)] {
            let lists = depth - 1;
            let text = format!("{{\"data\":{}{}}}", "[".repeat(lists) + "1", "]".repeat(lists));
            let text = text.as_bytes();
            assert_eq!(glance::response(text), seen.then_some(true), "{depth}");
            assert_eq!(response_head(text, true), Ok(()), "{depth}");
        }
    }

    #[test]
    fn every_beginning_of_a_response_is_a_good_head() {
        let whole = r#" {"data":{"é":[1,-2.5e3,true,null,"\u00e9\n"],"o":{}},"errors":[]} "#.as_bytes();
        for end in 0..=whole.len() {
            assert_eq!(response_head(&whole[..end], false), Ok(()), "{end}");
        }
    }

    #[test]
    fn a_head_of_something_else_is_refused() {
        for bad in ["<html>", "[", "{\"message\":", "{\"data\":tru}", "{\"data\":{} \"errors\"", "{data"] {
            assert!(response_head(bad.as_bytes(), false).is_err(), "{bad}");
        }
        assert!(response_head(b"{\"data\":\"\xFF", false).is_err());
    }
}
