//! The three examples of the feature's documentation, word for word.

use crate::PORTALS;
use house::{CREDENTIAL, House, Shape};
use serde_json::{Value, json};

const TRIGGER: &str = include_str!("../../services/portals/src/demo/documents/trigger-main-build.graphql");

const TWO: &str = include_str!("../../services/portals/src/demo/documents/portal-slug.graphql");

const UNUSED: &str =
    include_str!("../../services/portals/src/demo/documents/get-total-build-run-time.graphql");

#[tokio::test]
async fn the_examples_of_the_documentation_work_in_one_process() {
    examples(Shape::Up).await;
}

#[tokio::test]
async fn the_examples_of_the_documentation_work_split() {
    examples(Shape::Split { edges: 1 }).await;
}

async fn examples(shape: Shape) {
    let house = House::open(PORTALS, shape, &[]).await;
    house.organization("my-organization", json!({"upstream_headers": {"X-Team": "ci"}})).await;

    let token = house.portal("my-organization", "trigger-main-build", TRIGGER, Value::Null).await;
    let reply = house.call("my-organization", "trigger-main-build", &token, "{}").await.expect(200);
    assert_eq!(reply.body, r#"{"data":{"ok":true}}"#);
    assert_eq!(reply.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(reply.header("ratelimit-limit"), "200");
    assert_eq!(reply.header("ratelimit-scope"), "portal");
    let heard = house.upstream.take().pop().unwrap();
    assert_eq!(heard.headers["authorization"], format!("Bearer {CREDENTIAL}"));
    assert_eq!(heard.headers["x-team"], "ci");
    let sent = heard.json();
    assert_eq!(sent["operationName"], "triggerBuild");
    assert_eq!(sent["variables"], json!({}));
    assert!(sent["query"].as_str().unwrap().contains(r#"commit: "HEAD,""#));

    let token = house.portal("my-organization", "portal-slug", TWO, Value::Null).await;
    let body = r#"{ "pipelineSlug": "organization-slug/pipeline-slug" }"#;
    house.call("my-organization", "portal-slug?operation_name=GetBuilds", &token, body).await.expect(200);
    let sent = house.upstream.take().pop().unwrap().json();
    assert_eq!(sent["operationName"], "GetBuilds");
    assert_eq!(sent["variables"], json!({"pipelineSlug": "organization-slug/pipeline-slug"}));
    assert!(!sent["query"].as_str().unwrap().contains("triggerBuild"), "nothing else of the document");
    let reply = house.call("my-organization", "portal-slug", &token, body).await;
    let reply = reply.expect_fault(422, "OPERATION_NAME_REQUIRED").json();
    assert_eq!(reply["errors"][0]["extensions"]["operations"], json!(["GetBuilds", "triggerBuild"]));

    let token = house.portal("my-organization", "get-total-build-run-time", UNUSED, Value::Null).await;
    let path = "/v2/organizations/my-organization/portals/get-total-build-run-time";
    let portal = house.manage(http::Method::GET, path, Value::Null).await.expect(200).json();
    assert_eq!(portal["query"], UNUSED);
    assert_eq!(portal["warnings"].as_array().unwrap().len(), 1, "{portal}");
    let body = r#"{ "build_slug": "organization-slug/pipeline-slug/build-number" }"#;
    house.call("my-organization", "get-total-build-run-time", &token, body).await.expect(200);
    let sent = house.upstream.take().pop().unwrap().json();
    assert_eq!(sent["variables"], json!({}), "a variable that is never used is left out");
    assert!(!sent["query"].as_str().unwrap().contains("build_slug"));

    house.close().await;
}
