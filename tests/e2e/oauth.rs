//! The token endpoint, as a stock client library of OAuth 2.0 uses it.

use crate::{PORTALS, codes};
use house::{House, Shape};
use http::Method;
use serde_json::{Value, json};
use tokio::process::Command;

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/e2e/oauth_client.py");

#[tokio::test]
async fn a_stock_oauth_client_gets_a_token_and_calls_the_portal_with_it() {
    let python = std::env::var("PORTALS_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe =
        Command::new(&python).args(["-c", "import authlib.integrations.requests_client"]).output().await;
    if !probe.is_ok_and(|probe| probe.status.success()) {
        house::skipped(format_args!("{python} has no authlib and requests"));
        return;
    }
    let house = House::open(PORTALS, Shape::Up, &[]).await;
    house.organization("acme", Value::Null).await;
    house
        .portal("acme", "door", "query Who { viewer { user { name } } }", json!({"user_invokable": true}))
        .await;
    let (_, member) = codes::member(&house, "ada").await;
    codes::credential(&house, &member).await;
    let door = "/v2/organizations/acme/portals/door";
    let portal = house.manage(Method::GET, door, Value::Null).await.expect(200).json();
    let made = house.manage(Method::POST, &format!("{door}/secrets"), json!({})).await.expect(201).json();
    let output = Command::new(&python)
        .args([CLIENT, portal["url"].as_str().unwrap(), portal["uuid"].as_str().unwrap()])
        .env("SECRET", made["secret"].as_str().unwrap())
        .env("MEMBER", &member)
        .output()
        .await
        .expect("python starts");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let said: Value = serde_json::from_slice(&output.stdout).expect("the script prints JSON");

    let calls = said["calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2, "once with HTTP Basic, once with parameters");
    for call in calls {
        assert_eq!((&call["status"], &call["token_type"]), (&json!(200), &json!("Bearer")), "{said}");
        assert_eq!((&call["expires_in"], &call["expired"]), (&json!(3_600), &json!(false)));
        assert!(call["body"]["data"].is_object(), "{said}");
    }
    let device = &said["device"];
    assert_eq!(
        (&device["status"], &device["pending"]),
        (&json!(200), &json!("authorization_pending")),
        "{said}"
    );
    assert_eq!((&device["token_type"], &device["expires_in"]), (&json!("Bearer"), &json!(43_200)), "{said}");
    assert_eq!(said["wrong_secret"][0], "invalid_client", "{said}");
    assert_eq!(said["wrong_grant"][0], "unsupported_grant_type", "{said}");
    assert_eq!(said["too_long"][0], "invalid_request", "{said}");
    house.close().await;
}
