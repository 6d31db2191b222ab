//! How often an organization, a portal and a token may be used, and that none takes what is another's.

use crate::PORTALS;
use house::{House, Reply, Shape};
use http::Method;
use serde_json::{Value, json};

const DOCUMENT: &str = "query Who { viewer { id } }";
const DOOR: &str = "/v2/organizations/acme/portals/door";

/// Status, limit and what is left.
fn told(reply: &Reply) -> (u16, &str, &str) {
    (reply.status.as_u16(), reply.header("ratelimit-limit"), reply.header("ratelimit-remaining"))
}

#[tokio::test]
async fn a_token_that_floods_leaves_a_calm_one_its_calls() {
    let house = House::open(PORTALS, Shape::Split { edges: 1 }, &[]).await;
    house.organization("acme", json!({"rate_limit_per_minute": 60})).await;
    let calm = house.portal("acme", "door", DOCUMENT, json!({"rate_limit_per_minute": 50})).await;
    let asked = json!({"rate_limit_per_minute": 10});
    let made = house.manage(Method::POST, &format!("{DOOR}/tokens"), asked).await.expect(201).json();
    assert_eq!(made["rate_limit_per_minute"], 10);
    let floods = made["token"].as_str().unwrap();

    let flood = async {
        let calls = (0..200).map(|_| house.call("acme", "door", floods, "{}"));
        let replies = futures_util::future::join_all(calls).await;
        let (let_in, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
        assert_eq!(let_in.len(), 10);
        for reply in refused {
            let reply = reply.expect_fault(429, "RATE_LIMITED");
            assert_eq!(told(&reply), (429, "10", "0"));
            assert_eq!(reply.header("ratelimit-scope"), "portal");
            let (wait, reset) = (reply.header("retry-after"), reply.header("ratelimit-reset"));
            assert!((1..=60).contains(&wait.parse().unwrap()) && wait == reset, "{wait} {reset}");
        }
    };
    let calls = async {
        for _ in 0..40 {
            house.call("acme", "door", &calm, "{}").await.expect(200);
        }
    };
    tokio::join!(flood, calls);

    // The portal's fifty are used up, ten and forty; ten of the organization's are left for another portal.
    let reply = house.call("acme", "door", &calm, "{}").await.expect_fault(429, "RATE_LIMITED");
    assert_eq!(told(&reply), (429, "50", "0"));
    let other = house.portal("acme", "other", DOCUMENT, Value::Null).await;
    assert_eq!(told(&house.call("acme", "other", &other, "{}").await), (200, "60", "9"));
    assert_eq!(house.upstream.calls(), 51);
    house.close().await;
}

#[tokio::test]
async fn a_limit_that_is_changed_holds_at_once() {
    let house = House::open(PORTALS, Shape::Up, &[]).await;
    house.organization("acme", json!({"rate_limit_per_minute": 0})).await;
    let token = house.portal("acme", "door", DOCUMENT, Value::Null).await;
    let reply = house.call("acme", "door", &token, "{}").await.expect(200);
    assert_eq!((reply.header("ratelimit-scope"), reply.header("ratelimit-limit")), ("portal", ""));
    for (change, kept, expected) in [
        (json!(3), json!(3), (200, "3", "2")),
        (json!(2), json!(2), (200, "2", "0")),
        (json!(1), json!(1), (429, "1", "0")),
        (json!(9), json!(9), (200, "9", "6")),
        (Value::Null, Value::Null, (200, "", "")),
        (json!(9.0), json!(9), (200, "9", "5")),
        (json!(0), json!(0), (200, "", "")),
    ] {
        let changed = house.manage(Method::PUT, DOOR, json!({"rate_limit_per_minute": change})).await;
        assert_eq!(changed.expect(200).json()["rate_limit_per_minute"], kept, "{change}");
        assert_eq!(house.manage(Method::GET, DOOR, Value::Null).await.json()["rate_limit_per_minute"], kept);
        assert_eq!(told(&house.call("acme", "door", &token, "{}").await), expected, "{change}");
    }
    let events = house.manage(Method::GET, "/v2/organizations/acme/audit_events", Value::Null).await.json();
    assert_eq!(events[0]["data"], json!({"rate_limit_per_minute": {"before": 9, "after": 0}}));
    house.close().await;
}

#[tokio::test]
async fn what_is_no_limit_is_refused_and_changes_nothing() {
    let house = House::open(PORTALS, Shape::Up, &[]).await;
    house.organization("acme", json!({})).await;
    house.portal("acme", "door", DOCUMENT, json!({"rate_limit_per_minute": 5})).await;
    let tokens = format!("{DOOR}/tokens");
    let portals = "/v2/organizations/acme/portals";
    for (wrong, expected) in [
        (json!(-1), "must be a whole number of at least 0"),
        (json!(0.5), "must be a whole number of at least 0"),
        (json!("5"), "must be a whole number of at least 0"),
        (json!([5]), "must be a whole number of at least 0"),
        (json!(1_000_001), "must be 0 to 1000000"),
        (json!(4_294_967_296_u64), "must be 0 to 1000000"),
        (json!(4_294_967_301_u64), "must be 0 to 1000000"),
    ] {
        for (method, path) in [(Method::PUT, DOOR), (Method::POST, &tokens), (Method::POST, portals)] {
            let body = json!({"name": "Another", "query": DOCUMENT, "rate_limit_per_minute": wrong});
            let refused = house.manage(method, path, body).await.expect(422).json();
            let expected = format!("Validation failed: rate_limit_per_minute {expected}");
            let message = refused["message"].as_str().unwrap();
            assert_eq!(message.trim_end_matches(", or null"), expected, "{wrong}");
        }
    }
    let listed = house.manage(Method::GET, portals, Value::Null).await.expect(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!((&listed[0]["rate_limit_per_minute"], &listed[0]["revision"]), (&json!(5), &json!(1)));
    assert_eq!(house.manage(Method::GET, &tokens, Value::Null).await.json().as_array().unwrap().len(), 1);
    house.close().await;
}
