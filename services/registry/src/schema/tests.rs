//! Schemas and documents, judged; the published ones in `shared/data` where they are.

use super::*;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::Path,
};

const SCHEMA: &str = r#"
schema @link(url: "https://nobody.defines/this") { query: Query }
enum Color { RED GREEN @deprecated(reason: "now\n  TEAL") TEAL }
input Filter { color: Color = RED tags: [String!]! old: Int @deprecated below: Filter }
input Pick @oneOf { id: ID name: String }
interface Node { id: ID! }
type Dog implements Node { id: ID! name: String! }
type Cat implements Node { id: ID! name: String }
type Query {
  dogs(filter: Filter, color: Color, first: Int @deprecated(reason: "use `limit`")): [Dog!]!
  node(id: ID!): Node
  pick(by: Pick!): Dog
  ratio(of: Float): Float
  gone: Int @deprecated
}
"#;

fn told(found: &[Problem]) -> Vec<String> {
    found.iter().map(|problem| format!("{}:{} {}", problem.line, problem.column, problem.message)).collect()
}

fn schema() -> Schema {
    Schema::read(SCHEMA).map_err(|found| told(&found)).unwrap()
}

#[test]
fn documents_are_held_against_the_schema() {
    let schema = schema();
    for (source, expected) in [
        ("{ cows }", &["1:3 type `Query` does not have a field `cows`"][..]),
        ("{\n  dogs(filter: {}) { id } }", &["2:16 the required field `Filter.tags` is not provided"]),
        ("{ dogs(color: BLUE) { id } }", &["1:15 value `BLUE` does not exist on `Color`"]),
        (
            "query ($c: Colour) { dogs(color: $c) { id } }",
            &[
                "1:8 cannot find type `Colour` in the schema",
                "1:27 variable `$c` of type `Colour` cannot be used for argument `color` of type `Color`",
            ],
        ),
        ("mutation { a }", &["1:1 `mutation` root operation type is not defined"]),
        (
            "\"dogs\" query (\"which\" $n: String) { dogs(first: $n) { id } }",
            &["1:42 variable `$n` of type `String` cannot be used for argument `first` of type `Int`"],
        ),
        (
            "{ pick(by: {id: null}) { id } }",
            &["1:12 `Pick` must have exactly one of its fields, and that not null"],
        ),
        (
            "{ a: gone a: ratio }",
            &[
                "1:11 cannot select different fields into the same alias `a`",
                "1:11 operation must not select different types using the same name `a`: `Int` and `Float`",
            ],
        ),
    ] {
        let found = schema.judge(source).expect_err(source);
        assert_eq!(told(&found), expected, "{source}");
    }
}

#[test]
fn what_is_deprecated_is_warned_of_where_it_stands() {
    let source = "query ($c: Color = GREEN) {\n  gone\n  dogs(first: 1, color: $c, filter: {tags: [], old: 1, below: {color: GREEN, tags: \"a\"}}) { id }\n}";
    let warnings = schema().judge(source).map_err(|found| told(&found)).unwrap();
    assert_eq!(
        told(&warnings),
        [
            "1:20 value `GREEN` of `Color` is deprecated: now TEAL",
            "2:3 field `Query.gone` is deprecated",
            "3:8 argument `first` of `Query.dogs` is deprecated: use `limit`",
            "3:53 input field `Filter.old` is deprecated",
            "3:71 value `GREEN` of `Color` is deprecated: now TEAL",
        ]
    );
}

#[test]
fn what_upstreams_run_all_the_same_is_not_refused() {
    for source in [
        "query ($unused: Int) { gone } fragment F on Dog { id }",
        "{ ratio(of: 1e400) }",
        "\"\"\"what\"\"\" query Q(\"of\" $f: Float) { ratio(of: $f) }",
        "{ node(id: 1) { ... on Dog { name } ... on Cat { name } } }",
    ] {
        let judged = schema().judge(source);
        assert!(judged.is_ok(), "{source} {:?}", told(&judged.unwrap_err()));
    }
    let warnings = schema().judge("{ node(id: 1) { ... on Dog { name } ... on Cat { name } } }").unwrap();
    assert!(told(&warnings)[0].ends_with("`String!` and `String`"), "{:?}", told(&warnings));
}

#[test]
fn what_is_as_deep_as_documents_may_be_is_judged() {
    let lists = format!("{{ ratios(of: {}1{}) }}", "[".repeat(60), "]".repeat(60));
    let fields = format!("{{ dog {}{}{} }}", "{ self ".repeat(60), "{ id }", "}".repeat(60));
    let objects = format!("{{ kennel(of: {}{}) }}", "{in: ".repeat(60), "null".to_owned() + &"}".repeat(60));
    let chain: String = (0..90).map(|n| format!("fragment F{n} on Dog {{ ...F{} }} ", n + 1)).collect();
    let chain = format!("{{ dog {{ ...F0 }} }} {chain} fragment F90 on Dog {{ id }}");
    let list = "[".repeat(60) + "Int" + &"]".repeat(60);
    let source = format!(
        "input Kennel {{ in: Kennel }} type Dog {{ id: ID self: Dog }}
        type Query {{ dog: Dog kennel(of: Kennel): Int ratios(of: {list}): Int }}"
    );
    let schema = Schema::read(&source).map_err(|found| told(&found)).unwrap();
    for source in [lists, fields, objects, chain] {
        let judged = schema.judge(&source).map_err(|found| told(&found));
        assert!(judged.is_ok(), "{source:.60} {judged:?}");
    }
}

#[test]
fn a_schema_is_read_or_told_what_is_wrong_with_it() {
    for (source, expected) in [
        ("", "1:1 "),
        ("type Query {", "1:13 "),
        ("{\"data\": 1}", "1:2 "),
        ("{ a }", "1:1 "),
        ("type Query {\n  a: Nope }", "2:6 cannot find type `Nope` in the schema"),
        ("type Mutation { a: Int }", "1:1 "),
    ] {
        let found = told(&Schema::read(source).err().expect(source));
        assert!(found[0].starts_with(expected), "{source}: {found:?}");
    }
    let long = format!("{{ {} }}", "x".repeat(100_000));
    let found = told(&schema().judge(&long).unwrap_err());
    assert!(found[0].len() < 500, "{found:?}");
    let deep = format!("type Query {{ a(b: Int = {}): Int }}", "[".repeat(100_000));
    assert!(Schema::read(&deep).is_err());
    let twice = "type Query { a: Int a: String }\nenum E { A B A }\ninput I { b: E b: Int }";
    assert!(Schema::read(twice).unwrap().judge("{ a { b } }").is_err());
    assert!(Schema::read(twice).unwrap().judge("{ a }").is_ok());
}

#[test]
fn input_types_are_those_that_values_are_checked_by() {
    let types = serde_json::to_value(schema().input_types()).unwrap();
    assert_eq!(
        types,
        serde_json::json!([
            {"name": "Color", "values": ["RED", "GREEN", "TEAL"]},
            {"name": "Filter", "fields": [
                {"name": "color", "type": "Color", "default": true},
                {"name": "tags", "type": "[String!]!"},
                {"name": "old", "type": "Int"},
                {"name": "below", "type": "Filter"},
            ]},
            {"name": "Pick", "fields": [{"name": "id", "type": "ID"}, {"name": "name", "type": "String"}], "one_of": true},
        ])
    );
}

fn data(name: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    let read = fs::read_to_string(&path).ok();
    if read.is_none() {
        // Not by the macro, whose words are shown of failed tests alone.
        writeln!(io::stderr(), "SKIPPED: {} is not here", path.display()).unwrap();
    }
    read
}

#[test]
fn the_reference_implementation_agrees_on_real_documents() {
    let corpora: BTreeMap<&str, &[&str]> = [
        ("spec/schema.graphql", &["spec/documents.json"][..]),
        ("buildkite/schema.graphql", &["buildkite/operations.json", "buildkite/generated_operations.json"]),
        ("github/schema.graphql", &["github/operations.json", "github/generated_operations.json"]),
        ("github/schema.as-published.graphql", &["github/operations.json"]),
    ]
    .into();
    for (file, documents) in corpora {
        let Some(source) = data(file) else { return };
        let schema = Schema::read(&source).map_err(|found| told(&found)).unwrap();
        for document in documents.iter().filter_map(|name| data(name)) {
            let document: Value = serde_json::from_str(&document).unwrap();
            for sample in document["documents"].as_array().unwrap() {
                compare(&schema, sample);
            }
        }
    }
}

fn compare(schema: &Schema, sample: &Value) {
    let Some(source) = sample["document"].as_str() else { return };
    // What needs no schema is judged before.
    if model::document::Document::parse(source).is_err() {
        return;
    }
    let judged = schema.judge(source).map_err(|found| told(&found));
    let rules = sample["errors"].as_array().into_iter().flatten().filter_map(|error| {
        let fields_overlap_in_null =
            error["message"].as_str().is_some_and(|text| text.contains("they return conflicting types"));
        (!fields_overlap_in_null).then(|| error["rule"].as_str()).flatten()
    });
    let allowed = ["NoUnusedVariablesRule", "NoUnusedFragmentsRule"];
    let valid = rules.filter(|rule| !allowed.contains(rule)).count() == 0;
    assert_eq!(judged.is_ok(), valid, "{} {judged:?} {}", sample["id"], sample["errors"]);
}
