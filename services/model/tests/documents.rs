//! Documents: what is stored, what is refused and where, and what is sent of them.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by a panic, and says aloud what it skips"
)]

mod corpus;

use corpus::Sample;
use model::document::{Document, OperationKind, Problem};

fn parsed(source: &str) -> Document {
    Document::parse(source).unwrap_or_else(|problems| panic!("{source}\n{problems:#?}"))
}

fn refused(source: &str) -> Vec<Problem> {
    Document::parse(source).expect_err(source)
}

fn told(source: &str) -> Vec<String> {
    let line = |problem: &Problem| format!("{}:{} {}", problem.line, problem.column, problem.message);
    refused(source).iter().map(line).collect()
}

/// Whether the contract alone keeps a document out that a GraphQL implementation takes.
fn out_of_contract(sample: &Sample) -> bool {
    let deep = ["big/list-literal-depth-1000", "big/list-type-depth-1000"];
    sample.operations.iter().any(|(_, kind)| kind == "subscription")
        || sample.document.len() > 128 * 1024
        || deep.contains(&sample.id.as_str())
}

/// Rules of the reference implementation that need no schema.
const SCHEMALESS: [&str; 12] = [
    "Syntax",
    "RangeError",
    "ExecutableDefinitionsRule",
    "UniqueOperationNamesRule",
    "LoneAnonymousOperationRule",
    "UniqueFragmentNamesRule",
    "KnownFragmentNamesRule",
    "NoFragmentCyclesRule",
    "UniqueVariableNamesRule",
    "NoUndefinedVariablesRule",
    "UniqueArgumentNamesRule",
    "UniqueInputFieldNamesRule",
];
/// Rules that Portals turns into warnings.
const UNUSED: [&str; 2] = ["NoUnusedVariablesRule", "NoUnusedFragmentsRule"];

#[test]
fn the_reference_implementation_agrees_on_every_document() {
    for sample in corpus::documents() {
        let broken = sample.errors.iter().any(|(rule, ..)| SCHEMALESS.contains(&rule.as_str()));
        let unused = sample.errors.iter().any(|(rule, ..)| UNUSED.contains(&rule.as_str()));
        let good = !broken && !sample.operations.is_empty() && !out_of_contract(&sample);
        assert!(good || !sample.valid_without_schema || out_of_contract(&sample), "{}", sample.id);
        match Document::parse(&sample.document) {
            Ok(document) => {
                assert!(good, "{} must be refused", sample.id);
                assert_eq!(unused, !document.warnings.is_empty(), "{}", sample.id);
                let kinds = |kind| if kind == OperationKind::Query { "query" } else { "mutation" };
                let operations = document.operations.iter();
                let operations: Vec<_> =
                    operations.map(|found| (found.name.clone(), kinds(found.kind).to_owned())).collect();
                // Of the largest documents, the corpus lists the first operations alone.
                assert!(operations.starts_with(&sample.operations), "{}", sample.id);
                assert!(operations.len() == sample.operations.len() || sample.large, "{}", sample.id);
            }
            Err(problems) => {
                assert!(!good, "{}: {problems:?}", sample.id);
                assert!(!problems.is_empty(), "{}", sample.id);
                let near = |line| problems.iter().any(|problem| u64::from(problem.line) == line);
                let placed = sample.errors.iter().filter_map(|(_, line, _)| *line);
                let lines: Vec<u64> = placed.collect();
                assert!(
                    lines.is_empty() || out_of_contract(&sample) || lines.into_iter().any(near),
                    "{}: {problems:?} but {:?}",
                    sample.id,
                    sample.errors
                );
            }
        }
    }
}

#[test]
fn what_is_sent_is_a_document_of_one_operation_that_says_the_same() {
    for sample in corpus::documents().into_iter().filter(|sample| !out_of_contract(sample)) {
        let Ok(document) = Document::parse(&sample.document) else { continue };
        for operation in &document.operations {
            let text = operation.text(&document.fragments);
            let alone = parsed(&text);
            assert_eq!(alone.warnings, [], "{}", sample.id);
            let [again] = alone.operations.as_slice() else { panic!("{}: {text}", sample.id) };
            assert_eq!((&again.name, again.kind), (&operation.name, operation.kind), "{}", sample.id);
            let used: Vec<_> = operation.variables.iter().filter(|variable| variable.used).collect();
            assert_eq!(again.variables.iter().collect::<Vec<_>>(), used, "{}", sample.id);
            assert_eq!(again.fragments.len(), operation.fragments.len(), "{}", sample.id);
            assert!(async_graphql_accepts(&text), "{}: {text}", sample.id);
        }
    }
}

/// Whether an upstream that is made with async-graphql reads a text as it is, or stumbles over what it is known
/// not to know: `\u{…}`, two escapes for one character, a number that is too large for it.
fn async_graphql_accepts(text: &str) -> bool {
    async_graphql_parser::parse_query(text).is_ok() || ["\\u", "1e400"].iter().any(|odd| text.contains(odd))
}

#[test]
fn the_documents_of_the_portals_guide_can_be_stored() {
    let trigger = parsed(include_str!("fixtures/trigger-main-build.graphql"));
    assert_eq!(trigger.operations[0].name.as_deref(), Some("triggerBuild"));
    assert_eq!(trigger.warnings, []);

    let two = parsed(include_str!("fixtures/two-operations.graphql"));
    let kinds: Vec<_> = two.operations.iter().map(|operation| operation.kind).collect();
    assert_eq!(kinds, [OperationKind::Query, OperationKind::Mutation]);
    assert_eq!(two.operations[1].variables[0].r#type.to_string(), "ID!");
    assert!(two.operations[0].source.starts_with("query GetBuilds($pipelineSlug: ID!) {"));
    assert!(two.operations[0].source.ends_with('}'));

    let unused = parsed(include_str!("fixtures/total-build-run-time.graphql"));
    assert!(unused.operations[0].source.starts_with("query GetTotalBuildRunTime {\n"));
    assert!(!unused.operations[0].variables[0].used);
    let warning = &unused.warnings[0];
    assert_eq!((warning.line, warning.column), (1, 28));
    assert_eq!(warning.message, "variable `$build_slug` is declared but never used");
}

#[test]
fn a_broken_rule_is_told_with_its_place() {
    for (source, expected) in [
        ("", "1:1 the document is empty"),
        ("{ a", "1:4 expected `(`, `@`, `{`, a selection or `}`, but the document ends here"),
        ("{ a }\n\n  }", "3:3 expected `query`, `mutation`, `fragment` or `{`, found `}`"),
        ("query é { a }", "1:7 unexpected character U+00E9"),
        ("{ a(b: \"é\" ö) }", "1:12 unexpected character U+00F6"),
        ("{ a(b: \"x\n\") }", "1:10 this string is not closed on its line"),
        ("{ a(b: ) } ö", "1:8 expected a value, found `)`"),
        ("{ ...F }", "1:6 fragment `F` is used but not defined"),
        ("fragment F on T { a }", "1:1 the document has no operation: expected a query or a mutation"),
        (
            "subscription S { a }",
            "1:1 a subscription cannot be stored: only queries and mutations can be called",
        ),
        (
            "{ a }\r\ntype T { a: Int }",
            "2:1 `type` defines a schema: only operations and fragments can be stored",
        ),
        ("query A { a } { b }", "1:15 an operation without a name must be the only one of its document"),
        ("query A { a } query A { b }", "1:21 there are two operations `A`"),
        ("{ a(x: 1, x: 2) }", "1:11 there are two arguments `x`"),
        ("{ a(i: {x: 1, x: 2}) }", "1:15 there are two input fields `x`"),
        ("query($v: A, $v: A) { a(x: $v) }", "1:15 there are two variables `v`"),
        ("query Q { a(x: [{y: $v}]) }", "1:21 variable `$v` is used but not declared by operation `Q`"),
        ("{ a @d(x: $v) }", "1:11 variable `$v` is used but not declared"),
        ("query($v: A = $w) { a(x: $v) }", "1:15 a variable cannot stand here: the value must be constant"),
        ("{ ...A } fragment A on T { ...A }", "1:31 fragment `A` is used within itself"),
    ] {
        assert_eq!(told(source), [expected], "{source}");
    }
    let twice = told("{ ...F } fragment F on T { a } fragment F on T { b }");
    assert_eq!(twice, ["1:41 there are two fragments `F`"]);
}

#[test]
fn syntax_is_that_of_the_specification_where_the_parser_has_its_own() {
    for (source, expected) in [
        ("queryA { a }", "1:1 expected `query`, `mutation`, `fragment` or `{`, found `queryA`"),
        ("{ ...on }", "1:9 expected a name, found `}`"),
        ("{ ...on @d { a } }", "1:9 expected a name, found `@`"),
        ("fragment on on T { a }", "1:10 expected a fragment's name, which cannot be `on`, found `on`"),
        ("fragment F($x: A) on T { a } { a }", "1:11 expected `on`, found `(`"),
        ("query Q() { a }", "1:9 expected `$`, found `)`"),
        ("query($v: A @d = 1) { a(x: $v) }", "1:16 expected `@`, `$` or `)`, found `=`"),
        (
            "query($v: A = 1 @d(x: $w)) { a(x: $v) }",
            "1:23 a variable cannot stand here: the value must be constant",
        ),
        ("query($v: [A Int) { a(x: $v) }", "1:14 expected `]`, found `Int`"),
        ("query($v: A\n\"\" $w B) { a(x: $v) }", "2:7 expected `:`, found `B`"),
        ("{ a(b 1) }", "1:7 expected `:`, found `1`"),
        ("{ a(b: {c 1}) }", "1:11 expected `:`, found `1`"),
        ("{ a() }", "1:5 expected a name, found `)`"),
        ("{ a {} }", "1:6 expected a selection, found `}`"),
        ("fragment F on\n\"é\" T { a }", "2:1 expected a name, found a string"),
        ("\"what\" { a }", "1:8 an operation with a description must begin with `query` or `mutation`"),
    ] {
        assert_eq!(told(source), [expected], "{source}");
    }
    for source in [
        "query($v: [ [ A # one\n ! ] , ]! = 1e400 @d(x: \"\\u{1F600}\")) { a(x: $v) }",
        "query($v: A = \"\" @d \"what\" $w: nullable) { a(x: [nullable falsey $v], y: $w) }",
        "{ a(b: true) trueish: nullish ... on # one\n T { a } ...onward } fragment onward on on { a }",
        "{ a(b: 1234567890123456789012345678901234567890) }",
    ] {
        let document = parsed(source);
        assert_eq!(document.warnings, []);
        let variables = document.operations[0].variables.iter();
        let variables: Vec<_> = variables.map(|variable| variable.r#type.to_string()).collect();
        assert!(variables.iter().all(|name| ["[[A!]]!", "A", "nullable"].contains(&name.as_str())));
    }
}

#[test]
fn every_culprit_is_told_and_not_the_first_alone() {
    let problems = told(
        "query A { a } query A { ...F } { b } fragment F on T { a(x: {y: 1, y: 2}) } fragment F on T { ...G }",
    );
    assert_eq!(
        problems,
        [
            "1:21 there are two operations `A`",
            "1:32 an operation without a name must be the only one of its document",
            "1:68 there are two input fields `y`",
            "1:86 there are two fragments `F`",
            "1:98 fragment `G` is used but not defined",
        ]
    );
}

#[test]
fn a_variable_counts_as_used_where_only_a_fragment_uses_it() {
    let document = parsed(
        "query A($v: Int, $w: Int) { ...F } query B { b } fragment F on T { f ...G } fragment G on T { g(x: $v) }",
    );
    let [a, b] = document.operations.as_slice() else { panic!() };
    assert_eq!(a.source, "query A($v: Int, ) { ...F }");
    assert_eq!((a.fragments.as_slice(), b.fragments.as_slice()), (&[0, 1][..], &[][..]));
    assert_eq!(
        a.text(&document.fragments),
        format!("{}\nfragment F on T {{ f ...G }}\nfragment G on T {{ g(x: $v) }}", a.source)
    );
    assert_eq!(b.text(&document.fragments), "query B { b }");
    let problems = told("query A($v: Int) { ...F } query B { ...F } fragment F on T { f(x: $v) }");
    assert_eq!(problems, ["1:67 variable `$v` is used but not declared by operation `B`"]);
}

#[test]
fn needless_declarations_and_descriptions_are_not_sent() {
    for (source, sent) in [
        ("query($a: Int) { a }", "query { a }"),
        ("query($a: Int){a}", "query{a}"),
        ("query Q($a: Int = 1 @d, $b: [B!]!) @e { a(b: $b) }", "query Q($b: [B!]!) @e { a(b: $b) }"),
        ("query Q($a: A # one\n $b: B # two\n $c: C) { a(b: $b) }", "query Q($b: B # two\n ) { a(b: $b) }"),
        ("\"why\" query Q(\"\"\"what\"\"\" $a: A) { a(b: $a) }", "query Q($a: A) { a(b: $a) }"),
        ("\u{feff}# c\n{ a } # d", "{ a }"),
    ] {
        assert_eq!(parsed(source).operations[0].source, sent);
    }
}

#[test]
fn nothing_is_nested_more_than_64_deep() {
    let nested = |open: &str, depth: usize, close: &str| open.repeat(depth) + &close.repeat(depth);
    for (good, depth) in [(true, 64), (false, 65)] {
        let selections = format!("{{a(x: [[1]]){}}}", nested("{a", depth - 1, "}"));
        let list = format!("{{a(x: {})}}", nested("[", depth, "]"));
        let r#type = format!("query($a: {}) {{a(x: $a)}}", nested("[", depth, "]").replace("[]", "[T]"));
        let objects = format!("{{a(x: {}1{})}}", "{a:".repeat(depth), "}".repeat(depth));
        let inline = format!("{{{}a(x: [[1]]){}}}", "...{".repeat(depth - 1), "}".repeat(depth - 1));
        for source in [selections, list, r#type, objects, inline] {
            assert_eq!(Document::parse(&source).is_ok(), good, "{source}");
        }
    }
}

#[test]
fn the_deepest_document_is_read_on_a_small_stack() {
    let deep = |open: &str, inner: &str, close: &str| open.repeat(64) + inner + &close.repeat(64);
    let value = deep("[", "1", "]");
    let source =
        format!("query($a: {}) {}", deep("[", "T", "]"), deep("{a", &format!("(x: {value} y: $a)"), "}"));
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    let problems = thread.spawn(move || Document::parse(&source).err()).unwrap().join().unwrap();
    assert_eq!(problems, None);
}
