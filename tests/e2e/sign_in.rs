//! People come by an invitation, sign in, and manage with nothing that lasts.

use crate::PORTALS;
use house::{House, Shape};
use http::Method;
use serde_json::{Value, json};
use tokio::process::Command;

const PASSWORD: &str = "canary horse battery";

/// Runs a command as whoever has these variables, and gives what it prints.
async fn run(house: &House, variables: &[(&str, &str)], arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(PORTALS);
    command.env_clear().env("PORTALS_URL", house.url("")).envs(variables.iter().copied()).args(arguments);
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test]
async fn who_is_invited_signs_in_and_manages_until_they_sign_out() {
    for shape in [Shape::Up, Shape::Split { edges: 2 }] {
        let house = House::open(PORTALS, shape, &[]).await;
        house.organization("acme", json!({})).await;
        let operator = [("PORTALS_TOKEN", house::ADMIN_TOKEN)];
        let create = ["invite", "create", "acme", "ada@example.com", "--role", "administrator", "--json"];
        let made: Value = serde_json::from_str(&run(&house, &operator, &create).await.unwrap()).unwrap();
        let token = made["token"].as_str().unwrap();
        assert!(made["url"].as_str().unwrap().ends_with("/v2/invitations/accept"));
        assert!(
            run(&house, &operator, &["invite", "list", "acme"]).await.unwrap().contains("ada@example.com")
        );

        let password = [("PORTALS_PASSWORD", PASSWORD)];
        // In a file: an argument could be seen by others on the machine.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{token}\n")).unwrap();
        let invitation = format!("@{}", file.path().display());
        let accept = ["invite", "accept", &invitation, "--name", "Ada"];
        let member = run(&house, &password, &accept).await.unwrap();
        assert!(member.contains("administrator"), "{member}");
        let again = run(&house, &password, &accept).await.unwrap_err();
        assert!(again.contains("No invitation found"), "{again}");

        let login = ["login", "ada@example.com"];
        let wrong = run(&house, &[("PORTALS_PASSWORD", "wrong horse battery")], &login).await.unwrap_err();
        assert!(wrong.contains("the email address or the password is wrong"), "{wrong}");
        let session = run(&house, &password, &login).await.unwrap();
        let ada = house.manage_as(&session, Method::GET, "/v2/user", Value::Null).await.expect(200).json();
        assert_eq!(ada["email"], "ada@example.com");
        let portal = json!({"name": "door", "query": "query Who { viewer { user { name } } }"});
        let path = "/v2/organizations/acme/portals";
        let portal = house.manage_as(&session, Method::POST, path, portal).await.expect(201).json();
        assert_eq!(portal["created_by"], ada);
        house.call("acme", "door", portal["token"].as_str().unwrap(), "{}").await.expect(200);

        let other = run(&house, &password, &login).await.unwrap();
        assert_eq!(
            run(&house, &[("PORTALS_TOKEN", &other)], &["logout"]).await.unwrap(),
            "ended the session"
        );
        house.manage_as(&other, Method::GET, "/v2/user", Value::Null).await.expect(401);
        let change = [
            ("PORTALS_TOKEN", &*session),
            ("PORTALS_CURRENT_PASSWORD", PASSWORD),
            ("PORTALS_PASSWORD", "another horse battery"),
        ];
        run(&house, &change, &["password"]).await.unwrap();
        house.manage_as(&session, Method::GET, "/v2/user", Value::Null).await.expect(401);
        run(&house, &password, &login).await.unwrap_err();
        run(&house, &change[2..], &login).await.unwrap();
        house.close().await;
    }
}
