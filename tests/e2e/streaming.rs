//! Large answers and failing upstreams, seen from the caller.

use crate::PORTALS;
use bytes::Bytes;
use house::{CREDENTIAL, House, Shape};
use http::Response;
use serde_json::{Value, json};

const DOCUMENT: &str = "query Who { viewer { user { name } } }";

async fn door(shape: Shape) -> (House, String) {
    let house = House::open(PORTALS, shape, &[]).await;
    house.organization("acme", json!({"rate_limit_per_minute": 0})).await;
    let token = house.portal("acme", "door", DOCUMENT, Value::Null).await;
    (house, token)
}

#[tokio::test]
async fn answers_of_any_size_come_back_byte_for_byte() {
    for shape in [Shape::Up, Shape::Split { edges: 1 }] {
        let (house, token) = door(shape).await;
        for size in [0, 60 << 10, 64 << 10, 100 << 10, 256 << 10, 300 << 10, 5 << 20, 30 << 20] {
            let body = Bytes::from(format!("{{ \"data\" : {{\"a\":\"{}\"}}}}\n", "x".repeat(size)));
            let answer = body.clone();
            house.upstream.answers(move |_| Response::new(answer.clone()));
            let reply = house.call("acme", "door", &token, "{}").await.expect(200);
            assert!(reply.body == body, "{shape:?} {size}: {} bytes came back", reply.body.len());
        }
        house.close().await;
    }
}

#[tokio::test]
async fn an_upstream_that_fails_is_told_from_us_and_the_next_call_is_good() {
    let (house, token) = door(Shape::Split { edges: 1 }).await;
    let good = r#"{"data":{"ok":true}}"#;
    let too_large = format!("{{\"data\":\"{}\"}}", "x".repeat(33 << 20));
    for (status, body, expected, code) in [
        (200, "<html>", 502, "UPSTREAM_INVALID_RESPONSE"),
        (200, "", 502, "UPSTREAM_INVALID_RESPONSE"),
        (200, "{}", 502, "UPSTREAM_INVALID_RESPONSE"),
        (200, "[1]", 502, "UPSTREAM_INVALID_RESPONSE"),
        (200, r#"{"data":"#, 502, "UPSTREAM_INVALID_RESPONSE"),
        (200, too_large.as_str(), 502, "UPSTREAM_RESPONSE_TOO_LARGE"),
        (302, good, 502, "UPSTREAM_ERROR"),
        (400, "no", 502, "UPSTREAM_ERROR"),
        (500, good, 502, "UPSTREAM_ERROR"),
        (401, good, 502, "UPSTREAM_UNAUTHORIZED"),
        (403, good, 502, "UPSTREAM_UNAUTHORIZED"),
        (407, "", 502, "UPSTREAM_UNAUTHORIZED"),
        (429, good, 503, "UPSTREAM_RATE_LIMITED"),
    ] {
        let answer = Bytes::from(body.to_owned());
        house.upstream.answers(move |_| {
            let mut response = Response::new(answer.clone());
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
            response.headers_mut().insert("location", http::HeaderValue::from_static("http://127.0.0.1:1/"));
            response
        });
        let reply = house.call("acme", "door", &token, "{}").await;
        let shown = &body[..body.len().min(20)];
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (expected, code), "{status} {shown}");
        house.upstream.answers_json(200, json!({"data": {"ok": true}}));
        house.call("acme", "door", &token, "{}").await.expect(200);
    }
    for (status, body) in [
        (200, json!({"errors": [{"message": "no"}]})),
        (400, json!({"errors": [{"message": "no"}]})),
        (422, json!({"data": null})),
    ] {
        house.upstream.answers_json(status, body.clone());
        assert_eq!(house.call("acme", "door", &token, "{}").await.expect(status).json(), body);
    }
    house.close().await;
}

#[tokio::test]
async fn an_upstream_that_shows_its_credential_is_not_passed_on() {
    let (house, token) = door(Shape::Up).await;
    house.upstream.answers_json(200, json!({"data": {"echo": CREDENTIAL}}));
    let reply = house.call("acme", "door", &token, "{}").await.expect_fault(502, "UPSTREAM_INVALID_RESPONSE");
    house.secrets.assert_absent_in("answer", &reply.body);
    house.close().await;
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_given_up_in_time() {
    let house = House::open(PORTALS, Shape::Split { edges: 1 }, &[]).await;
    house.organization("acme", json!({"upstream_timeout_seconds": 1})).await;
    let token = house.portal("acme", "door", DOCUMENT, Value::Null).await;
    house.upstream.hold();
    house.call("acme", "door", &token, "{}").await.expect_fault(504, "UPSTREAM_TIMEOUT");
    house.upstream.release();
    house.call("acme", "door", &token, "{}").await.expect(200);
    house.close().await;
}

#[tokio::test]
async fn a_circuit_opens_after_twenty_failures_and_says_when_to_come_again() {
    let (house, token) = door(Shape::Up).await;
    house.upstream.answers_json(500, json!({"errors": []}));
    let mut calls = 0;
    loop {
        let reply = house.call("acme", "door", &token, "{}").await;
        if reply.status == 503 {
            let reply = reply.expect_fault(503, "UPSTREAM_CIRCUIT_OPEN");
            assert!((1..=5).contains(&reply.header("retry-after").parse::<u32>().unwrap()));
            break;
        }
        reply.expect_fault(502, "UPSTREAM_ERROR");
        calls += 1;
        assert!(calls <= 21, "the circuit never opened");
    }
    assert!(calls >= 20, "the circuit opened after {calls}");
    house.upstream.answers_json(200, json!({"data": {"ok": true}}));
    house::until("the circuit has closed", || async {
        house.call("acme", "door", &token, "{}").await.status == 200
    })
    .await;
    house.close().await;
}
