//! Variables: what is taken, what is refused, and the bytes that are sent.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by a panic, and says aloud what it skips"
)]

mod corpus;

use model::{
    Fault, Reason,
    document::{Document, Operation, Type},
    fault::{Details, PathSegment},
    input::{EnumValues, InputField, InputObject, InputType, InputTypes},
    portal::ExtraVariables,
    variables::{Coerced, coerce},
};
use serde_json::Value;

fn operation(source: &str) -> Operation {
    Document::parse(source).unwrap().operations.remove(0)
}

fn sent(source: &str, body: &str) -> String {
    let coerced =
        coerce(&operation(source), &InputTypes::unknown(), ExtraVariables::Reject, body.as_bytes()).unwrap();
    String::from_utf8(coerced.json).unwrap()
}

fn refused(source: &str, body: &[u8]) -> Fault {
    coerce(&operation(source), &InputTypes::unknown(), ExtraVariables::Reject, body).unwrap_err()
}

/// Path and message of each bad variable.
fn told(source: &str, body: &str) -> Vec<String> {
    let fault = refused(source, body.as_bytes());
    assert_eq!(fault.reason(), Reason::VariablesInvalid, "{fault}");
    let Details::Variables(faults) = fault.details() else { panic!("{fault:?}") };
    let segment = |segment: &PathSegment| match segment {
        PathSegment::Key(key) => key.clone(),
        PathSegment::Index(index) => index.to_string(),
    };
    let path = |path: &[PathSegment]| path.iter().map(segment).collect::<Vec<_>>().join(".");
    faults.iter().map(|fault| format!("{} | {}", path(&fault.path), fault.message)).collect()
}

const BUILT_IN: [&str; 5] = ["Int", "Float", "String", "Boolean", "ID"];

fn named(r#type: &Type) -> &str {
    match r#type {
        Type::Named(name) => name,
        Type::List(inner) | Type::NonNull(inner) => named(inner),
    }
}

/// Whether the document alone tells every type.
fn needs_no_schema(operation: &Operation) -> bool {
    operation.variables.iter().all(|variable| BUILT_IN.contains(&named(&variable.r#type)))
}

/// Whether two values are the same but for how a number or an ID is written.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        (Value::Number(ours), Value::String(theirs)) => {
            ours.as_f64().unwrap() == theirs.parse::<f64>().unwrap_or(f64::NAN)
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let both =
                |(key, value): (&String, &Value)| theirs.get(key).is_some_and(|other| same(value, other));
            ours.len() == theirs.len() && ours.iter().all(both)
        }
        (ours, theirs) => ours == theirs,
    }
}

#[test]
fn the_reference_implementation_agrees_on_every_raw_case() {
    let Some(file) = corpus::file("spec/variables.json") else { return };
    for case in file["cases"].as_array().unwrap() {
        let operation = operation(case["document"].as_str().unwrap());
        let id = &case["id"];
        let Some(body) = case["variables_json"].as_str() else { panic!("{id}") };
        // It takes what no operation declares; so does a portal that is told to.
        let coerced = coerce(&operation, &InputTypes::unknown(), ExtraVariables::Ignore, body.as_bytes());
        let ok = case["ok"] == true;
        if ok || needs_no_schema(&operation) {
            assert_eq!(coerced.is_ok(), ok, "{id} {} {body:.200} {:?}", case["document"], coerced.err());
        }
        if let Ok(Coerced { json, .. }) = coerced
            && needs_no_schema(&operation)
            && let (Ok(ours), theirs) = (serde_json::from_slice::<Value>(&json), &case["coerced"])
            && !theirs.is_null()
        {
            assert!(same(&ours, theirs), "{id}: {ours} but {theirs}");
        }
    }
}

#[test]
fn the_reference_implementation_agrees_on_the_variables_of_real_documents() {
    for sample in corpus::documents() {
        let Ok(document) = Document::parse(&sample.document) else { continue };
        let cases = |list: &str| sample.json["variables"][list].as_array().cloned().unwrap_or_default();
        let find = |case: &Value| {
            let name = case["operation"].as_str();
            document.operations.iter().find(|operation| operation.name.as_deref() == name).unwrap()
        };
        for case in cases("correct") {
            let body = case["variables"].to_string();
            let extra = case["case"].as_str().is_some_and(|name| name.starts_with("extra_unknown_variable"));
            let strict = coerce(find(&case), &InputTypes::unknown(), ExtraVariables::Reject, body.as_bytes());
            assert_eq!(strict.is_err(), extra, "{} {case} {:?}", sample.id, strict.err());
            let lenient =
                coerce(find(&case), &InputTypes::unknown(), ExtraVariables::Ignore, body.as_bytes()).unwrap();
            assert_eq!(lenient.ignored.is_empty(), !extra, "{} {case}", sample.id);
        }
        for case in cases("incorrect") {
            let operation = find(&case);
            let at = case["at"].as_str().or(case["at"][0].as_str()).unwrap_or_default();
            let name = at.split(['.', '[']).next().unwrap_or_default().trim_start_matches('$');
            let variable = operation.variables.iter().find(|variable| variable.name == name);
            let known = variable.is_some_and(|variable| BUILT_IN.contains(&named(&variable.r#type)));
            let body = case["variables"].to_string();
            let coerced = coerce(operation, &InputTypes::unknown(), ExtraVariables::Ignore, body.as_bytes());
            let absent = ["missing_required", "null_for_non_null"].map(Value::from).contains(&case["reason"]);
            let told = known || absent && at == format!("${name}");
            assert!(coerced.is_err() || !told, "{} {case}", sample.id);
        }
    }
}

#[test]
fn an_empty_body_counts_as_an_empty_object() {
    for body in ["", "{}", " { } "] {
        assert_eq!(sent("query($a: Int) { a(b: $a) }", body), "{}");
    }
}

#[test]
fn a_body_that_is_no_object_is_a_bad_request_with_its_place() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(128), "]".repeat(128));
    for (body, place) in [
        (&b"[]"[..], "line 1, column 1"),
        (b" \r\n\t", "line 2, column 2"),
        (b"null", "line 1, column 1"),
        (b"{\"a\":1,\n \"a\":2}", "line 2, column 2"),
        (b"{\"a\":1,\n \"\\u0061\":2}", "line 2, column 2"),
        (b"{\"\xC3\xA9\":1,}", "line 1, column 8"),
        (b"{\"a\":\"\xFF\"}", "line 1, column 7"),
        (b"\xEF\xBB\xBF{}", "line 1, column 1"),
        (b"{} x", "line 1, column 4"),
        (b"{\"a\":01}", "line 1, column 7"),
        (b"{\"a\":+1}", "line 1, column 6"),
        (b"{\"a\":NaN}", "line 1, column 6"),
        (b"{\"a\":1.}", "line 1, column 8"),
        (b"{'a':1}", "line 1, column 2"),
        (b"{\"a\":\"\n\"}", "line 1, column 7"),
        (b"{\"a\":\"\\x\"}", "line 1, column 8"),
        (b"{\"a\":[1,]}", "line 1, column 9"),
        (b"{\"a\" 1}", "line 1, column 6"),
        (b"{\"a\":{\"b\":1", "line 1, column 12"),
        (b"{\"a\":1\0}", "line 1, column 7"),
        (deep.as_bytes(), "line 1, column 133"),
    ] {
        let fault = refused("query($a: X) { a(b: $a) }", body);
        assert_eq!(fault.reason(), Reason::BadRequest);
        assert!(fault.message().contains(place), "{} {fault}", String::from_utf8_lossy(body));
    }
    let fine = format!("{{\"a\":{}{}}}", "[".repeat(127), "]".repeat(127));
    assert_eq!(sent("query($a: X) { a(b: $a) }", &fine), fine);
}

#[test]
fn what_came_is_sent_byte_for_byte() {
    let long = "9".repeat(400);
    for (r#type, value) in [
        ("X", "1234567890123456789012345678901234567890"),
        ("X", "{\"b\" : [ 1.0, -0, 1E+2 ],\"b\":\"\\u00e9\\/\"}"),
        ("X!", "1e400"),
        ("[X]", "[ 1 , [2] ]"),
        ("Float", "1.000000000000000000000000000001"),
        ("[Int!]", "[ 1 , 2.0 ]"),
        ("String", "\"\\ud83d\""),
        ("ID", "123456789012345678901234567890"),
        ("ID", &long),
        ("ID", &format!("-{long}")),
    ] {
        let source = format!("query($a: {type}) {{ a(b: $a) }}", r#type = r#type);
        assert_eq!(sent(&source, &format!("{{ \"a\" : {value} }}")), format!("{{\"a\":{value}}}"));
    }
}

#[test]
fn a_single_value_becomes_a_list_at_every_level() {
    for (r#type, value, expected) in [
        ("[Int]", "1", "[1]"),
        ("[[Int!]!]!", "1", "[[1]]"),
        ("[[Int]]", "[1, [2 ,3], null]", "[[1], [2 ,3], null]"),
        ("[Int]", "null", "null"),
        ("[X]", "{\"a\": 1}", "[{\"a\": 1}]"),
        ("[[X]]", "[ \"a\" ]", "[ [\"a\"] ]"),
    ] {
        let source = format!("query($a: {type}) {{ a(b: $a) }}", r#type = r#type);
        assert_eq!(sent(&source, &format!("{{\"a\":{value}}}")), format!("{{\"a\":{expected}}}"));
    }
}

#[test]
fn a_default_takes_the_place_of_what_is_missing_and_of_nothing_else() {
    for (declared, expected) in [
        ("Int = 3", "{\"a\":3}"),
        ("Int! = 3", "{\"a\":3}"),
        ("[Int] = 3", "{\"a\":[3]}"),
        ("[[Int]] = [1, [2, 3] null]", "{\"a\":[[1],[2,3],null]}"),
        ("Float = 1", "{\"a\":1}"),
        ("Float = -1.5E+3", "{\"a\":-1.5E+3}"),
        ("Boolean = true", "{\"a\":true}"),
        ("ID = 5", "{\"a\":\"5\"}"),
        ("X = null", "{\"a\":null}"),
        ("String = \"a\\\"\\u{e9}\\t\"", "{\"a\":\"a\\\"é\\u0009\"}"),
        (
            "String = \"\"\"\n    one\n      two \\\"\"\"\n\n  \"\"\"",
            "{\"a\":\"one\\u000a  two \\\"\\\"\\\"\"}",
        ),
        ("[String!] = []", "{\"a\":[]}"),
        // Only a schema could tell these; the declaration goes upstream as it is.
        ("Color = RED", "{}"),
        ("[Color!] = [RED]", "{}"),
        ("Filter = {limit: 3}", "{}"),
        ("Date = 1", "{}"),
        ("Int = \"x\"", "{}"),
        ("Int! = null", "{}"),
    ] {
        let source = format!("query($z: Int, $a: {declared}, $b: Int) {{ a(b: $a, c: $b, z: $z) }}");
        assert_eq!(sent(&source, "{}"), expected, "{declared}");
        let both = expected.replace('{', "{\"z\":1,").replace('}', ",\"b\":2}").replace(",,", ",");
        assert_eq!(sent(&source, "{\"b\":2,\"z\":1}"), both, "{declared}");
    }
    assert_eq!(sent("query($a: Int = 3) { a(b: $a) }", "{\"a\":null}"), "{\"a\":null}");
    assert_eq!(told("query($a: Int! = 3) { a(b: $a) }", "{\"a\":null}").len(), 1);
}

#[test]
fn each_bad_variable_is_told_once_with_its_path() {
    let source =
        "query($a: Int!, $b: [[Int!]], $c: ID, $d: Boolean!, $e: String) { a(b: [$a, $b, $c, $d, $e]) }";
    let long = format!("{{\"a\":1.5,\"b\":[[1],[2,null,\"x\"]],\"c\":{{}},\"e\":{}}}", "9".repeat(99));
    assert_eq!(
        told(source, &long),
        [
            "a | variable `$a`: expected `Int`, a whole number from -2147483648 to 2147483647, found 1.5",
            "b.1.1 | variable `$b`[1][1]: expected `Int!`, found null",
            "c | variable `$c`: expected `ID`, a string or a whole number, found an object",
            "d | variable `$d` of type `Boolean!` is required",
            "e | variable `$e`: expected `String`, a string, found a long number",
        ]
    );
}

#[test]
fn an_unknown_variable_is_refused_with_the_nearest_name_or_left_out() {
    let source = "query($pipelineSlug: ID, $limit: Int) { a(b: $pipelineSlug, c: $limit) }";
    let body = "{\"pipeline_slug\":\"x\",\"limit\":1}";
    assert_eq!(
        told(source, body),
        [
            "pipeline_slug | variable `$pipeline_slug` is not declared by the operation: is `$pipelineSlug` meant?"
        ]
    );
    let coerced =
        coerce(&operation(source), &InputTypes::unknown(), ExtraVariables::Ignore, body.as_bytes()).unwrap();
    assert_eq!(coerced.json, b"{\"limit\":1}");
    assert_eq!(coerced.ignored, ["pipeline_slug"]);
    assert_eq!(
        told("{ a }", "{\"x\":1}"),
        ["x | variable `$x` is not declared by the operation, which has none"]
    );
}

#[test]
fn an_unused_variable_is_checked_and_not_sent() {
    let source = "query($a: Int!, $b: Int) { a(b: $b) }";
    assert_eq!(sent(source, "{\"a\":1,\"b\":2}"), "{\"b\":2}");
    assert_eq!(told(source, "{\"b\":2}").len(), 1);
    assert_eq!(told(source, "{\"a\":\"x\"}").len(), 1);
}

/// `enum Color { RED GREEN }`, `input Filter { color: Color colors: [Color!]! limit: Int! = 10 below: Filter any: JSON }`,
/// `input Pick @oneOf { id: ID name: String }`.
fn types() -> InputTypes {
    let field = |(name, written, has_default): (&str, &str, bool)| InputField {
        name: name.to_owned(),
        r#type: Type::parse(written).unwrap(),
        has_default,
    };
    let object = |fields: &[(&'static str, &'static str, bool)], one_of| {
        InputType::Object(InputObject::new(fields.iter().copied().map(field).collect(), one_of))
    };
    let filter = [
        ("color", "Color", false),
        ("colors", "[Color!]!", false),
        ("limit", "Int!", true),
        ("below", "Filter", false),
        ("any", "JSON", false),
    ];
    let color = InputType::Enum(EnumValues::new(vec!["RED".to_owned(), "GREEN".to_owned()]));
    [
        ("Color".to_owned(), color),
        ("Filter".to_owned(), object(&filter, false)),
        ("Pick".to_owned(), object(&[("id", "ID", false), ("name", "String", false)], true)),
    ]
    .into_iter()
    .collect()
}

fn with_types(r#type: &str, value: &str) -> Result<String, String> {
    let operation = operation(&format!("query($v: {type}) {{ a(b: $v) }}", r#type = r#type));
    let body = format!("{{\"v\":{value}}}");
    match coerce(&operation, &types(), ExtraVariables::Reject, body.as_bytes()) {
        Ok(coerced) => {
            let json = String::from_utf8(coerced.json).unwrap();
            Ok(json.strip_prefix("{\"v\":").unwrap().strip_suffix('}').unwrap().to_owned())
        }
        Err(fault) => {
            let Details::Variables(faults) = fault.details() else { panic!("{fault:?}") };
            let segment = |segment: &PathSegment| match segment {
                PathSegment::Key(key) => key.clone(),
                PathSegment::Index(index) => index.to_string(),
            };
            let path = faults[0].path.iter().map(segment).collect::<Vec<_>>().join(".");
            Err(format!("{path} | {}", faults[0].message))
        }
    }
}

#[test]
fn values_of_known_types_pass_as_they_came_but_for_lists_of_one() {
    for (r#type, value, sent) in [
        ("Color", "\"RED\"", "\"RED\""),
        ("Color", "\"\\u0052ED\"", "\"\\u0052ED\""),
        ("Color", "null", "null"),
        ("[Color!]", "\"GREEN\"", "[\"GREEN\"]"),
        ("Filter", "{\"colors\":[]}", "{\"colors\":[]}"),
        ("Filter!", " { \"colors\" : \"RED\" , \"limit\":1 }", "{ \"colors\" : [\"RED\"] , \"limit\":1 }"),
        (
            "[Filter]",
            "{\"colors\":[], \"below\":{\"colors\":\"RED\",\"any\":[1e400,{\"a\":1}]},\"color\":null}",
            "[{\"colors\":[], \"below\":{\"colors\":[\"RED\"],\"any\":[1e400,{\"a\":1}]},\"color\":null}]",
        ),
        ("Pick", "{\"id\":12345678901234567890123}", "{\"id\":12345678901234567890123}"),
        // Nobody told what this is.
        ("Unknown", "{\"a\":[{}]}", "{\"a\":[{}]}"),
    ] {
        assert_eq!(with_types(r#type, value).as_deref(), Ok(sent), "{type} {value}", r#type = r#type);
    }
}

#[test]
fn values_that_a_known_type_has_not_are_told_with_their_place() {
    for (r#type, value, expected) in [
        (
            "Color",
            "\"GREN\"",
            "v | variable `$v`: expected `Color`, one of `GREEN`, `RED` in a string, found another: is `GREEN` meant?",
        ),
        ("Color", "1", "v | variable `$v`: expected `Color`, one of `GREEN`, `RED` in a string, found 1"),
        ("[Color!]", "[\"RED\",null]", "v.1 | variable `$v`[1]: expected `Color!`, found null"),
        ("Filter", "[]", "v | variable `$v`: expected `Filter`, an object, found an array"),
        ("Filter", "{}", "v.colors | variable `$v`.colors: `Filter` requires a `[Color!]!` here"),
        ("Filter", "{\"colors\":null}", "v.colors | variable `$v`.colors: expected `[Color!]!`, found null"),
        (
            "[Filter!]",
            "[{\"colors\":[]},{\"colors\":[],\"below\":{\"colors\":[\"RED\",\"BLUE\"]}}]",
            "v.1.below.colors.1 | variable `$v`[1].below.colors[1]: expected `Color`, one of `GREEN`, `RED` in a string, found another",
        ),
        (
            "Filter",
            "{\"colour\":\"RED\",\"colors\":[]}",
            "v.colour | variable `$v`.colour: `Filter` has no field of this name: is `color` meant?",
        ),
        (
            "Filter",
            "{\"colors\":[],\"limit\":null}",
            "v.limit | variable `$v`.limit: expected `Int!`, found null",
        ),
        // Each counts of those that are there twice.
        (
            "Filter",
            "{\"colors\":[],\"colors\":5}",
            "v.colors | variable `$v`.colors: expected `Color`, one of `GREEN`, `RED` in a string, found 5",
        ),
        (
            "Pick",
            "{}",
            "v | variable `$v`: expected `Pick`, an object with exactly one of its fields, and that not null",
        ),
        (
            "Pick",
            "{\"id\":1,\"name\":\"a\"}",
            "v | variable `$v`: expected `Pick`, an object with exactly one of its fields, and that not null",
        ),
        (
            "Pick",
            "{\"id\":null}",
            "v | variable `$v`: expected `Pick`, an object with exactly one of its fields, and that not null",
        ),
    ] {
        assert_eq!(with_types(r#type, value).unwrap_err(), expected, "{type} {value}", r#type = r#type);
    }
}
