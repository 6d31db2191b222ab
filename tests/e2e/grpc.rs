//! An internal caller over gRPC, in another language, with nothing but server reflection.

use crate::PORTALS;
use house::{House, Shape};
use serde_json::{Value, json};
use tokio::process::Command;

const CALLER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/e2e/grpc_caller.py");

#[tokio::test]
async fn a_python_caller_with_reflection_gets_the_same_answer_as_over_http() {
    let python = std::env::var("PORTALS_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = Command::new(&python)
        .args(["-c", "import grpc, grpc_reflection, google.rpc.status_pb2"])
        .output()
        .await;
    if !probe.is_ok_and(|probe| probe.status.success()) {
        house::skipped(format_args!(
            "{python} has no grpcio, grpcio-reflection and googleapis-common-protos"
        ));
        return;
    }
    for shape in [Shape::Up, Shape::Split { edges: 1 }] {
        let house = House::open(PORTALS, shape, &[]).await;
        house.organization("acme", json!({})).await;
        let document = "query Who($id: ID!) { node(id: $id) { id } }";
        let token = house.portal("acme", "door", document, Value::Null).await;
        let over_http = house.call("acme", "door", &token, r#"{"id":7}"#).await.expect(200);

        let narrowed = json!({"max_uses": 1, "variables": {"id": {"schema": {"pattern": "^a"}}}});
        let path = "/v2/organizations/acme/portals/door/tokens";
        let narrowed = house.manage(http::Method::POST, path, narrowed).await.expect(201).json();

        let (registry, executor) = house.grpc();
        let output = Command::new(&python)
            .args([CALLER, registry, executor])
            .env("TOKEN", &token)
            .env("NARROWED", narrowed["token"].as_str().unwrap())
            .output()
            .await
            .expect("python starts");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{errors}");
        let said: Value = serde_json::from_slice(&output.stdout).expect("the script prints JSON");

        assert_eq!(said["status"], 200);
        assert_eq!(said["body"].as_str().unwrap().as_bytes(), over_http.body);
        assert_eq!(said["stranger"], json!(["UNAUTHENTICATED", "UNAUTHENTICATED"]));
        assert_eq!(said["other_portal"], json!(["PERMISSION_DENIED", "FORBIDDEN"]));
        assert_eq!(said["bad_variables"], json!(["INVALID_ARGUMENT", "VARIABLES_INVALID"]));
        assert_eq!(said["forged_grant"], json!(["UNAUTHENTICATED", "GRANT_INVALID"]));
        assert_eq!((&said["spared"], &said["once"]), (&json!([true, ""]), &json!(200)));
        let spent = json!(["PERMISSION_DENIED", "TOKEN_RESTRICTED", "max_uses"]);
        assert_eq!((&said["twice"], &said["all_spent"]), (&spent, &spent));
        assert_eq!(said["health"], json!(["SERVING", "SERVING"]));
        assert!(said["services"].as_array().unwrap().contains(&json!("portals.registry.v1.RegistryService")));
        assert!(said["services"].as_array().unwrap().contains(&json!("portals.executor.v1.ExecutorService")));
        let heard = house.upstream.take();
        assert_eq!(heard.len(), 3, "once over HTTP, twice over gRPC");
        assert_eq!(heard[0].body, heard[1].body);
        house.close().await;
    }
}
