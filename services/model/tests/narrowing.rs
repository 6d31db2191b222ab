//! That narrowing never widens, whatever is asked for and whatever document comes after.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails ends here")]

use model::{
    Restrictions,
    document::{Document, Operation},
    input::InputTypes,
    portal::ExtraVariables,
    restriction::{Narrowing, Parts, Widening},
};
use proptest::prelude::*;

fn fixed(name: &str, value: &str) -> (String, Narrowing) {
    (name.to_owned(), Narrowing::Fixed(value.to_owned()))
}

fn checked(name: &str, schema: &str) -> (String, Narrowing) {
    (name.to_owned(), Narrowing::Checked(vec![schema.to_owned()]))
}

fn variables(variables: Vec<(String, Narrowing)>) -> Restrictions {
    Restrictions::parse(Parts { variables, ..Parts::default() }).unwrap()
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
        assert_eq!(parent.narrowed_by(&child, &[]), Err(widening), "{parent:?} {child:?}");
    }
    for (parent, child) in [
        (Restrictions::default(), release()),
        (variables(vec![fixed("a", "1")]), variables(vec![fixed("a", "1.0")])),
        (release(), variables(vec![fixed("a", "\"r1\"")])),
        (run(&["a", "b"]), run(&["b"])),
    ] {
        assert!(parent.narrowed_by(&child, &[]).is_ok(), "{parent:?} {child:?}");
    }
    let narrowed =
        at("192.0.2.0/24 2001:db8::/32").narrowed_by(&at("192.0.0.0/16 2001:db8::1"), &[]).unwrap();
    assert_eq!(narrowed.addresses().as_text(), Some("192.0.2.0/24 2001:db8::1/128"));
}

const DOCUMENT: &str = "query a($x: Int, $y: String, $l: [Int]) { a(x: $x, y: $y, l: $l) }
    query b($x: Int = 2, $y: String!) { b(x: $x, y: $y) }
    query c { c }";
/// What is published later under the same names.
const LATER: &str = "query a($x: Int, $z: String, $l: [Int]) { a(x: $x, z: $z, l: $l) }
    query b($y: [String]) { b(y: $y) }
    query c($x: String) { c(x: $x) }";

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
            ..Parts::default()
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

/// What is sent for a call of an operation of a document, where it passes.
fn passes(restrictions: &Restrictions, document: &[Operation], index: usize, body: &str) -> Option<String> {
    let (operation, checks) = (&document[index], restrictions.compile().unwrap());
    let declares =
        |operation: &Operation, name: &str| operation.variables.iter().any(|variable| variable.name == name);
    let all_declared = checks.variables().all(|name| {
        let by = |other: &Operation| checks.may_declare(other.name.as_deref(), name) && declares(other, name);
        declares(operation, name) || document.iter().any(by)
    });
    if !restrictions.allow_operation(operation.name.as_deref()) || !all_declared {
        return None;
    }
    let coerced =
        checks.coerce(operation, &InputTypes::unknown(), ExtraVariables::Ignore, body.as_bytes()).ok()?;
    Some(String::from_utf8(coerced.json).unwrap())
}

/// The body without what `restrictions` fix, which nobody may send.
fn without_fixed(restrictions: &Restrictions, body: &str) -> String {
    let mut members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(body).unwrap();
    members.retain(|name, _| restrictions.variables().get(name).is_none_or(|rule| rule.fixed().is_none()));
    serde_json::to_string(&members).unwrap()
}

#[test]
fn what_is_left_may_be_run_though_it_declares_nothing_of_what_was_held() {
    let run = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let [now, later] = [DOCUMENT, LATER].map(|source| Document::parse(source).unwrap().operations);
    let held = Restrictions::parse(Parts {
        operations: run(&["b", "c"]),
        variables: vec![fixed("y", "\"a\"")],
        ..Parts::default()
    })
    .unwrap();
    let asked = Restrictions::parse(Parts { operations: run(&["c"]), ..Parts::default() }).unwrap();
    let narrowed = held.narrowed_by(&asked, &now).unwrap();
    assert_eq!(passes(&narrowed, &now, 2, "{}").as_deref(), Some("{}"));
    assert_eq!(Restrictions::parse(narrowed.parts()).unwrap(), narrowed);
    assert_eq!(passes(&narrowed, &later, 2, "{}").as_deref(), Some("{}"), "`b` still declares it");
    // `a` does too, and was never among those that could be run.
    let renamed =
        Document::parse("query a($y: Int) { a(y: $y) } query b($z: Int) { b(z: $z) } query c { c }");
    let renamed = renamed.unwrap().operations;
    assert_eq!(passes(&held, &renamed, 2, "{}"), None);
    assert_eq!(passes(&narrowed, &renamed, 2, "{}"), None);
    // Asked for anew, it is for what may be run to declare.
    let again =
        Restrictions::parse(Parts { variables: vec![fixed("y", "\"a\"")], ..Parts::default() }).unwrap();
    assert_eq!(passes(&narrowed.narrowed_by(&again, &now).unwrap(), &now, 2, "{}"), None);
}

proptest! {
    /// Whatever is sent upstream for a narrowed token could have been sent with the one that it was narrowed from, and
    /// so on to the first, with the document of then and with the one of later.
    #[test]
    fn narrowing_never_widens(
        chain in proptest::collection::vec((any_restrictions(), 0..2_usize), 1..4),
        calls in proptest::collection::vec((0..2_usize, 0..3_usize, any_body()), 12),
        address in proptest::sample::select(vec!["192.0.2.7", "192.0.2.8", "10.1.1.1", "203.0.113.1"]),
    ) {
        let documents = [DOCUMENT, LATER].map(|source| Document::parse(source).unwrap().operations);
        let mut parent = Restrictions::default();
        for (child, made_with) in chain {
            let Ok(narrowed) = parent.narrowed_by(&child, &documents[made_with]) else { continue };
            for (document, index, body) in &calls {
                let (document, index) = (&documents[*document], *index);
                if let Some(sent) = passes(&narrowed, document, index, body) {
                    let could = passes(&parent, document, index, &without_fixed(&parent, &sent));
                    prop_assert_eq!(Some(&sent), could.as_ref(), "{:?} then {:?}", &parent, &narrowed);
                    // And what was asked for holds as well.
                    let asked = passes(&child, document, index, &without_fixed(&child, &sent));
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
