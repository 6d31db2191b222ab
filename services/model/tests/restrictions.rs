//! What a narrowed token lets pass.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails ends here"
)]

use model::{
    Fault, Reason, Restrictions,
    document::{Document, Operation},
    fault::Details,
    input::InputTypes,
    portal::ExtraVariables,
    restriction::{Checks, MAX_BYTES, Narrowing, Parts, Rule},
};

const BUILD: &str =
    "mutation build($branch: String, $commit: String!, $n: Int = 3, $tags: [String!], $e: E = A) {
    build(branch: $branch, commit: $commit, n: $n, tags: $tags, e: $e) }";

fn operation(source: &str) -> Operation {
    Document::parse(source).unwrap().operations.remove(0)
}

fn fixed(name: &str, value: &str) -> (String, Narrowing) {
    (name.to_owned(), Narrowing::Fixed(value.to_owned()))
}

fn checked(name: &str, schema: &str) -> (String, Narrowing) {
    (name.to_owned(), Narrowing::Checked(vec![schema.to_owned()]))
}

fn variables(variables: Vec<(String, Narrowing)>) -> Restrictions {
    Restrictions::parse(Parts { variables, ..Parts::default() }).unwrap()
}

fn checks(listed: Vec<(String, Narrowing)>) -> Checks {
    variables(listed).compile().unwrap()
}

fn sent(checks: &Checks, body: &str) -> Result<String, Fault> {
    let coerced =
        checks.coerce(&operation(BUILD), &InputTypes::unknown(), ExtraVariables::Ignore, body.as_bytes())?;
    Ok(String::from_utf8(coerced.json).unwrap())
}

fn broken(fault: &Fault) -> (Rule, Option<&str>) {
    let Details::Restricted { rule, variable } = fault.details() else { panic!("{fault:?}") };
    assert_eq!(fault.reason(), Reason::TokenRestricted);
    (*rule, variable.as_deref())
}

#[test]
fn a_fixed_value_is_put_in_digit_for_digit_and_nobody_can_send_another() {
    let checks = checks(vec![fixed("commit", "\"HEAD\""), fixed("n", "1.0"), fixed("nobody", "1")]);
    assert_eq!(sent(&checks, "").unwrap(), r#"{"commit":"HEAD","n":1.0}"#);
    assert_eq!(sent(&checks, r#" {"branch":"a"} "#).unwrap(), r#"{"branch":"a","commit":"HEAD","n":1.0}"#);
    for body in [
        r#"{"commit":"main"}"#,
        r#"{"commit":"HEAD"}"#,
        r#"{"com\u006dit":null}"#,
        // Not declared by the operation, and left out for others; fixed all the same.
        r#"{"nobody":1}"#,
    ] {
        let fault = sent(&checks, body).unwrap_err();
        let name = if body.contains("nobody") { "nobody" } else { "commit" };
        assert_eq!(broken(&fault), (Rule::Variables, Some(name)), "{body}");
        assert!(!fault.message().contains("HEAD"), "{fault}");
    }
}

#[test]
fn what_is_checked_is_what_is_sent() {
    let branch = || checked("branch", r#"{"pattern":"^release/"}"#);
    for (rules, body, passes) in [
        (vec![branch()], r#"{"commit":"a","branch":"release/1"}"#, true),
        (vec![branch()], r#"{"commit":"a","branch":"rel\u0065ase/1"}"#, true),
        (vec![branch()], r#"{"commit":"a","branch":"main"}"#, false),
        (vec![branch()], r#"{"commit":"a","branch":null}"#, false),
        // Left out, the upstream would choose.
        (vec![branch()], r#"{"commit":"a"}"#, false),
        (vec![checked("branch", r#"{"type":["string","null"],"pattern":"^a"}"#)], r#"{"commit":"a"}"#, true),
        // A single value becomes a list of one, and is checked as such.
        (vec![checked("tags", r#"{"items":{"pattern":"^v"}}"#)], r#"{"commit":"a","tags":"v1"}"#, true),
        (
            vec![checked("tags", r#"{"items":{"pattern":"^v"}}"#)],
            r#"{"commit":"a","tags":["v1","w"]}"#,
            false,
        ),
        (vec![checked("tags", r#"{"pattern":"^v"}"#)], r#"{"commit":"a","tags":"v1"}"#, false),
        // A default is checked like a value, where the document plainly tells it.
        (vec![checked("n", r#"{"maximum":3}"#)], r#"{"commit":"a"}"#, true),
        (vec![checked("n", r#"{"maximum":2}"#)], r#"{"commit":"a"}"#, false),
        (vec![checked("n", r#"{"maximum":2}"#)], r#"{"commit":"a","n":2.0}"#, true),
        (vec![checked("e", r#"{"enum":["A"]}"#)], r#"{"commit":"a"}"#, false),
        (vec![checked("e", r#"{"enum":["A"]}"#)], r#"{"commit":"a","e":"A"}"#, true),
    ] {
        let outcome = sent(&checks(rules), body);
        assert_eq!(outcome.is_ok(), passes, "{body}: {outcome:?}");
        if let Err(fault) = outcome {
            assert_eq!(broken(&fault).0, Rule::Variables);
        }
    }
}

#[test]
fn a_value_that_can_be_read_in_two_ways_passes_no_check() {
    let source = "query q($v: Any, $w: Any) { q(v: $v, w: $w) }";
    let checks = checks(vec![checked("v", r#"{"not":{"const":{"a":2}}}"#)]);
    let passes = |body: &str| {
        checks
            .coerce(&operation(source), &InputTypes::unknown(), ExtraVariables::Reject, body.as_bytes())
            .is_ok()
    };
    assert!(passes(r#"{"v":{"a":1}}"#));
    for value in [r#"{"a":1,"a":2}"#, r#"{"a":2,"\u0061":1}"#, "1.000000000000000000001", r#""\ud800""#] {
        assert!(!passes(&format!(r#"{{"v":{value}}}"#)), "{value}");
        assert!(passes(&format!(r#"{{"v":1,"w":{value}}}"#)), "{value} where nothing is checked");
    }
    let long = "a".repeat(20_000);
    assert!(!passes(&format!(r#"{{"v":"{long}"}}"#)), "more than can be checked");
}

#[test]
fn a_value_for_another_document_tells_nothing_of_itself() {
    let checks = checks(vec![fixed("n", "\"hunter2\"")]);
    let fault = sent(&checks, r#"{"commit":"a"}"#).unwrap_err();
    assert_eq!(broken(&fault), (Rule::Revision, Some("n")));
    assert!(!format!("{fault:?}").contains("hunter2"));
}

#[test]
fn a_body_that_is_no_object_is_a_bad_request_as_ever() {
    let checks = checks(vec![fixed("commit", "\"HEAD\"")]);
    for body in ["[]", " ", "{\"a\":1,\"a\":2}", "{", "{} {}"] {
        assert_eq!(sent(&checks, body).unwrap_err().reason(), Reason::BadRequest, "{body}");
    }
    let fault = checks
        .coerce(&operation(BUILD), &InputTypes::unknown(), ExtraVariables::Reject, b"{\"x\":1}")
        .unwrap_err();
    assert_eq!(fault.reason(), Reason::VariablesInvalid);
}

#[test]
fn what_does_not_fit_the_document_is_told_at_once() {
    let parts = |names: &[&str], listed| Parts {
        operations: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        variables: listed,
        ..Parts::default()
    };
    let operations = Document::parse("query a($x: Int) { a(x: $x) } mutation b($y: String) { b(y: $y) }")
        .unwrap()
        .operations;
    for (parts, expected) in [
        (parts(&["a", "b"], vec![checked("x", "{}"), fixed("y", "\"z\"")]), vec![]),
        (
            parts(&["c", "d"], vec![]),
            vec![
                "operations: the portal has no operation `c`, it has `a`, `b`",
                "operations: the portal has no operation `d`",
            ],
        ),
        (
            parts(&["a"], vec![fixed("x", "\"1\""), fixed("y", "null")]),
            vec![
                "variables.x.fixed: variable `$x`: expected `Int`, a whole number from -2147483648 to 2147483647, \
                 found a string",
                "variables.y is declared by no operation that the token may run",
            ],
        ),
    ] {
        assert_eq!(
            Restrictions::parse(parts).unwrap().misfits(&operations, &InputTypes::unknown()),
            expected
        );
    }
}

#[test]
fn restrictions_that_are_none_are_refused() {
    let named = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    for (parts, part) in [
        (Parts { operations: named(&[]), ..Parts::default() }, "operations"),
        (Parts { operations: named(&["a", "a"]), ..Parts::default() }, "operations"),
        (Parts { operations: named(&["a b"]), ..Parts::default() }, "operations"),
        (Parts { max_uses: Some(0), ..Parts::default() }, "max_uses"),
        (Parts { allowed_ip_addresses: Some("home".to_owned()), ..Parts::default() }, "allowed_ip_addresses"),
        (Parts { variables: vec![fixed("a", "1"), checked("a", "{}")], ..Parts::default() }, "variables"),
        (Parts { variables: vec![fixed("a\":1,\"b", "1")], ..Parts::default() }, "variables"),
        (Parts { variables: vec![fixed("a", "1,\"b\":2")], ..Parts::default() }, "variables.a.fixed"),
        (Parts { variables: vec![checked("a", "{\"patern\":1}")], ..Parts::default() }, "variables.a.schema"),
        (
            Parts {
                variables: (0..10)
                    .map(|n| fixed(&format!("v{n}"), &format!("\"{}\"", "x".repeat(2_000))))
                    .collect(),
                ..Parts::default()
            },
            &MAX_BYTES.to_string(),
        ),
    ] {
        let problem = Restrictions::parse(parts.clone()).expect_err("refused").to_string();
        assert!(problem.contains(part), "{parts:?}: {problem}");
    }
}

#[test]
fn what_is_fixed_within_a_schema_is_checked_as_it_is_sent() {
    let release = variables(vec![checked("tags", r#"{"pattern":"^v"}"#)]);
    let narrowed = release.narrowed_by(&variables(vec![fixed("tags", "\"v1\"")]), &[]).unwrap();
    let (parent, child) = (release.compile().unwrap(), narrowed.compile().unwrap());
    // A list is declared: what is sent is `["v1"]`, which is no text with a `v` at its beginning.
    assert_eq!(
        broken(&sent(&parent, r#"{"commit":"a","tags":"v1"}"#).unwrap_err()),
        (Rule::Variables, Some("tags"))
    );
    assert_eq!(broken(&sent(&child, r#"{"commit":"a"}"#).unwrap_err()), (Rule::Variables, Some("tags")));
    // The same value over again takes no schema away.
    let again = narrowed.narrowed_by(&variables(vec![fixed("tags", "\"v1\"")]), &[]).unwrap();
    assert_eq!(again, narrowed);
    assert_eq!(Restrictions::parse(narrowed.parts()).unwrap(), narrowed);
    let lists = variables(vec![checked("tags", r#"{"items":{"pattern":"^v"}}"#)]);
    let narrowed = lists.narrowed_by(&variables(vec![fixed("tags", "[\"v1\"]")]), &[]).unwrap();
    assert_eq!(
        sent(&narrowed.compile().unwrap(), r#"{"commit":"a"}"#).unwrap(),
        r#"{"commit":"a","n":3,"tags":["v1"]}"#
    );
}
