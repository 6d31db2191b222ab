//! What a narrowed token lets pass, and that narrowing never widens.
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
    portal::ExtraVariables,
    restriction::{Checks, MAX_BYTES, Narrowing, Parts, Rule, Widening},
};
use proptest::prelude::*;

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
    let coerced = checks.coerce(&operation(BUILD), ExtraVariables::Ignore, body.as_bytes())?;
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
    let passes =
        |body: &str| checks.coerce(&operation(source), ExtraVariables::Reject, body.as_bytes()).is_ok();
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
    let fault = checks.coerce(&operation(BUILD), ExtraVariables::Reject, b"{\"x\":1}").unwrap_err();
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
        (parts(&["c"], vec![]), vec!["operations: the portal has no operation `c`, it has `a`, `b`"]),
        (
            parts(&["a"], vec![fixed("x", "\"1\""), fixed("y", "null")]),
            vec![
                "variables.x.fixed: variable `$x`: expected `Int`, a whole number from -2147483648 to 2147483647, \
                 found a string",
                "variables.y is declared by no operation that the token may run",
            ],
        ),
    ] {
        assert_eq!(Restrictions::parse(parts).unwrap().misfits(&operations), expected);
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
fn what_would_widen_is_refused() {
    let parts = |parts: Parts| Restrictions::parse(parts).unwrap();
    let uses = |most| parts(Parts { max_uses: Some(most), ..Parts::default() });
    let at = |list: &str| parts(Parts { allowed_ip_addresses: Some(list.to_owned()), ..Parts::default() });
    let run = |names: &[&str]| {
        let operations = Some(names.iter().map(|name| (*name).to_owned()).collect());
        parts(Parts { operations, ..Parts::default() })
    };
    let pinned = |revision| Restrictions::default().pinned(revision);
    let release = || variables(vec![checked("a", r#"{"pattern":"^r"}"#)]);
    for (parent, child, widening) in [
        (run(&["a"]), run(&["a", "b"]), Widening::Operation("b".to_owned())),
        (uses(2), uses(3), Widening::MaxUses(2.try_into().unwrap())),
        (at("192.0.2.0/24"), at("198.51.100.1"), Widening::Addresses),
        (pinned(1), pinned(2), Widening::Revision(1)),
        (variables(vec![fixed("a", "1")]), variables(vec![fixed("a", "2")]), Widening::Fixed("a".to_owned())),
        (variables(vec![fixed("a", "1")]), release(), Widening::Fixed("a".to_owned())),
        (release(), variables(vec![fixed("a", "\"main\"")]), Widening::Value("a".to_owned())),
        (release(), variables(vec![fixed("a", "null")]), Widening::Value("a".to_owned())),
    ] {
        assert_eq!(parent.narrowed_by(&child), Err(widening), "{parent:?} {child:?}");
    }
    for (parent, child) in [
        (Restrictions::default(), release()),
        (variables(vec![fixed("a", "1")]), variables(vec![fixed("a", "1.0")])),
        (release(), variables(vec![fixed("a", "\"r1\"")])),
        (run(&["a", "b"]), run(&["b"])),
    ] {
        assert!(parent.narrowed_by(&child).is_ok(), "{parent:?} {child:?}");
    }
    let narrowed = at("192.0.2.0/24 2001:db8::/32").narrowed_by(&at("192.0.0.0/16 2001:db8::1")).unwrap();
    assert_eq!(narrowed.addresses().as_text(), Some("192.0.2.0/24 2001:db8::1/128"));
}

const DOCUMENT: &str = "query a($x: Int, $y: String, $l: [Int]) { a(x: $x, y: $y, l: $l) }
    query b($x: Int = 2, $y: String!) { b(x: $x, y: $y) }
    query c { c }";

/// Restrictions that fit the document now and then.
fn any_restrictions() -> impl Strategy<Value = Restrictions> {
    let names = proptest::option::of(proptest::sample::subsequence(vec!["a", "b", "c"], 1..=3));
    let rule = prop_oneof![
        (0..4_i32).prop_map(|value| Narrowing::Fixed(value.to_string())),
        "[ab]".prop_map(|value| Narrowing::Fixed(format!("\"{value}\""))),
        (0..4_i32).prop_map(|most| Narrowing::Checked(vec![format!("{{\"maximum\":{most}}}")])),
        "[ab]".prop_map(|first| Narrowing::Checked(vec![format!("{{\"pattern\":\"^{first}\"}}")])),
        Just(Narrowing::Checked(vec!["{\"type\":[\"array\",\"null\"],\"maxItems\":1}".to_owned()])),
    ];
    let variables =
        proptest::collection::btree_map(proptest::sample::select(vec!["x", "y", "l"]), rule, 0..3);
    let addresses =
        proptest::option::of(proptest::sample::select(vec!["192.0.2.0/24", "192.0.2.7", "10.0.0.0/8"]));
    let rest = (addresses, proptest::option::of(1..4_u32), proptest::option::of(1..3_u64));
    (names, variables, rest).prop_map(|(names, variables, (addresses, max_uses, revision))| {
        Restrictions::parse(Parts {
            operations: names.map(|names| names.into_iter().map(str::to_owned).collect()),
            variables: variables.into_iter().map(|(name, rule)| (name.to_owned(), rule)).collect(),
            allowed_ip_addresses: addresses.map(str::to_owned),
            max_uses,
            revision,
        })
        .unwrap()
    })
}

fn any_body() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        (0..5_i32).prop_map(|value| value.to_string()),
        "[abc]{1,2}".prop_map(|value| format!("\"{value}\"")),
        Just("[1,2]".to_owned()),
        Just("[3]".to_owned()),
    ];
    proptest::collection::btree_map(proptest::sample::select(vec!["x", "y", "l"]), value, 0..4).prop_map(
        |members| {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}", members.join(","))
        },
    )
}

/// What is sent for a call, where it passes.
fn passes(restrictions: &Restrictions, operation: &Operation, body: &str) -> Option<String> {
    let allowed = restrictions.allow_operation(operation.name.as_deref());
    let checks = restrictions.compile().unwrap();
    let coerced =
        checks.coerce(operation, ExtraVariables::Ignore, body.as_bytes()).ok().filter(|_| allowed)?;
    Some(String::from_utf8(coerced.json).unwrap())
}

/// The body without what `restrictions` fix, which nobody may send.
fn without_fixed(restrictions: &Restrictions, body: &str) -> String {
    let mut members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(body).unwrap();
    members.retain(|name, _| !matches!(restrictions.variables().get(name), Some(Narrowing::Fixed(_))));
    serde_json::to_string(&members).unwrap()
}

proptest! {
    /// Whatever is sent upstream for a narrowed token could have been sent with the one that it was narrowed from, and
    /// so on to the first.
    #[test]
    fn narrowing_never_widens(
        chain in proptest::collection::vec(any_restrictions(), 1..4),
        calls in proptest::collection::vec((0..3_usize, any_body()), 8),
        address in proptest::sample::select(vec!["192.0.2.7", "192.0.2.8", "10.1.1.1", "203.0.113.1"]),
    ) {
        let operations = Document::parse(DOCUMENT).unwrap().operations;
        let mut parent = Restrictions::default();
        for child in chain {
            let Ok(narrowed) = parent.narrowed_by(&child) else { continue };
            for (index, body) in &calls {
                if let Some(sent) = passes(&narrowed, &operations[*index], body) {
                    let could = passes(&parent, &operations[*index], &without_fixed(&parent, &sent));
                    prop_assert_eq!(Some(&sent), could.as_ref(), "{:?} then {:?}", &parent, &narrowed);
                    // And what was asked for holds as well.
                    let asked = passes(&child, &operations[*index], &without_fixed(&child, &sent));
                    prop_assert_eq!(Some(&sent), asked.as_ref(), "{:?} of {:?}", &narrowed, &child);
                }
            }
            let address = address.parse().unwrap();
            let both = parent.addresses().allows(address) && child.addresses().allows(address);
            prop_assert_eq!(narrowed.addresses().allows(address), both);
            prop_assert!(parent.max_uses().is_none_or(|most| narrowed.max_uses().is_some_and(|uses| uses <= most)));
            prop_assert!(parent.revision().is_none_or(|pinned| narrowed.revision() == Some(pinned)));
            parent = narrowed;
        }
    }
}
