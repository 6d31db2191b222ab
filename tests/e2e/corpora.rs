//! Real documents of two APIs, and those written on the rules: each is stored or refused as it should be, and what is
//! stored arrives upstream as it was meant.
//!
//! What arrives is judged with the parser alone, so that our own taking apart is not its own judge.

use crate::PORTALS;
use async_graphql_parser::{
    parse_query,
    types::{DocumentOperations, ExecutableDocument, OperationDefinition},
};
use house::{House, Shape};
use http::Method;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::PathBuf};

const BUILDKITE: &[&str] = &["buildkite/operations.json", "buildkite/generated_operations.json"];
const GITHUB: &[&str] = &["github/operations.json", "github/generated_operations.json"];
const SPEC: &[&str] = &["spec/documents.json"];

/// The rules that a document may break and be stored all the same.
const ALLOWED: &[&str] = &["NoUnusedVariablesRule", "NoUnusedFragmentsRule"];
/// The rules that cannot be judged without the schema.
const NEED_A_SCHEMA: &[&str] =
    &["OverlappingFieldsCanBeMergedRule", "PossibleFragmentSpreadsRule", "VariablesAreInputTypesRule"];

/// Documents with thousands of operations show nothing more with the rest of them.
const MAX_WITHOUT_VARIABLES: usize = 20;

fn data(name: &str) -> Option<Value> {
    text(name).map(|text| serde_json::from_str(&text).expect("the data is JSON"))
}

fn text(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(_) => {
            house::skipped(format_args!("there is no {name} in ../shared/data"));
            None
        }
    }
}

#[tokio::test]
async fn operations_of_buildkite_run_as_they_were_meant() {
    corpus(BUILDKITE, None).await;
}

#[tokio::test]
async fn operations_of_github_run_as_they_were_meant() {
    corpus(GITHUB, None).await;
}

#[tokio::test]
async fn documents_on_the_rules_are_stored_or_refused() {
    corpus(SPEC, None).await;
}

#[tokio::test]
async fn operations_of_buildkite_are_held_against_its_schema() {
    corpus(BUILDKITE, Some("buildkite/schema.graphql")).await;
}

#[tokio::test]
async fn operations_of_github_are_held_against_its_schema_as_it_is_published() {
    corpus(GITHUB, Some("github/schema.as-published.graphql")).await;
}

#[tokio::test]
async fn documents_on_the_rules_are_held_against_their_schema() {
    corpus(SPEC, Some("spec/schema.graphql")).await;
}

async fn corpus(files: &[&str], schema: Option<&str>) {
    let house = House::open(PORTALS, Shape::Up, &[]).await;
    let schema = match schema.map(text) {
        Some(None) => return,
        schema => schema.flatten(),
    };
    house.organization("acme", json!({"rate_limit_per_minute": 0, "schema": schema})).await;
    let schema = schema.is_some();
    let (mut stored, mut refused, mut invoked) = (0, 0, 0);
    for file in files {
        let Some(data) = data(file) else { return };
        for (at, document) in data["documents"].as_array().expect("documents").iter().enumerate() {
            let Some(source) = source(document) else { continue };
            let slug =
                format!("{}-{at}", file.split(['/', '.']).nth(1).unwrap_or_default().replace('_', "-"));
            let body = json!({"name": slug, "slug": slug, "query": source});
            let reply = house.manage(Method::POST, "/v2/organizations/acme/portals", body).await;
            let id = document["id"].as_str().unwrap_or_default();
            if !storable(document, &source, schema) {
                assert_eq!(reply.status, 422, "{id} must be refused");
                let message = reply.json()["message"].as_str().unwrap_or_default().to_owned();
                assert!(message.starts_with("Validation failed: "), "{id}: {message}");
                assert!(
                    message.contains("line ") || source.len() > 128 << 10,
                    "{id}: the place is not named: {message}"
                );
                refused += 1;
                continue;
            }
            assert_eq!(reply.status, 201, "{id}: {}", String::from_utf8_lossy(&reply.body));
            stored += 1;
            let portal = reply.json();
            assert_eq!(portal["query"], *source, "{id} is stored exactly as sent");
            invoked += invoke_all(&house, &slug, &portal, document, &source, id).await;
            if schema {
                misinvoke_all(&house, &slug, &portal, document, id).await;
            }
        }
    }
    println!("{stored} stored, {refused} refused, {invoked} invocations");
    assert!(stored > 0 && invoked > 0, "the data has nothing to store or to run");
    house.close().await;
}

/// The document's source; `None` for one that stands in a file which is not there.
fn source(document: &Value) -> Option<String> {
    if let Some(source) = document["document"].as_str() {
        return Some(source.to_owned());
    }
    let file = document["document_file"].as_str()?;
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/spec");
    fs::read_to_string(folder.join(file)).ok()
}

/// Whether the contract lets the document be stored.
fn storable(document: &Value, source: &str, schema: bool) -> bool {
    let operations = document["operations"].as_array().map_or(&[][..], Vec::as_slice);
    let subscribes = operations.iter().any(|operation| operation["type"] == "subscription");
    let broken = document["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let is_one_of =
        |error: &Value, rules: &[&str]| error["rule"].as_str().is_some_and(|rule| rules.contains(&rule));
    let only_allowed = document["parse_ok"] == true
        && broken.iter().all(|error| is_one_of(error, ALLOWED) || is_one_of(error, NEED_A_SCHEMA));
    let deep = depth(source) > 64;
    let no_verdict = |error: &Value| error["message"] == "Validation aborted.";
    let may_be = |error: &Value| is_one_of(error, ALLOWED) || differs_in_null(error) || no_verdict(error);
    let valid = broken.iter().all(may_be);
    (document["valid_without_schema"] == true || only_allowed)
        && (!schema || valid)
        && document["has_operation"] != false
        && !operations.is_empty()
        && !subscribes
        && source.len() <= 128 << 10
        && !deep
}

/// Whether it is fields of one name of which one can be null: published programs send that, and upstreams run it.
fn differs_in_null(error: &Value) -> bool {
    let message = error["message"].as_str().unwrap_or_default();
    let types = message.split_once("conflicting types \"").and_then(|(_, rest)| rest.split_once('"'));
    let other = types.and_then(|(_, rest)| rest.split('"').nth(1));
    types.map(|(one, _)| one.replace('!', "")) == other.map(|other| other.replace('!', "")) && other.is_some()
}

/// How deep brackets of all kinds are nested; strings and comments of the corpora hold none that matter.
fn depth(source: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for byte in source.bytes() {
        match byte {
            b'{' | b'[' | b'(' => now += 1,
            b'}' | b']' | b')' => now = now.saturating_sub(1),
            _ => {}
        }
        most = most.max(now);
    }
    most
}

async fn invoke_all(
    house: &House,
    slug: &str,
    portal: &Value,
    document: &Value,
    source: &str,
    id: &str,
) -> usize {
    let token = portal["token"].as_str().expect("a new portal comes with a token");
    let mut cases = document["variables"]["correct"].as_array().cloned().unwrap_or_default();
    cases.extend(without_variables(portal, &cases));
    let mut invoked = 0;
    for case in &cases {
        let operation = case["operation"].as_str();
        let query = operation.map(|name| format!("?operation_name={name}")).unwrap_or_default();
        let portal = format!("{slug}{query}");
        let reply = house.call("acme", &portal, token, &case["variables"]).await;
        let name = case["case"].as_str().unwrap_or_default();
        if name.starts_with("extra_unknown_variable") {
            assert_eq!(reply.code(), "VARIABLES_INVALID", "{id} {name}");
            continue;
        }
        assert_eq!(reply.status, 200, "{id} {name}: {}", String::from_utf8_lossy(&reply.body));
        let sent = house.upstream.take().pop().expect("the upstream heard of it").json();
        assert_same_operation(source, operation, sent["query"].as_str().unwrap_or_default(), id);
        assert_eq!(sent["operationName"].as_str(), operation, "{id}");
        assert_same_variables(&case["variables"], &case["coerced"], &sent, id);
        invoked += 1;
    }
    invoked
}

/// What the schema alone tells of variables is told too.
async fn misinvoke_all(house: &House, slug: &str, portal: &Value, document: &Value, id: &str) {
    let token = portal["token"].as_str().expect("a new portal comes with a token");
    for case in document["variables"]["incorrect"].as_array().into_iter().flatten() {
        let query =
            case["operation"].as_str().map(|name| format!("?operation_name={name}")).unwrap_or_default();
        let reply = house.call("acme", &format!("{slug}{query}"), token, &case["variables"]).await;
        assert_eq!(reply.code(), "VARIABLES_INVALID", "{id} {case}");
    }
}

/// A call with `{}` for the first operations that need no variable and that no case runs.
fn without_variables(portal: &Value, cases: &[Value]) -> Vec<Value> {
    let operations = portal["operations"].as_array().map_or(&[][..], Vec::as_slice);
    let needs_none = |operation: &&Value| {
        let mut variables = operation["variables"].as_array().into_iter().flatten();
        let run = cases.iter().any(|case| case["operation"] == operation["name"]);
        !run && variables.all(|variable| variable["required"] == false)
    };
    let case =
        |operation: &Value| json!({"case": "no_variables", "operation": operation["name"], "variables": {}});
    operations.iter().filter(needs_none).take(MAX_WITHOUT_VARIABLES).map(case).collect()
}

/// What is sent is what was given, or what the specification makes of it, for each variable that is used.
fn assert_same_variables(given: &Value, coerced: &Value, sent: &Value, id: &str) {
    let query = sent["query"].as_str().unwrap_or_default();
    let sent = sent["variables"].as_object().expect("variables are an object");
    for (name, value) in sent {
        if coerced.is_null() && given.get(name).is_none() {
            // A default that the document itself tells.
            continue;
        }
        assert!(
            same(value, &coerced[name]) || same(value, &given[name]),
            "{id}: ${name} is {value}, given {}, coerced {}",
            given[name],
            coerced[name]
        );
    }
    for name in given.as_object().expect("variables are an object").keys() {
        let used = query.contains(&format!("${name}"));
        assert_eq!(sent.contains_key(name), used, "{id}: ${name}");
    }
}

/// Equal but for numbers that stand for an ID.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(number), Value::String(text)) => number.to_string() == *text,
        _ => one == other,
    }
}

fn operations(document: &ExecutableDocument) -> BTreeMap<Option<String>, &OperationDefinition> {
    match &document.operations {
        DocumentOperations::Single(operation) => BTreeMap::from([(None, &operation.node)]),
        DocumentOperations::Multiple(operations) => {
            operations.iter().map(|(name, operation)| (Some(name.to_string()), &operation.node)).collect()
        }
    }
}

/// The sent text is the named operation and the fragments that it reaches, nothing else; variables that are never used
/// need not be declared.
fn assert_same_operation(source: &str, operation: Option<&str>, sent: &str, id: &str) {
    let (Ok(source), Ok(sent)) = (parse_query(source), parse_query(sent)) else {
        // Some valid documents are beyond this parser; what is sent of them is covered by the model's own tests.
        return;
    };
    let (ours, theirs) = (operations(&sent), operations(&source));
    assert_eq!(ours.len(), 1, "{id}: one operation is sent");
    let original = match operation {
        Some(name) => theirs[&Some(name.to_owned())],
        None => theirs.values().next().expect("a document has an operation"),
    };
    let arrived = ours.values().next().expect("it was counted");
    assert_eq!(bare(&arrived.selection_set), bare(&original.selection_set), "{id}");
    assert_eq!(bare(&arrived.directives), bare(&original.directives), "{id}");
    for declared in &arrived.variable_definitions {
        let same = original.variable_definitions.iter().any(|other| bare(other) == bare(declared));
        assert!(same, "{id}: ${} is declared otherwise", declared.node.name.node);
    }
    let mut reached = Vec::new();
    reach(&bare(&original.selection_set), &source, &mut reached);
    reached.sort();
    let mut fragments: Vec<String> = sent.fragments.keys().map(ToString::to_string).collect();
    fragments.sort();
    assert_eq!(fragments, reached, "{id}: the fragments that are used, and no other");
    for (name, fragment) in &sent.fragments {
        assert_eq!(bare(&fragment.node), bare(&source.fragments[name].node), "{id}: fragment {name}");
    }
}

fn reach(shown: &str, document: &ExecutableDocument, reached: &mut Vec<String>) {
    for (name, fragment) in &document.fragments {
        let spread = format!("fragment_name:Positioned{{pos:_,node:Name(\"{name}\"");
        if shown.contains(&spread) && !reached.contains(&name.to_string()) {
            reached.push(name.to_string());
            reach(&bare(&fragment.node), document, reached);
        }
    }
}

/// The `Debug` text of a syntax tree without white space and positions.
fn bare(node: &impl std::fmt::Debug) -> String {
    let text: String = format!("{node:?}").split_whitespace().collect();
    let mut bare = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("pos:Pos(") {
        let (before, after) = rest.split_at(at);
        bare.push_str(before);
        bare.push_str("pos:_");
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    bare + rest
}
