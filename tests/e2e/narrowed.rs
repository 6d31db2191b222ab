//! Tokens that may do less than their portal: each rule kept to, and each refused, before the upstream hears of it.

use crate::PORTALS;
use house::{House, Reply, Shape, until};
use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

const DOCUMENT: &str = "query Who { viewer { id } }
    mutation Build($branch: String!, $commit: String = \"HEAD\", $n: Int) {
        build(branch: $branch, commit: $commit, n: $n) }";
const TOKENS: &str = "/v2/organizations/acme/portals/door/tokens";

async fn open(shape: Shape) -> House {
    let house = House::open(PORTALS, shape, &["--trusted-proxies", "127.0.0.0/8"]).await;
    house.organization("acme", json!({"rate_limit_per_minute": 0})).await;
    house.portal("acme", "door", DOCUMENT, Value::Null).await;
    house
}

/// Makes a token; the answer without the token, and the token.
async fn mint(house: &House, restrictions: Value) -> (Value, String) {
    let mut made = house.manage(Method::POST, TOKENS, restrictions).await.expect(201).json();
    let token = made.as_object_mut().unwrap().remove("token").unwrap();
    (made, token.as_str().unwrap().to_owned())
}

/// Asserts which rule a call breaks, by which variable, and that the upstream has not heard of it.
#[track_caller]
fn broken(house: &House, reply: Reply, rule: &str, variable: Option<&str>) {
    let extensions = reply.expect_fault(403, "TOKEN_RESTRICTED").json()["errors"][0]["extensions"].clone();
    assert_eq!(extensions["rule"], rule);
    assert_eq!(extensions["variable"].as_str(), variable);
    assert_eq!(house.upstream.take().len(), 0);
}

/// What the upstream heard of a call that is let through.
#[track_caller]
fn sent(house: &House, reply: Reply) -> Value {
    reply.expect(200);
    let heard = house.upstream.take();
    assert_eq!(heard.len(), 1);
    heard[0].json()
}

#[tokio::test]
async fn every_rule_is_kept_to_in_one_process() {
    rules(Shape::Up).await;
}

#[tokio::test]
async fn every_rule_is_kept_to_split() {
    rules(Shape::Split { edges: 1 }).await;
}

async fn rules(shape: Shape) {
    let house = open(shape).await;
    let asked = json!({
        "operations": ["Build"],
        "variables": {"branch": {"schema": {"pattern": "^release/"}}, "commit": {"fixed": "abc"}},
    });
    let (made, token) = mint(&house, asked.clone()).await;
    for property in ["operations", "variables"] {
        assert_eq!(made[property], asked[property]);
    }
    assert_eq!(made["revision"], "follow");
    assert_eq!(house.manage(Method::GET, TOKENS, Value::Null).await.expect(200).json()[0], made);
    let event = house.manage(Method::GET, "/v2/organizations/acme/audit_events", Value::Null).await.json();
    assert_eq!(event[0]["data"]["restrictions"]["operations"], json!(["Build"]));

    // The one operation that it may run need not be named.
    for door in ["door", "door?operation_name=Build"] {
        let sent = sent(&house, house.call("acme", door, &token, r#"{"branch":"release/1","n":1.0}"#).await);
        assert_eq!(sent["operationName"], "Build");
        assert_eq!(sent["variables"].to_string(), r#"{"branch":"release/1","commit":"abc","n":1.0}"#);
    }
    for (door, body, rule, variable) in [
        ("door?operation_name=Who", "{}", "operations", None),
        ("door?operation_name=Nobody", "{}", "operations", None),
        ("door", r#"{"branch":"main"}"#, "variables", Some("branch")),
        ("door", r#"{"branch":"release/1","commit":"abc"}"#, "variables", Some("commit")),
        ("door", r#"{"branch":"release/1","commit":null}"#, "variables", Some("commit")),
    ] {
        broken(&house, house.call("acme", door, &token, body).await, rule, variable);
    }
    house.call("acme", "door", &token, "{}").await.expect_fault(422, "VARIABLES_INVALID");
    addresses(&house).await;
    revisions(&house).await;
    house.close().await;
}

async fn addresses(house: &House) {
    let (_, token) = mint(house, json!({"allowed_ip_addresses": "192.0.2.0/24"})).await;
    let authorization = format!("Bearer {token}");
    let url = house.url("/organizations/acme/portals/door?operation_name=Who");
    let from = async |address: &str| {
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("x-forwarded-for", address),
        ];
        house.client.send(Method::POST, &url, &headers, "{}").await.unwrap()
    };
    sent(house, from("192.0.2.7").await);
    broken(house, from("198.51.100.7").await, "allowed_ip_addresses", None);
}

async fn revisions(house: &House) {
    let (made, pinned) = mint(house, json!({"operations": ["Who"], "revision": "pin"})).await;
    assert_eq!((&made["revision"], &made["pinned_revision"]), (&json!("pin"), &json!(1)));
    let (_, following) = mint(house, json!({"variables": {"n": {"schema": {"maximum": 3}}}})).await;
    let body = r#"{"branch":"a","n":4}"#;
    broken(
        house,
        house.call("acme", "door?operation_name=Build", &following, body).await,
        "variables",
        Some("n"),
    );

    let query = json!({"query": "mutation Build($number: Int) { build(n: $number) }"});
    house.manage(Method::PUT, "/v2/organizations/acme/portals/door", query).await.expect(200);
    assert_eq!(sent(house, house.call("acme", "door", &pinned, "{}").await)["operationName"], "Who");
    // What was to be held is there no more, under that name: nothing runs free for it.
    broken(house, house.call("acme", "door", &following, r#"{"number":4}"#).await, "revision", Some("n"));
}

#[tokio::test]
async fn what_cannot_be_kept_to_makes_no_token() {
    let house = open(Shape::Up).await;
    for (asked, expected) in [
        (
            json!({"operations": ["Nobody"]}),
            "operations: the portal has no operation `Nobody`, it has `Who`, `Build`",
        ),
        (json!({"operations": []}), "operations must be a list of at least one string"),
        (json!({"variables": {"nobody": {"fixed": 1}}}), "variables.nobody is declared by no operation"),
        (json!({"variables": {"n": {"fixed": "one"}}}), "variables.n.fixed: variable `$n`: expected `Int`"),
        (json!({"variables": {"n": {"schema": {"maxium": 1}}}}), "variables.n.schema has `maxium`"),
        (json!({"variables": {"n": {"schema": {"$ref": "file:///etc/passwd"}}}}), "has `$ref`"),
        (
            json!({"variables": {"branch": {"schema": {"pattern": "(a{100}){1000}"}}}}),
            "variables.branch.schema",
        ),
        (json!({"allowed_ip_addresses": "home"}), "allowed_ip_addresses: `home` is no IP address"),
        (json!({"revision": 3}), "revision must be \"follow\" or \"pin\""),
    ] {
        let refused = house.manage(Method::POST, TOKENS, asked.clone()).await.expect(422).json();
        let message = refused["message"].as_str().unwrap();
        assert!(
            message.starts_with("Validation failed: ") && message.contains(expected),
            "{asked}: {message}"
        );
    }
    let listed = house.manage(Method::GET, TOKENS, Value::Null).await.expect(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "the portal's first");
    house.close().await;
}

/// Calls the door through every edge until it is refused for want of uses; how many calls were let in.
async fn use_up(house: &House, edges: usize, token: &str) -> usize {
    let let_in = AtomicUsize::new(0);
    let calls = (0..edges * 4).map(async |caller| {
        loop {
            let reply =
                house.call_at(caller % edges, "acme", "door?operation_name=Who", token, "{}").await.unwrap();
            match reply.status.as_u16() {
                200 => let_in.fetch_add(1, Ordering::Relaxed),
                // Whatever cannot be counted is not made.
                503 => continue,
                _ => {
                    let reply = reply.expect_fault(403, "TOKEN_RESTRICTED").json();
                    return assert_eq!(reply["errors"][0]["extensions"]["rule"], "max_uses");
                }
            };
        }
    });
    futures_util::future::join_all(calls).await;
    let_in.into_inner()
}

#[tokio::test]
async fn a_token_is_used_so_often_and_no_more_over_three_edges() {
    let house = open(Shape::Split { edges: 3 }).await;
    let (made, token) = mint(&house, json!({"max_uses": 25})).await;
    assert_eq!((&made["max_uses"], &made["uses"]), (&json!(25), &json!(0)));
    assert_eq!(use_up(&house, 3, &token).await, 25);
    assert_eq!(house.upstream.take().len(), 25);
    let listed = house.manage(Method::GET, TOKENS, Value::Null).await.json();
    assert_eq!(listed[0]["uses"], 25);
    house.close().await;
}

#[tokio::test]
async fn no_use_is_had_twice_when_the_registry_or_the_executor_is_killed() {
    let mut house = open(Shape::Split { edges: 1 }).await;
    let (_, token) = mint(&house, json!({"max_uses": 200})).await;
    let mut let_in = 0;
    for round in 0..4 {
        let of_registry = round % 2 == 0;
        let calls = (0..30).map(|_| house.call("acme", "door?operation_name=Who", &token, "{}"));
        let calls = futures_util::future::join_all(calls);
        // Some calls are answered before, and some are on their way when it happens.
        let killed = async {
            until("the upstream has heard of some", async || house.upstream.calls() > let_in).await;
            let part = if of_registry { &house.registry } else { house.executor.as_ref().unwrap() };
            part.signal(Signal::KILL);
        };
        let (replies, ()) = tokio::join!(calls, killed);
        let_in += replies.iter().filter(|reply| reply.status == 200).count();
        if of_registry {
            house.registry.ended().await;
            house.restart_registry().await;
        } else {
            house.executor.as_mut().unwrap().ended().await;
            house.restart_executor().await;
        }
    }
    let_in += use_up(&house, 1, &token).await;
    // A use may be lost on the way, and none is found.
    let heard = house.upstream.calls();
    assert!(let_in <= heard && heard <= 200, "{let_in} were let in, the upstream heard of {heard}");
    assert!(heard >= 200 - 4 * 30, "{heard}");
    house.close().await;
}

/// What is refused is told in header fields, of which the way between services takes only so many bytes.
#[tokio::test]
async fn a_refusal_that_has_much_to_tell_is_told_over_the_wire() {
    let house = open(Shape::Split { edges: 1 }).await;
    let long = |number: usize| format!("q{number}{}", "x".repeat(3_000));
    let document: String =
        (0..10).map(|number| format!("query {} {{ viewer {{ id }} }} ", long(number))).collect();
    house.portal("acme", "many", &document, Value::Null).await;
    let path = "/v2/organizations/acme/portals/many/tokens";
    for wanted in [1, 40] {
        let operations: Vec<String> =
            (0..wanted).map(|number| format!("w{number}{}", "y".repeat(200))).collect();
        let reply = house.manage(Method::POST, path, json!({"operations": operations})).await.expect(422);
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        let begin = "Validation failed: operations: the portal has no operation `w0yyy";
        assert!(message.starts_with(begin) && message.contains("y…`, it has `q0xxx"), "{message}");
        assert!(message.len() < 6_000 && message.ends_with(" more") == (wanted == 40), "{message}");
    }
    // The same for the schema of an organization, where it is the change that is long.
    let schema = "#".repeat(8 << 20);
    let reply = house.manage(Method::PATCH, "/v2/organizations/acme", json!({"schema": schema})).await;
    let message = reply.expect(422).json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("schema must have at most 4194304 bytes, it has 8388608"), "{message}");
}
