//! Secrets and trusted issuers whose tokens may do less, and exchanges that ask for less still: whatever is asked for,
//! no token does more than what it was exchanged for.

use crate::PORTALS;
use house::{ADMIN_TOKEN, House, Reply, Shape};
use http::Method;
use serde_json::{Value, json};
use tokio::process::Command;

const DOCUMENT: &str = "query Who { viewer { id } }
    mutation Build($branch: String!, $commit: String = \"HEAD\", $tags: [String!]) {
        build(branch: $branch, commit: $commit, tags: $tags) }
    mutation Cancel($id: ID!) { cancel(id: $id) }";
const DOOR: &str = "/v2/organizations/acme/portals/door";

/// What the secret of these tests may do.
fn held() -> Value {
    json!({
        "operations": ["Build", "Who"],
        "variables": {"branch": {"schema": {"pattern": "^release/"}}, "commit": {"fixed": "abc"}},
        "allowed_ip_addresses": "127.0.0.0/8 192.0.2.0/24",
    })
}

/// A portal, its UUID, and a secret of it that may do less.
struct Door {
    house: House,
    portal: String,
    secret: String,
}

impl Door {
    async fn open(shape: Shape) -> Self {
        let house = House::open(PORTALS, shape, &["--trusted-proxies", "127.0.0.0/8"]).await;
        house.organization("acme", json!({"rate_limit_per_minute": 0})).await;
        house.portal("acme", "door", DOCUMENT, Value::Null).await;
        let portal = house.manage(Method::GET, DOOR, Value::Null).await.expect(200).json();
        let path = format!("{DOOR}/secrets");
        let made = house.manage(Method::POST, &path, held()).await.expect(201).json();
        let listed = house.manage(Method::GET, &path, Value::Null).await.expect(200).json();
        for (property, value) in held().as_object().unwrap() {
            assert_eq!((&made[property], &listed[0][property]), (value, value));
        }
        let [portal, secret] =
            [&portal["uuid"], &made["secret"]].map(|text| text.as_str().unwrap().to_owned());
        Self { house, portal, secret }
    }

    /// Exchanges the secret from an address.
    async fn exchange_from(&self, address: &str, asked: &Value) -> Reply {
        let mut body = json!({
            "grant_type": "client_credentials", "client_id": self.portal, "secret": self.secret, "expires_in": 5,
        });
        body.as_object_mut().unwrap().extend(asked.as_object().cloned().unwrap_or_default());
        let headers = [("content-type", "application/json"), ("x-forwarded-for", address)];
        self.house.exchange_at(0, "acme", "door", &headers, body).await.unwrap()
    }

    async fn exchange(&self, asked: Value) -> String {
        let made = self.exchange_from("192.0.2.1", &asked).await.expect(200).json();
        made["token"].as_str().unwrap().to_owned()
    }

    async fn call_from(&self, address: &str, operation: &str, token: &str, body: &'static str) -> Reply {
        let authorization = format!("Bearer {token}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("x-forwarded-for", address),
        ];
        let path = format!("/organizations/acme/portals/door?operation_name={operation}");
        self.house.client.send(Method::POST, &self.house.url(&path), &headers, body).await.unwrap()
    }

    async fn call(&self, operation: &str, token: &str, body: &'static str) -> Reply {
        self.call_from("192.0.2.1", operation, token, body).await
    }

    /// The variables that the upstream heard.
    async fn sent(&self, operation: &str, token: &str, body: &'static str) -> String {
        self.call(operation, token, body).await.expect(200);
        let heard = self.house.upstream.take();
        assert_eq!(heard.len(), 1);
        heard[0].json()["variables"].to_string()
    }

    /// Asserts which rule a call breaks, and that the upstream has not heard of it.
    #[track_caller]
    fn broken(&self, reply: Reply, rule: &str) {
        let reply = reply.expect_fault(403, "TOKEN_RESTRICTED").json();
        assert_eq!(reply["errors"][0]["extensions"]["rule"], rule);
        assert_eq!(self.house.upstream.take().len(), 0);
    }
}

#[tokio::test]
async fn a_token_does_what_its_secret_may_and_less_where_less_was_asked_for() {
    for shape in [Shape::Up, Shape::Split { edges: 1 }] {
        let door = Door::open(shape).await;
        let plain = door.exchange(json!({})).await;
        assert_eq!(
            door.sent("Build", &plain, r#"{"branch":"release/1"}"#).await,
            r#"{"branch":"release/1","commit":"abc"}"#
        );
        door.sent("Who", &plain, "{}").await;
        door.broken(door.call("Cancel", &plain, r#"{"id":1}"#).await, "operations");
        door.broken(door.call("Build", &plain, r#"{"branch":"main"}"#).await, "variables");
        door.broken(door.call("Build", &plain, r#"{"branch":"release/1","commit":"x"}"#).await, "variables");
        door.broken(door.call_from("198.51.100.1", "Who", &plain, "{}").await, "allowed_ip_addresses");

        let asked = json!({
            "operations": ["Build"],
            "variables": {"branch": {"schema": {"maxLength": 9}}, "tags": {"fixed": ["a"]}},
            "allowed_ip_addresses": "192.0.2.1",
            "max_uses": 3,
        });
        let less = door.exchange(asked).await;
        assert_eq!(
            door.sent("Build", &less, r#"{"branch":"release/1"}"#).await,
            r#"{"branch":"release/1","commit":"abc","tags":["a"]}"#
        );
        // These spend a use each, for a use is counted before the executor looks.
        door.broken(door.call("Who", &less, "{}").await, "operations");
        door.broken(door.call("Build", &less, r#"{"branch":"release/10"}"#).await, "variables");
        door.broken(
            door.call_from("192.0.2.2", "Build", &less, r#"{"branch":"release/1"}"#).await,
            "allowed_ip_addresses",
        );

        door.broken(door.call("Build", &less, r#"{"branch":"release/1"}"#).await, "max_uses");

        // An operation that declares nothing of what is held is run as ever.
        let who = door.exchange(json!({"operations": ["Who"]})).await;
        assert_eq!(door.sent("Who", &who, "{}").await, "{}");
        door.house.close().await;
    }
}

#[tokio::test]
async fn more_than_is_held_cannot_be_asked_for() {
    let door = Door::open(Shape::Up).await;
    for (asked, expected) in [
        (
            json!({"operations": ["Cancel"]}),
            "operations must be among those that can be run already, `Cancel` is not",
        ),
        (json!({"operations": ["Build", "Cancel"]}), "`Cancel` is not"),
        (json!({"operations": []}), "operations must be a list of at least one string"),
        (json!({"variables": {"commit": {"fixed": "def"}}}), "variables.commit is fixed already"),
        (json!({"variables": {"branch": {"fixed": "main"}}}), "variables.branch.fixed is not a value"),
        (
            json!({"variables": {"id": {"fixed": 1}}}),
            "variables.id is declared by no operation that the token may run",
        ),
        (json!({"variables": {"tags": {"schema": {"$ref": "file:///etc/passwd"}}}}), "has `$ref`"),
        (json!({"allowed_ip_addresses": "198.51.100.0/24"}), "allowed_ip_addresses has no address"),
        (json!({"max_uses": 0}), "max_uses must be a whole number of at least 1"),
        (json!({"revision": "live"}), "revision must be \"follow\" or \"pin\""),
    ] {
        let refused = door.exchange_from("192.0.2.1", &asked).await.expect(400).json();
        assert_eq!(refused["error"], "invalid_request", "{asked}");
        let message = refused["error_description"].as_str().unwrap();
        assert!(message.contains(expected), "{asked}: {message}");
    }
    let elsewhere = door.exchange_from("198.51.100.1", &json!({})).await.expect(403).json();
    assert_eq!(elsewhere["error"], "access_denied");
    let secrets = format!("{DOOR}/secrets");
    for (wrong, expected) in [
        (json!({"max_uses": 3}), "max_uses must be asked for with each exchange"),
        (json!({"operations": ["Nobody"]}), "the portal has no operation `Nobody`"),
    ] {
        let refused = door.house.manage(Method::POST, &secrets, wrong).await.expect(422).json();
        assert!(refused["message"].as_str().unwrap().contains(expected), "{refused}");
    }
    let events =
        door.house.manage(Method::GET, "/v2/organizations/acme/audit_events", Value::Null).await.json();
    let types: Vec<_> =
        events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert!(!types.contains(&"PORTAL_TOKEN_CREATED"), "{types:?}");
    let secret =
        events.as_array().unwrap().iter().find(|event| event["type"] == "PORTAL_SECRET_CREATED").unwrap();
    assert_eq!(secret["data"]["restrictions"]["operations"], json!(["Build", "Who"]));
    door.house.close().await;
}

#[tokio::test]
async fn the_command_line_asks_for_less_too() {
    let door = Door::open(Shape::Up).await;
    let run = async |words: &[&str]| {
        let mut command = Command::new(PORTALS);
        command
            .args(words)
            .env_clear()
            .env("PORTALS_URL", door.house.url(""))
            .env("PORTALS_TOKEN", ADMIN_TOKEN);
        let output = command.env("PORTALS_CLIENT_SECRET", &door.secret).output().await.unwrap();
        let [out, error] = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
        (output.status.code(), out, error)
    };
    let exchange = ["token", "exchange", "acme", "door", "--client-id", &door.portal];
    let asked = [
        "--operation",
        "Build",
        "--fix",
        "tags:=[\"a\"]",
        "--check",
        "branch={\"maxLength\":9}",
        "--max-uses",
        "1",
    ];
    let (code, token, error) = run(&[&exchange[..], &asked].concat()).await;
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(
        door.sent("Build", token.trim(), r#"{"branch":"release/1"}"#).await,
        r#"{"branch":"release/1","commit":"abc","tags":["a"]}"#
    );
    door.broken(door.call("Build", token.trim(), r#"{"branch":"release/1"}"#).await, "max_uses");
    let (code, _, error) = run(&[&exchange[..], &["--operation", "Cancel"]].concat()).await;
    assert!(code == Some(1) && error.contains("`Cancel` is not"), "{error}");

    let create = ["secret", "create", "acme", "door", "--operation", "Who", "--pin", "--json"];
    let (code, made, error) = run(&create).await;
    assert_eq!(code, Some(0), "{error}");
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!((&made["operations"], &made["pinned_revision"]), (&json!(["Who"]), &json!(1)));
    let trust =
        ["issuer", "trust", "acme", "door", "--issuer", "https://issuer.example", "--audience", "portals"];
    let rules =
        ["--condition", "ref=*", "--fix", "commit=def", "--allowed-ip-addresses", "192.0.2.7", "--json"];
    let (code, made, error) = run(&[&trust[..], &rules].concat()).await;
    assert_eq!(code, Some(0), "{error}");
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(made["variables"], json!({"commit": {"fixed": "def"}}));
    assert_eq!((&made["allowed_ip_addresses"], &made["revision"]), (&json!("192.0.2.7"), &json!("follow")));
    door.house.close().await;
}
