//! Whatever comes in, an answer comes soon and nothing panics.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by a panic, and says aloud what it skips"
)]

use model::{
    Reason,
    document::{Document, Type},
    input::{EnumValues, InputField, InputObject, InputType, InputTypes},
    json::{object, response_head},
    portal::ExtraVariables,
    variables::coerce,
};
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// Far more than an optimized build needs, far less than anything quadratic takes.
const SOON: Duration = Duration::from_secs(2);

fn soon<T>(what: &str, answer: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let answer = answer();
    assert!(started.elapsed() < SOON, "{what} took {:?}", started.elapsed());
    answer
}

fn repeated(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect()
}

fn bombs() -> Vec<(&'static str, String, bool)> {
    let fits = |part: &str| 131_000 / part.len();
    let doubling = repeated(100, |n| format!("fragment F{n} on T {{ ...F{} ...F{} }} ", n + 1, n + 1));
    let chain = repeated(1_900, |n| format!("fragment F{n} on T {{ ...F{} }} ", n + 1));
    let ring = repeated(1_900, |n| format!("fragment F{n} on T {{ ...F{} }} ", (n + 1) % 1_900));
    let many_to_many = repeated(1_400, |n| format!("query Q{n} {{ ...F0 }} "));
    let short_chain = repeated(1_400, |n| format!("fragment F{n} on T {{ ...F{} }} ", n + 1));
    vec![
        ("opened braces", "{a".repeat(100_000), false),
        ("opened brackets", format!("{{a(b:{}", "[".repeat(100_000)), false),
        ("opened objects", format!("{{a(b:{}", "{b:".repeat(40_000)), false),
        ("opened types", format!("query($a:{}", "[".repeat(100_000)), false),
        ("opened inline fragments", "{...".repeat(30_000), false),
        ("bangs", format!("query($a:A{}", "!".repeat(100_000)), false),
        ("aliases beyond the bytes", format!("{{{}}}", "a:b ".repeat(200_000)), false),
        ("aliases", format!("{{{}}}", repeated(20_000, |n| format!("a{n}:b "))), false),
        ("directives", format!("{{a {}}}", "@d ".repeat(fits("@d "))), false),
        ("fields", format!("{{{}}}", "a ".repeat(60_000)), true),
        ("comments", format!("{{a}}{}", "#\n".repeat(65_000)), true),
        ("one comment", format!("{{a}}#{}", "#".repeat(130_000)), true),
        ("byte order marks", format!("{}{{a}}", "\u{feff}".repeat(40_000)), true),
        ("commas", format!("{}{{a}}", ",".repeat(130_000)), true),
        ("operations", repeated(9_000, |n| format!("query Q{n}{{a}}")), false),
        ("operations beyond the bytes", "query{a}".repeat(100_000), false),
        ("anonymous operations", "{a}".repeat(1_999), false),
        ("doubling", format!("{{...F0}} {doubling} fragment F100 on T {{ a }}"), false),
        ("a chain", format!("{{...F0}} {chain} fragment F1900 on T {{ a }}"), true),
        (
            "a chain for each operation",
            format!("{many_to_many} {short_chain} fragment F1400 on T {{ a }}"),
            false,
        ),
        ("a ring", format!("{{...F0}} {ring}"), false),
        ("unknown spreads", format!("{{{}}}", "...F ".repeat(20_000)), false),
        ("undeclared variables", format!("{{a(b:[{}])}}", repeated(20_000, |n| format!("$v{n}"))), false),
        ("equal arguments", format!("{{a({})}}", "b:1 ".repeat(20_000)), false),
        ("unused variables", format!("query({}){{a}}", repeated(9_000, |n| format!("$v{n}:A "))), true),
        ("escapes", format!("{{a(b:\"{}\")}}", "\\u{1F600}".repeat(fits("\\u{1F600}") - 9)), true),
        ("an unclosed string", format!("{{a(b:\"{}", "\\\\".repeat(60_000)), false),
        ("an unclosed block string", format!("{{a(b:\"\"\"{}", "\"\" ".repeat(40_000)), false),
        ("block strings", "\"\"\"\"\"\"".repeat(20_000), false),
    ]
}

#[test]
fn every_document_bomb_is_answered_soon() {
    for (name, source, good) in bombs() {
        let document = soon(name, || Document::parse(&source));
        match document {
            Ok(document) => assert!(good && document.warnings.len() <= 100, "{name}"),
            Err(problems) => assert!(!good && (1..=100).contains(&problems.len()), "{name}: {problems:?}"),
        }
    }
}

#[test]
fn every_body_bomb_is_answered_soon() {
    let mebibyte = 1 << 20;
    let declared = repeated(4_000, |n| format!("$variable_number_{n}: [[Int]] "));
    let used = repeated(4_000, |n| format!("$variable_number_{n} "));
    let source = format!("query({declared}) {{ a(b: [{used}]) }}");
    let source = if source.len() > 131_072 { "query($a: [[Int]]) { a(b: $a) }".to_owned() } else { source };
    let operation = Document::parse(&source).unwrap().operations.remove(0);
    for (name, body) in [
        ("opened arrays", "[".repeat(mebibyte)),
        ("opened objects", "{\"a\":".repeat(mebibyte / 5)),
        ("keys", format!("{{{}\"z\":1}}", repeated(90_000, |n| format!("\"{n}\":1,")))),
        ("equal keys", format!("{{{}\"z\":1}}", "\"a\":1,".repeat(mebibyte / 7))),
        ("a long key", format!("{{\"{}\":1}}", "k".repeat(mebibyte))),
        ("escapes", format!("{{\"{}\":1}}", "\\ud83d".repeat(mebibyte / 7))),
        ("lists", format!("{{\"a\":[{}1]}}", "[1],".repeat(mebibyte / 5))),
        ("single values", format!("{{\"a\":[{}1]}}", "1,".repeat(mebibyte / 3))),
        ("digits", format!("{{\"a\":{}}}", "9".repeat(mebibyte))),
        ("decimals", format!("{{\"a\":0.{}1}}", "0".repeat(mebibyte))),
        ("space", " ".repeat(mebibyte)),
    ] {
        for extra in [ExtraVariables::Reject, ExtraVariables::Ignore] {
            match soon(name, || coerce(&operation, &InputTypes::unknown(), extra, body.as_bytes())) {
                Ok(coerced) => {
                    assert!(coerced.json.len() <= 3 * mebibyte && coerced.ignored.len() <= 100, "{name}")
                }
                Err(fault) => {
                    assert!(
                        matches!(fault.reason(), Reason::BadRequest | Reason::VariablesInvalid),
                        "{name}"
                    );
                    assert!(fault.message().len() < 400, "{name}: {fault}");
                }
            }
        }
        let _verdict = soon(name, || response_head(body.as_bytes(), true));
        let _verdict = soon(name, || response_head(body.as_bytes(), false));
    }
}

#[test]
fn every_bomb_for_known_types_is_answered_soon() {
    let mebibyte = 1 << 20;
    let field = |name: String, written: &str| InputField {
        name,
        r#type: Type::parse(written).unwrap(),
        has_default: false,
    };
    let mut fields: Vec<_> = (0..1_000).map(|n| field(format!("f{n}"), "Int")).collect();
    fields.push(field("below".to_owned(), "[Wide]"));
    fields.push(field("kind".to_owned(), "Kind"));
    let kinds = (0..10_000).map(|n| format!("A_KIND_THAT_HAS_A_LONG_NAME_TO_COMPARE_WITH_ANOTHER_{n}"));
    let types: InputTypes = [
        ("Wide".to_owned(), InputType::Object(InputObject::new(fields, false))),
        ("Kind".to_owned(), InputType::Enum(EnumValues::new(kinds.collect()))),
    ]
    .into_iter()
    .collect();
    let declared = repeated(1_900, |n| format!("$v{n}: Kind "));
    let used = repeated(1_900, |n| format!("$v{n} "));
    let source = format!("query($a: [Wide] {declared}) {{ a(b: [$a {used}]) }}");
    let operation = Document::parse(&source).unwrap().operations.remove(0);
    let all = repeated(1_000, |n| format!("\"f{n}\":{n},"));
    for (name, body, good) in [
        ("empty objects", format!("{{\"a\":[{}{{}}]}}", "{},".repeat(mebibyte / 3)), true),
        ("one object", format!("{{\"a\":{{{}\"f0\":1}}}}", "\"f999\":1,".repeat(mebibyte / 9)), true),
        ("all fields", format!("{{\"a\":[{}{{}}]}}", format!("{{{all}\"f0\":1}},").repeat(80)), true),
        (
            "deep objects",
            format!(
                "{{\"a\":{}[{}{{}}]{}}}",
                "{\"below\":".repeat(120),
                "{},".repeat(300_000),
                "}".repeat(120)
            ),
            true,
        ),
        (
            "no such kinds",
            format!("{{{}\"v0\":\"NO\"}}", repeated(1_899, |n| format!("\"v{}\":\"NO\",", n + 1))),
            false,
        ),
        ("no such field", format!("{{\"a\":{{\"{}\":1}}}}", "k".repeat(mebibyte)), false),
        ("a long kind", format!("{{\"v0\":\"{}\"}}", "K".repeat(mebibyte)), false),
    ] {
        match soon(name, || coerce(&operation, &types, ExtraVariables::Reject, body.as_bytes())) {
            Ok(coerced) => assert!(good && coerced.json.len() <= 3 * mebibyte, "{name}"),
            Err(fault) => assert!(!good && fault.message().len() < 2_000, "{name}: {fault}"),
        }
    }
}

/// Texts that are near to GraphQL.
fn near_graphql() -> impl Strategy<Value = String> {
    let parts = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "a",
        "b",
        ":",
        "$v",
        "$",
        "=",
        "!",
        "@d",
        "...",
        "...F",
        "on",
        "T",
        "query ",
        "mutation ",
        "fragment F on T",
        "\"s\"",
        "\"",
        "\"\"\"",
        "\\",
        "1",
        "-1.5e3",
        "null",
        "#",
        "\n",
        "\r\n",
        "é",
        ",",
        "\u{feff}",
        "{a(b:$v)}",
        "query Q($v:Int=1)",
        "&",
        "|",
    ];
    prop::collection::vec(prop::sample::select(parts.to_vec()), 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_text_is_answered_and_its_problems_are_in_it(source in prop_oneof![near_graphql(), any::<String>()]) {
        if let Err(problems) = Document::parse(&source) {
            prop_assert!(!problems.is_empty());
            let lines = source.lines().count() + source.matches('\r').count() + 1;
            for problem in problems {
                prop_assert!(problem.line as usize <= lines && problem.column as usize <= source.chars().count() + 1);
            }
        }
    }

    #[test]
    fn what_is_sent_of_a_stored_document_could_be_stored(source in near_graphql()) {
        if let Ok(document) = Document::parse(&source) {
            for operation in &document.operations {
                let alone = Document::parse(&operation.text(&document.fragments)).unwrap();
                prop_assert_eq!(alone.operations.len(), 1);
                prop_assert_eq!(&alone.warnings, &vec![]);
            }
        }
    }

    #[test]
    fn a_type_is_read_as_it_is_written(text in "[\\[\\]!AB ]{0,12}") {
        if let Some(r#type) = Type::parse(&text) {
            prop_assert_eq!(Type::parse(&r#type.to_string()), Some(r#type));
        }
    }

    #[test]
    fn what_is_json_to_others_is_json_here(text in prop_oneof![any::<String>(), "[\\[\\]{}\":,0-9eE+.tfnrualse \\\\/-]{0,20}"]) {
        let theirs = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text);
        let ours = object(text.as_bytes());
        // Twice the same key, half a surrogate pair and 1e999 are where the two differ on purpose.
        if let (Ok(theirs), Ok(ours)) = (&theirs, &ours) {
            prop_assert_eq!(theirs.len(), ours.len());
        } else if theirs.is_ok() != ours.is_ok() {
            prop_assert!(text.contains('e') || text.contains('E') || text.contains("\\u") || text.matches('"').count() > 3, "{:?} {:?}", theirs, ours);
        }
    }

    #[test]
    fn any_bytes_are_answered_as_a_response(bytes in any::<Vec<u8>>(), complete: bool) {
        let _verdict = response_head(&bytes, complete);
    }

    #[test]
    fn any_body_is_coerced_or_refused(body in "[\\[\\]{}\":,0-9v .tfnrualse-]{0,30}", kind in "(Int|X|\\[\\[ID!\\]\\])!?") {
        let operation = Document::parse(&format!("query($v: {kind}) {{ a(b: $v) }}")).unwrap().operations.remove(0);
        if let Ok(coerced) = coerce(&operation, &InputTypes::unknown(), ExtraVariables::Ignore, body.as_bytes()) {
            prop_assert!(object(&coerced.json).is_ok());
            let again = coerce(&operation, &InputTypes::unknown(), ExtraVariables::Reject, &coerced.json).unwrap();
            prop_assert_eq!(again.json, coerced.json);
        }
    }
}
