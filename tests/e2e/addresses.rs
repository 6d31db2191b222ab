//! From where a portal may be called.

use crate::PORTALS;
use house::{House, Shape};
use http::Method;
use serde_json::json;

const DOCUMENT: &str = "query Who { viewer { user { name } } }";

#[tokio::test]
async fn the_clients_address_is_the_right_most_that_no_trusted_proxy_has() {
    let house = House::open(PORTALS, Shape::Up, &["--trusted-proxies", "127.0.0.0/8 10.0.0.0/8"]).await;
    house.organization("acme", json!({"rate_limit_per_minute": 0})).await;
    let allowed = json!({"allowed_ip_addresses": "192.0.2.1/32 2001:db8::/32"});
    let token = house.portal("acme", "door", DOCUMENT, allowed).await;
    let authorization = format!("Bearer {token}");
    let url = house.url("/organizations/acme/portals/door");
    for (name, value, status, code) in [
        ("x-forwarded-for", "192.0.2.1", 200, ""),
        ("x-forwarded-for", "::ffff:192.0.2.1", 200, ""),
        ("x-forwarded-for", "2001:db8::7", 200, ""),
        ("x-forwarded-for", "203.0.113.9, 192.0.2.1, 10.1.2.3", 200, ""),
        ("x-forwarded-for", "192.0.2.1, 203.0.113.9", 403, "IP_NOT_ALLOWED"),
        ("x-forwarded-for", "192.0.2.1, nonsense", 400, "BAD_REQUEST"),
        ("forwarded", "for=192.0.2.1;proto=https", 200, ""),
        ("forwarded", "for=\"[2001:db8::7]:4711\"", 200, ""),
        ("forwarded", "for=203.0.113.9", 403, "IP_NOT_ALLOWED"),
        ("x-other", "192.0.2.1", 403, "IP_NOT_ALLOWED"),
    ] {
        let headers =
            [("authorization", authorization.as_str()), ("content-type", "application/json"), (name, value)];
        let reply = house.client.send(Method::POST, &url, &headers, "{}").await.unwrap();
        assert_eq!(reply.status.as_u16(), status, "{name}: {value}");
        if !code.is_empty() {
            assert_eq!(reply.code(), code, "{name}: {value}");
        }
    }
    house.close().await;
}

#[tokio::test]
async fn a_stranger_cannot_name_an_address_of_its_own() {
    let house = House::open(PORTALS, Shape::Up, &[]).await;
    house.organization("acme", json!({})).await;
    let token = house.portal("acme", "door", DOCUMENT, json!({"allowed_ip_addresses": "192.0.2.1"})).await;
    let authorization = format!("Bearer {token}");
    let url = house.url("/organizations/acme/portals/door");
    for name in ["x-forwarded-for", "forwarded", "x-real-ip"] {
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            (name, "192.0.2.1"),
        ];
        house
            .client
            .send(Method::POST, &url, &headers, "{}")
            .await
            .unwrap()
            .expect_fault(403, "IP_NOT_ALLOWED");
    }
    assert_eq!(house.upstream.calls(), 0);
    house.close().await;
}
