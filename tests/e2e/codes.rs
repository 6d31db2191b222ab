//! Tokens in a member's own name: asked for on a terminal, approved by a person, run with their credential, and of no
//! use once they may not have one.

use crate::PORTALS;
use house::{House, Reply, Shape};
use http::Method;
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

const DOOR: &str = "/v2/organizations/acme/portals/door";
const CREDENTIAL: &str = "canary-credential-of-ada-0123456789";
const DOCUMENT: &str = "query Who { viewer { user { name } } }";

/// A house with the portal `acme/door`, of which members may have tokens, and a member with an access token.
async fn house(shape: Shape) -> (House, String, String) {
    let house = House::open(PORTALS, shape, &[]).await;
    house.organization("acme", json!({"upstream_headers": {"X-Team": "of-the-organization"}})).await;
    house.portal("acme", "door", DOCUMENT, json!({"user_invokable": true})).await;
    let (user, token) = member(&house, "ada").await;
    house.secrets.add(CREDENTIAL);
    (house, user, token)
}

/// A member of `acme`: their UUID and an access token of theirs.
pub(crate) async fn member(house: &House, name: &str) -> (String, String) {
    let email = format!("{name}@example.com");
    let user = house.manage(Method::POST, "/v2/users", json!({"name": name, "email": email})).await;
    let uuid = user.expect(201).json()["uuid"].as_str().unwrap().to_owned();
    let membership = json!({"email": email, "role": "member"});
    house.manage(Method::POST, "/v2/organizations/acme/members", membership).await.expect(201);
    let path = format!("/v2/users/{uuid}/access-tokens");
    let made = house.manage(Method::POST, &path, json!({"scopes": ["write_user"]})).await.expect(201);
    (uuid, made.json()["token"].as_str().unwrap().to_owned())
}

/// A command of whoever holds `token`, if anybody.
fn command(house: &House, token: Option<&str>, arguments: &[&str]) -> Command {
    let mut command = Command::new(PORTALS);
    command.env_clear().env("PORTALS_URL", house.url("")).args(arguments);
    token.inspect(|token| {
        command.env("PORTALS_TOKEN", token);
    });
    command
}

/// Runs it and gives what it prints.
async fn run(mut command: Command) -> Result<String, String> {
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Stores what the member's tokens run with.
pub(crate) async fn credential(house: &House, token: &str) {
    let body = json!({"upstream_token": CREDENTIAL});
    let path = "/v2/user/upstream_credentials/acme";
    house.manage_as(token, Method::PUT, path, body).await.expect(204);
}

/// Asks for a code, as anybody does.
async fn code(house: &House, portal: &str) -> Reply {
    let url = house.url(&format!("/organizations/acme/portals/{portal}/codes"));
    house.client.send(Method::POST, &url, &[], "").await.unwrap()
}

async fn poll(house: &House, form: bool, code: &Value) -> Reply {
    let url = house.url("/organizations/acme/portals/door/tokens");
    let (media_type, body) = match form {
        true => {
            let urn = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
            let device_code = code["device_code"].as_str().unwrap();
            ("application/x-www-form-urlencoded", format!("grant_type={urn}&device_code={device_code}"))
        }
        false => {
            let (code, secret) = (&code["code"], &code["secret"]);
            let body = json!({"grant_type": "device_code", "code": code, "secret": secret, "expires_in": 60});
            ("application/json", body.to_string())
        }
    };
    house.client.send(Method::POST, &url, &[("content-type", media_type)], body).await.unwrap()
}

async fn approve(house: &House, token: &str, code: &Value) {
    let path = format!("/v2/codes/{}", code["code"].as_str().unwrap());
    let told = house.manage_as(token, Method::GET, &path, Value::Null).await.expect(200).json();
    assert_eq!(told["portal"]["query"], DOCUMENT);
    let body = json!({"revision": told["portal"]["revision"]});
    house.manage_as(token, Method::POST, &format!("{path}/authorize"), body).await.expect(200);
}

/// A token in the member's name.
async fn token_of(house: &House, token: &str, form: bool) -> String {
    let code = code(house, "door").await.expect(200).json();
    house.secrets.add(code["secret"].as_str().unwrap());
    approve(house, token, &code).await;
    let made = poll(house, form, &code).await.expect(200).json();
    let made = made["token"].as_str().unwrap().to_owned();
    house.secrets.add(&made);
    made
}

#[tokio::test]
async fn who_calls_from_a_terminal_does_so_in_the_name_of_whoever_approves_it() {
    let (house, _, ada) = house(Shape::Split { edges: 1 }).await;
    let mut set = command(&house, Some(&ada), &["upstream-credential", "set", "acme"]);
    set.env("PORTALS_UPSTREAM_TOKEN", CREDENTIAL);
    assert_eq!(run(set).await.unwrap(), "stored the credential for acme");
    let listed = run(command(&house, Some(&ada), &["upstream-credential", "list"])).await.unwrap();
    assert!(listed.contains("acme"), "{listed}");

    let mut calling = command(&house, None, &["invoke", "acme", "door", "--login"]);
    let mut calling = calling.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(calling.stderr.take().unwrap()).lines();
    let code = loop {
        let line = said.next_line().await.unwrap().expect("the code is told");
        if let Some((_, code)) = line.split_once("portals code show ") {
            break code.to_owned();
        }
    };
    let shown = run(command(&house, Some(&ada), &["code", "show", &code])).await.unwrap();
    assert!(shown.contains("pending") && shown.contains(DOCUMENT), "{shown}");
    let wrong = run(command(&house, Some(&ada), &["code", "authorize", &code, "--revision", "7"])).await;
    assert!(wrong.unwrap_err().contains("revision 1"));
    let authorize = ["code", "authorize", &code, "--revision", "1"];
    assert_eq!(run(command(&house, Some(&ada), &authorize)).await.unwrap(), format!("authorized {code}"));

    let output = calling.wait_with_output().await.unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "{\"data\":{\"ok\":true}}\n");
    let heard = house.upstream.take();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].headers["authorization"], format!("Bearer {CREDENTIAL}"));
    assert!(heard[0].headers.get("x-team").is_none(), "what is the organization's goes with its own tokens");

    let mut calling = command(&house, None, &["invoke", "acme", "door", "--login"]);
    let mut calling = calling.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(calling.stderr.take().unwrap()).lines();
    while let Some(line) = said.next_line().await.unwrap() {
        if let Some((_, code)) = line.split_once("portals code show ") {
            run(command(&house, Some(&ada), &["code", "deny", code])).await.unwrap();
        }
        if line.contains("access_denied") {
            break;
        }
    }
    assert_eq!(calling.wait().await.unwrap().code(), Some(1));
    house.close().await;
}

#[tokio::test]
async fn a_code_is_asked_for_and_exchanged_as_the_contract_says() {
    let (house, _, ada) = house(Shape::Up).await;
    house.portal("acme", "closed", DOCUMENT, json!({})).await;
    let closed = code(&house, "closed").await.expect(403);
    assert_eq!(closed.json()["error"], "access_denied");
    assert_eq!(code(&house, "none").await.expect(403).body, closed.body);
    let asked = code(&house, "door").await.expect(200).json();
    let url = asked["authorization_url"].as_str().unwrap();
    assert!(url.ends_with(&format!("/device?code={}", asked["code"].as_str().unwrap())), "{url}");
    assert_eq!(poll(&house, false, &asked).await.expect(400).json()["error"], "authorization_pending");
    assert_eq!(poll(&house, true, &asked).await.expect(400).json()["error"], "slow_down");

    let path = format!("/v2/codes/{}/authorize", asked["code"].as_str().unwrap());
    let refused = house.manage_as(&ada, Method::POST, &path, json!({"revision": 1}));
    let said = refused.await.expect(422).json()["message"].as_str().unwrap().to_owned();
    assert!(said.contains("PUT /v2/user/upstream_credentials/acme"), "{said}");
    credential(&house, &ada).await;
    approve(&house, &ada, &asked).await;
    let made = poll(&house, false, &asked).await.expect(200).json();
    assert_eq!((&made["token_type"], &made["expires_in"]), (&json!("Bearer"), &json!(3_600)));
    house.call("acme", "door", made["token"].as_str().unwrap(), "{}").await.expect(200);
    assert_eq!(poll(&house, false, &asked).await.expect(400).json()["error"], "invalid_grant");

    let token = token_of(&house, &ada, true).await;
    house.call("acme", "door", &token, "{}").await.expect(200);
    house.close().await;
}

#[tokio::test]
async fn when_it_is_answered_that_a_member_may_have_none_their_token_is_dead_on_every_edge() {
    const EDGES: usize = 3;
    let (house, user, ada) = house(Shape::Split { edges: EDGES }).await;
    let everywhere = |token: String, status: u16| {
        let house = &house;
        async move {
            for edge in 0..EDGES {
                let reply = house.call_at(edge, "acme", "door", &token, "{}").await.unwrap();
                assert_eq!(reply.status, status, "edge {edge}: {}", String::from_utf8_lossy(&reply.body));
            }
        }
    };
    credential(&house, &ada).await;
    let token = token_of(&house, &ada, false).await;
    everywhere(token.clone(), 200).await;
    let path = "/v2/user/upstream_credentials/acme";
    house.manage_as(&ada, Method::DELETE, path, Value::Null).await.expect(204);
    everywhere(token.clone(), 403).await;
    credential(&house, &ada).await;
    everywhere(token.clone(), 200).await;

    house.manage(Method::PUT, DOOR, json!({"user_invokable": false})).await.expect(200);
    everywhere(token.clone(), 401).await;
    house.manage(Method::PUT, DOOR, json!({"user_invokable": true})).await.expect(200);
    everywhere(token, 401).await;

    let token = token_of(&house, &ada, false).await;
    everywhere(token.clone(), 200).await;
    let place = format!("/v2/organizations/acme/members/{user}");
    house.manage(Method::DELETE, &place, Value::Null).await.expect(204);
    everywhere(token, 401).await;

    let events = house.manage(Method::GET, "/v2/organizations/acme/audit_events?per_page=100", Value::Null);
    let events = events.await.expect(200).json();
    let authorized: Vec<_> = events
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["type"] == "PORTAL_TOKEN_CODE_AUTHORIZED")
        .collect();
    assert_eq!(authorized.len(), 2);
    assert_eq!(
        (&authorized[0]["actor"]["uuid"], &authorized[0]["actor"]["type"]),
        (&json!(user), &json!("user"))
    );
    house.close().await;
}
