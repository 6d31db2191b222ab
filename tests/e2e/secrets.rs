//! Secrets of portals and the tokens that they are exchanged for, as callers with `curl` and OAuth clients see them.

use crate::PORTALS;
use house::{ADMIN_TOKEN, House, Reply, Shape};
use http::Method;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::process::Command;

const DOCUMENT: &str = "query Who { viewer { user { name } } }";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];
const SECRETS: &str = "/v2/organizations/acme/portals/door/secrets";

/// A portal with a secret: the portal's UUID, and the secret's with itself.
async fn door(house: &House) -> (String, String, String) {
    house.organization("acme", json!({"rate_limit_per_minute": 0})).await;
    house.portal("acme", "door", DOCUMENT, Value::Null).await;
    let portal = house.manage(Method::GET, "/v2/organizations/acme/portals/door", Value::Null).await;
    let (uuid, secret) = new_secret(house).await;
    (portal.expect(200).json()["uuid"].as_str().unwrap().to_owned(), uuid, secret)
}

async fn new_secret(house: &House) -> (String, String) {
    let made = house.manage(Method::POST, SECRETS, json!({"description": "ci"})).await.expect(201).json();
    (made["uuid"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

async fn exchange(house: &House, client_id: &str, secret: &str) -> Reply {
    let body = json!({"grant_type": "client_credentials", "client_id": client_id, "secret": secret});
    house.exchange_at(0, "acme", "door", &JSON, body).await.unwrap()
}

async fn exchanged(house: &House, client_id: &str, secret: &str) -> String {
    let made = exchange(house, client_id, secret).await.expect(200).json();
    made["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn both_spellings_give_a_token_that_opens_the_portal() {
    for shape in [Shape::Up, Shape::Split { edges: 1 }] {
        let house = House::open(PORTALS, shape, &[]).await;
        let (portal, _, secret) = door(&house).await;
        let json = json!({"grant_type": "client_credentials", "client_id": portal, "secret": secret, "expires_in": 15});
        let form =
            format!("grant_type=client_credentials&client_id={portal}&client_secret={secret}&expires_in=15");
        for (headers, body) in [(&JSON, json.to_string()), (&FORM, form)] {
            let reply = house.exchange_at(0, "acme", "door", headers, body).await.unwrap().expect(200);
            assert_eq!(reply.header("cache-control"), "no-store");
            assert!(!reply.header("x-request-id").is_empty());
            let made = reply.json();
            let token = made["token"].as_str().unwrap();
            assert_eq!((&made["access_token"], &made["token_type"]), (&made["token"], &json!("Bearer")));
            assert_eq!(made["expires_in"], 900);
            let ends = made["expires_at"].as_str().unwrap();
            assert!(ends.ends_with('Z') && ends.len() == "2026-10-12T12:16:44Z".len(), "{ends}");
            house.call("acme", "door", token, "{}").await.expect(200);
            house.call("acme", "other", token, "{}").await.expect_fault(403, "FORBIDDEN");
        }
        let refused = exchange(&house, &portal, "pts_wrong").await.expect(401);
        assert_eq!(refused.json()["error"], "invalid_client");
        house.close().await;
    }
}

#[tokio::test]
async fn no_call_that_starts_after_a_secret_was_revoked_succeeds_with_a_token_of_it_on_any_of_three_edges() {
    let house = House::open(PORTALS, Shape::Split { edges: 3 }, &[]).await;
    let (portal, mut uuid, mut secret) = door(&house).await;
    let (_, other) = new_secret(&house).await;
    let other = exchanged(&house, &portal, &other).await;
    for _ in 0..8 {
        let token = exchanged(&house, &portal, &secret).await;
        for edge in 0..3 {
            house.call_at(edge, "acme", "door", &token, "{}").await.unwrap().expect(200);
        }
        let revoked = AtomicBool::new(false);
        // Calls and exchanges go on all the while, so that a grant or a token on its way is caught too.
        let calls = |edge| {
            let (house, token, revoked) = (&house, &token, &revoked);
            async move {
                loop {
                    let was_revoked = revoked.load(Ordering::SeqCst);
                    let reply = house.call_at(edge, "acme", "door", token, "{}").await.unwrap();
                    if was_revoked {
                        reply.expect_fault(401, "UNAUTHENTICATED");
                        break;
                    }
                }
            }
        };
        let exchanges = async {
            let mut last = None;
            loop {
                let reply = exchange(&house, &portal, &secret).await;
                if reply.status != 200 {
                    assert_eq!(reply.expect(401).json()["error"], "invalid_client");
                    break last;
                }
                last = reply.json()["token"].as_str().map(str::to_owned);
            }
        };
        let revoking = async {
            let path = format!("{SECRETS}/{uuid}");
            house.manage(Method::DELETE, &path, Value::Null).await.expect(204);
            revoked.store(true, Ordering::SeqCst);
        };
        let (.., last, ()) = tokio::join!(calls(0), calls(1), calls(2), exchanges, revoking);
        for token in last.iter().chain([&token]) {
            for edge in 0..3 {
                house
                    .call_at(edge, "acme", "door", token, "{}")
                    .await
                    .unwrap()
                    .expect_fault(401, "UNAUTHENTICATED");
            }
        }
        house.call("acme", "door", &other, "{}").await.expect(200);
        (uuid, secret) = new_secret(&house).await;
    }
    house.close().await;
}

#[tokio::test]
async fn who_guesses_secrets_is_told_to_wait_and_callers_from_elsewhere_are_not() {
    let house = House::open(PORTALS, Shape::Up, &["--trusted-proxies", "127.0.0.1"]).await;
    let (portal, _, secret) = door(&house).await;
    let ask = |address: &'static str, secret: &str| {
        let body = format!("grant_type=client_credentials&client_id={portal}&client_secret={secret}");
        let headers = [FORM[0], ("x-forwarded-for", address)];
        let house = &house;
        async move { house.exchange_at(0, "acme", "door", &headers, body).await.unwrap() }
    };
    for guess in 0..10 {
        let reply = ask("2001:db8:1:2::1", &format!("pts_guess{guess}")).await.expect(401);
        assert_eq!(reply.header("www-authenticate"), r#"Basic realm="portals""#);
    }
    for (address, secret) in [("2001:db8:1:2::1", "pts_guess"), ("2001:db8:1:2::2", &secret)] {
        let reply = ask(address, secret).await.expect(429);
        assert_eq!(reply.json()["error"], "slow_down");
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
    }
    for address in ["2001:db8:1:3::1", "192.0.2.1"] {
        ask(address, &secret).await.expect(200);
    }
    house.close().await;
}

/// Runs the command line: its exit code, and what it said on stdout and stderr.
async fn portals(house: &House, words: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let output = Command::new(PORTALS)
        .args(words)
        .env_clear()
        .env("PORTALS_URL", house.url(""))
        .env("PORTALS_TOKEN", ADMIN_TOKEN)
        .envs(variables.iter().copied())
        .output()
        .await
        .unwrap();
    let [out, error] = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
    (output.status.code(), out, error)
}

#[tokio::test]
async fn a_secret_is_made_exchanged_and_revoked_from_the_command_line() {
    let house = House::open(PORTALS, Shape::Up, &[]).await;
    let (portal, uuid, _) = door(&house).await;
    let (code, made, _) = portals(&house, &["secret", "create", "acme", "door", "--json"], &[]).await;
    let made: Value = serde_json::from_str(&made).unwrap();
    let secret = made["secret"].as_str().unwrap();
    house.secrets.add(secret);
    assert_eq!(code, Some(0));
    let (code, listed, _) = portals(&house, &["secret", "list", "acme", "door"], &[]).await;
    assert_eq!((code, listed.lines().count()), (Some(0), 3));
    assert!(listed.contains(&uuid) && !listed.contains("pts_"), "{listed}");

    let exchange = ["token", "exchange", "acme", "door", "--client-id", &*portal, "--expires-in", "5"];
    let (code, token, error) = portals(&house, &exchange, &[("PORTALS_CLIENT_SECRET", secret)]).await;
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let token = token.trim_end();
    house.secrets.add(token);
    house.call("acme", "door", token, "{}").await.expect(200);
    let (code, _, error) = portals(&house, &exchange, &[("PORTALS_CLIENT_SECRET", "canary-wrong")]).await;
    assert_eq!(code, Some(1));
    assert!(error.contains("401 invalid_client") && !error.contains("canary"), "{error}");

    let uuid = made["uuid"].as_str().unwrap();
    let (code, said, _) = portals(&house, &["secret", "revoke", "acme", "door", uuid], &[]).await;
    assert_eq!((code, said.trim_end()), (Some(0), &*format!("revoked {uuid}")));
    house.call("acme", "door", token, "{}").await.expect_fault(401, "UNAUTHENTICATED");
    let (code, said, _) = portals(&house, &["audit", "verify", "acme"], &[]).await;
    assert_eq!(code, Some(0), "{said}");
    house.close().await;
}
