//! When a change returns, it holds on every edge.

use crate::PORTALS;
use house::{House, Shape, until};
use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime};

const DOCUMENT: &str = "query Who { viewer { user { name } } }";

async fn mint(house: &House) -> (String, String) {
    let made = house.manage(Method::POST, "/v2/organizations/acme/portals/door/tokens", json!({})).await;
    let made = made.expect(201).json();
    (made["uuid"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
}

async fn revoke(house: &House, uuid: &str) {
    let path = format!("/v2/organizations/acme/portals/door/tokens/{uuid}");
    house.manage(Method::DELETE, &path, Value::Null).await.expect(204);
}

#[tokio::test]
async fn a_token_ends_on_an_edge_that_holds_a_grant_for_it() {
    let house = House::open(PORTALS, Shape::Split { edges: 1 }, &[]).await;
    house.organization("acme", json!({"rate_limit_per_minute": 0})).await;
    house.portal("acme", "door", DOCUMENT, Value::Null).await;
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 4;
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let expires_at = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap().to_string();
    let path = "/v2/organizations/acme/portals/door/tokens";
    let made = house.manage(Method::POST, path, json!({"expires_at": expires_at})).await.expect(201).json();
    let token = made["token"].as_str().unwrap();
    house.call("acme", "door", token, "{}").await.expect(200);

    until("it has expired", || async {
        let asked = SystemTime::now();
        let reply = house.call("acme", "door", token, "{}").await;
        assert!(reply.status == 401 || asked < end, "it is let in after its end: {reply:?}");
        reply.status == 401
    })
    .await;
    house.call("acme", "door", token, "{}").await.expect_fault(401, "UNAUTHENTICATED");
    house.close().await;
}

#[tokio::test]
async fn a_change_of_the_portal_holds_at_once_on_every_edge() {
    let house = House::open(PORTALS, Shape::Split { edges: 2 }, &[]).await;
    house.organization("acme", json!({})).await;
    let token = house.portal("acme", "door", DOCUMENT, Value::Null).await;
    for edge in 0..2 {
        house.call_at(edge, "acme", "door", &token, "{}").await.unwrap().expect(200);
    }
    let path = "/v2/organizations/acme/portals/door";

    let changed = json!({"query": "query Changed { viewer { user { email } } }"});
    house.manage(Method::PUT, path, changed).await.expect(200);
    for edge in 0..2 {
        house.call_at(edge, "acme", "door", &token, "{}").await.unwrap().expect(200);
        assert_eq!(house.upstream.take().pop().unwrap().json()["operationName"], "Changed");
    }

    house.manage(Method::PUT, path, json!({"allowed_ip_addresses": "192.0.2.1"})).await.expect(200);
    for edge in 0..2 {
        house.call_at(edge, "acme", "door", &token, "{}").await.unwrap().expect_fault(403, "IP_NOT_ALLOWED");
    }
    house.manage(Method::PUT, path, json!({"allowed_ip_addresses": null})).await.expect(200);
    house.call("acme", "door", &token, "{}").await.expect(200);

    house.manage(Method::DELETE, path, Value::Null).await.expect(204);
    for edge in 0..2 {
        house.call_at(edge, "acme", "door", &token, "{}").await.unwrap().expect_fault(401, "UNAUTHENTICATED");
    }
    house.portal("acme", "door", DOCUMENT, Value::Null).await;
    house.call("acme", "door", &token, "{}").await.expect_fault(401, "UNAUTHENTICATED");
    house.close().await;
}

#[tokio::test]
async fn a_stopped_edge_delays_a_revocation_for_its_lease_and_does_not_let_the_token_in_when_it_wakes() {
    let house = House::open(PORTALS, Shape::Split { edges: 2 }, &["--max-staleness", "0"]).await;
    house.organization("acme", json!({})).await;
    house.portal("acme", "door", DOCUMENT, Value::Null).await;
    let (uuid, token) = mint(&house).await;
    house.call_at(1, "acme", "door", &token, "{}").await.unwrap().expect(200);

    house.edges[1].signal(Signal::STOP);
    let started = Instant::now();
    revoke(&house, &uuid).await;
    let waited = started.elapsed();
    house.edges[1].signal(Signal::CONT);

    let reply = house.call_at(1, "acme", "door", &token, "{}").await.unwrap();
    assert!(matches!(reply.status.as_u16(), 401 | 503), "{reply:?}");
    assert!(waited < Duration::from_secs(20), "the lease is 5 s, and this took {waited:?}");
    house.close().await;
}
