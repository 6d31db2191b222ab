//! Identical queries in flight, from outside: one request upstream, an answer for each, and each one counted.

use crate::PORTALS;
use house::{House, Shape, until};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const DOCUMENT: &str = "query Q($n: Int) { a(n: $n) }";
const PORTAL: &str = "/v2/organizations/acme/portals/door";

#[tokio::test]
async fn identical_queries_in_flight_of_one_token_are_sent_once_where_the_portal_says_so() {
    // Calls share on the thread that reads them.
    let house = House::open(PORTALS, Shape::Up, &["--threads", "1"]).await;
    house.organization("acme", Value::Null).await;
    let token = house.portal("acme", "door", DOCUMENT, json!({"coalesce": true})).await;
    let made = house.manage(Method::POST, &format!("{PORTAL}/tokens"), json!({})).await.expect(201).json();
    let other = made["token"].as_str().unwrap();
    assert_eq!(house.manage(Method::GET, PORTAL, Value::Null).await.expect(200).json()["coalesce"], true);

    house.upstream.hold();
    let call = |token, variables| house.call("acme", "door", token, variables);
    let same = || call(&token, r#"{"n":1}"#);
    let calls = async {
        tokio::join!(same(), same(), same(), same(), call(&token, r#"{"n":2}"#), call(other, r#"{"n":1}"#))
    };
    let release = async {
        until("all are sent or wait", || async {
            house.upstream.calls() == 3 && coalesced(&house).await == 3
        })
        .await;
        house.upstream.release();
    };
    let ((one, two, three, four, five, six), ()) = tokio::join!(calls, release);
    let remaining: BTreeSet<_> = [one, two, three, four, five, six]
        .into_iter()
        .map(|reply| reply.expect(200).header("ratelimit-remaining").to_owned())
        .collect();
    assert_eq!(remaining.len(), 6, "each is counted: {remaining:?}");
    assert_eq!(house.upstream.take().len(), 3);

    house.manage(Method::PUT, PORTAL, json!({"coalesce": false})).await.expect(200);
    house.upstream.hold();
    let release = async {
        until("both are sent", || async { house.upstream.calls() == 2 }).await;
        house.upstream.release();
    };
    let (one, two, ()) = tokio::join!(same(), same(), release);
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (200, 200));
    house.close().await;
}

/// How many calls have waited for what another fetched.
async fn coalesced(house: &House) -> u64 {
    let metrics = house.metrics().await;
    let line = metrics.lines().find_map(|line| line.strip_prefix("portals_executor_coalesced_total "));
    line.map_or(0, |count| count.parse().unwrap())
}
