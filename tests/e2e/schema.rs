//! The upstream's schema, from the command line to the call that it keeps from the upstream.

use crate::PORTALS;
use house::{ADMIN_TOKEN, House, Shape};
use http::Method;
use serde_json::{Value, json};
use std::fs;
use tokio::process::Command;

const SCHEMA: &str = "enum Color { RED GREEN }
input Paint { color: Color! layers: [Int!] }
type Query { house: String old: String @deprecated(reason: \"use house\") }
type Mutation { paint(with: Paint!): String }";
const DOCUMENT: &str = "mutation Paint($with: Paint!) { paint(with: $with) }";

/// Gives `acme` a schema by the command line.
async fn give(house: &House, schema: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schema.graphql");
    fs::write(&file, schema).unwrap();
    let output = Command::new(PORTALS)
        .args(["org", "update", "acme", "--schema", &format!("@{}", file.display()), "--json"])
        .env_clear()
        .env("PORTALS_URL", house.url(""))
        .env("PORTALS_TOKEN", ADMIN_TOKEN)
        .output()
        .await
        .unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

async fn holds(shape: Shape) {
    let house = House::open(PORTALS, shape, &[]).await;
    house.organization("acme", json!({})).await;
    let token = house.portal("acme", "painter", DOCUMENT, Value::Null).await;
    let paint = |color: &str| json!({"with": {"color": color, "layers": 2}});
    let call = |color: &str| {
        let variables = paint(color);
        let (house, token) = (&house, &token);
        async move { house.call("acme", "painter", token, &variables).await }
    };
    // Nobody has told what a color is.
    call("BLUE").await.expect(200);
    assert_eq!(house.upstream.take().remove(0).json()["variables"], paint("BLUE"));

    let (code, told) = give(&house, SCHEMA).await;
    assert_eq!(code, Some(0), "{told}");
    // The token holds on, and its next call is checked, though nobody saved the portal again.
    let refused = call("BLUE").await.expect_fault(422, "VARIABLES_INVALID").json();
    assert_eq!(refused["errors"][0]["extensions"]["path"], json!(["with", "color"]));
    assert_eq!(
        refused["errors"][0]["message"],
        "variable `$with`.color: expected `Color`, one of `GREEN`, `RED` in a string, found another"
    );
    assert_eq!(house.upstream.calls(), 0, "the upstream heard of it");
    call("RED").await.expect(200);
    let sent = house.upstream.take().remove(0).json();
    assert_eq!(sent["variables"], json!({"with": {"color": "RED", "layers": [2]}}));

    // A document is held against it, and what is deprecated is told.
    let path = "/v2/organizations/acme/portals";
    let wrong = json!({"name": "wrong", "query": "{\n  castle\n}"});
    let wrong = house.manage(Method::POST, path, wrong).await.expect(422).json();
    let expected = "Validation failed: query line 2, column 3: type `Query` does not have a field `castle`";
    assert_eq!(wrong["message"], expected);
    let old = house.manage(Method::POST, path, json!({"name": "old", "query": "{ old }"})).await.expect(201);
    let warning = "line 1, column 3: field `Query.old` is deprecated: use house";
    assert_eq!(old.json()["warnings"], json!([warning]));

    // What is no schema changes nothing; another one holds at once, and so does none.
    let (code, told) = give(&house, "type Query {\n  house: Strin\n}").await;
    assert_eq!(code, Some(1));
    assert!(told.contains("schema line 2, column 10: cannot find type `Strin` in the schema"), "{told}");
    call("BLUE").await.expect_fault(422, "VARIABLES_INVALID");
    give(&house, &SCHEMA.replace("GREEN", "BLUE")).await;
    call("BLUE").await.expect(200);
    call("GREEN").await.expect_fault(422, "VARIABLES_INVALID");
    let (code, told) = give(&house, "").await;
    assert_eq!(code, Some(0), "{told}");
    call("GREEN").await.expect(200);
    house.close().await;
}

#[tokio::test]
async fn a_schema_holds_for_documents_and_variables() {
    holds(Shape::Up).await;
}

#[tokio::test]
async fn a_schema_holds_on_every_service() {
    holds(Shape::Split { edges: 1 }).await;
}
