//! Any part may die at any moment.

use crate::PORTALS;
use house::{House, Shape};
use serde_json::{Value, json};

const DOCUMENT: &str = "query Who { viewer { user { name } } }";

#[tokio::test]
async fn a_call_works_while_the_registry_is_down_and_nothing_is_lost_when_it_is_back() {
    let mut house = House::open(PORTALS, Shape::Split { edges: 1 }, &[]).await;
    house.organization("acme", json!({"rate_limit_per_minute": 0})).await;
    let token = house.portal("acme", "door", DOCUMENT, Value::Null).await;
    let stranger = house.portal("acme", "other", DOCUMENT, Value::Null).await;
    house.call("acme", "door", &token, "{}").await.expect(200);

    house.registry.kill().await;
    for _ in 0..20 {
        house.call("acme", "door", &token, "{}").await.expect(200);
    }
    let reply = house.call("acme", "other", &stranger, "{}").await.expect_fault(503, "REGISTRY_UNAVAILABLE");
    assert!(!reply.header("retry-after").is_empty());

    house.restart_registry().await;
    house.call("acme", "door", &token, "{}").await.expect(200);
    house::until("the edge has found the registry again", || async {
        house.call("acme", "other", &stranger, "{}").await.status == 200
    })
    .await;
    house.close().await;
}

#[tokio::test]
async fn without_staleness_nothing_is_let_in_when_the_registry_is_down() {
    let mut house = House::open(PORTALS, Shape::Split { edges: 1 }, &["--max-staleness", "0"]).await;
    house.organization("acme", json!({"rate_limit_per_minute": 0})).await;
    let token = house.portal("acme", "door", DOCUMENT, Value::Null).await;
    house.call("acme", "door", &token, "{}").await.expect(200);
    house.registry.kill().await;
    house::until("the lease has run out", || async {
        let reply = house.call("acme", "door", &token, "{}").await;
        reply.status == 503 && reply.code() == "REGISTRY_UNAVAILABLE"
    })
    .await;
    house.restart_registry().await;
    house::until("the lease is back", || async {
        house.call("acme", "door", &token, "{}").await.status == 200
    })
    .await;
    house.close().await;
}

#[tokio::test]
async fn a_killed_executor_fails_its_own_calls_alone_and_is_found_again() {
    let mut house = House::open(PORTALS, Shape::Split { edges: 1 }, &[]).await;
    house.organization("acme", json!({"rate_limit_per_minute": 0})).await;
    let token = house.portal("acme", "door", DOCUMENT, Value::Null).await;
    house.call("acme", "door", &token, "{}").await.expect(200);

    house.executor.as_mut().unwrap().kill().await;
    let reply = house.call("acme", "door", &token, "{}").await.expect_fault(503, "EXECUTOR_UNAVAILABLE");
    assert!(!reply.header("retry-after").is_empty());
    house.restart_executor().await;
    house.call("acme", "door", &token, "{}").await.expect(200);
    house.close().await;
}

#[tokio::test]
async fn a_killed_edge_and_a_killed_house_lose_nothing() {
    let mut split = House::open(PORTALS, Shape::Split { edges: 1 }, &[]).await;
    split.organization("acme", json!({})).await;
    let token = split.portal("acme", "door", DOCUMENT, Value::Null).await;
    split.edges[0].kill().await;
    split.restart_edge(0).await;
    split.call("acme", "door", &token, "{}").await.expect(200);
    split.close().await;

    let mut up = House::open(PORTALS, Shape::Up, &[]).await;
    up.organization("acme", json!({})).await;
    let token = up.portal("acme", "door", DOCUMENT, Value::Null).await;
    up.registry.kill().await;
    up.restart_registry().await;
    up.call("acme", "door", &token, "{}").await.expect(200);
    up.close().await;
}

#[tokio::test]
async fn a_call_in_flight_is_finished_before_the_house_closes() {
    let house = House::open(PORTALS, Shape::Up, &[]).await;
    house.organization("acme", json!({})).await;
    let token = house.portal("acme", "door", DOCUMENT, Value::Null).await;
    house.upstream.hold();
    let call = house.call("acme", "door", &token, "{}");
    let stop = async {
        house::until("the call has reached the upstream", || async { house.upstream.calls() == 1 }).await;
        house.registry.signal(rustix::process::Signal::TERM);
        house::until("no new connection is taken", || async {
            tokio::net::TcpStream::connect(house.public()).await.is_err()
        })
        .await;
        house.upstream.release();
    };
    let (reply, ()) = tokio::join!(call, stop);
    reply.expect(200);
    let mut house = house;
    assert!(house.registry.ended().await.success());
}
