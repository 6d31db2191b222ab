//! What a caller may send, and what it is told when it sends something else.

use crate::PORTALS;
use house::{House, Reply, Shape};
use http::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const DOCUMENT: &str = "query Q($n: Int, $id: ID, $tags: [String!], $big: BigInt, $must: Boolean = true) {
  a(n: $n, id: $id, tags: $tags, big: $big, must: $must)
}";

struct Door {
    house: House,
    token: String,
}

impl Door {
    async fn open() -> Self {
        let house = House::open(PORTALS, Shape::Up, &[]).await;
        house.organization("acme", json!({"rate_limit_per_minute": 0})).await;
        let token = house.portal("acme", "door", DOCUMENT, Value::Null).await;
        Self { house, token }
    }

    async fn send(
        &self,
        method: Method,
        query: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> Reply {
        let authorization = format!("Bearer {}", self.token);
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend_from_slice(headers);
        let url = self.house.url(&format!("/organizations/acme/portals/door{query}"));
        self.house.client.send(method, &url, &all, body).await.expect("the edge answers")
    }

    async fn post(&self, body: impl Into<bytes::Bytes>) -> Reply {
        self.send(Method::POST, "", &[("content-type", "application/json")], body).await
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused_before_the_upstream_hears_of_it() {
    let door = Door::open().await;
    let deep = format!("{{\"big\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let bodies: Vec<Vec<u8>> = vec![
        b"[]".to_vec(),
        b"null".to_vec(),
        b"1".to_vec(),
        b"\"x\"".to_vec(),
        b"{".to_vec(),
        b"{} {}".to_vec(),
        b"{\"n\":1,}".to_vec(),
        b"{\"n\":1,\"n\":2}".to_vec(),
        b"{\"n\":01}".to_vec(),
        b"{\"id\":\"\xff\"}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{'n':1}".to_vec(),
        b"n=1".to_vec(),
        b" ".to_vec(),
        b"\r\n".to_vec(),
        deep.into_bytes(),
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body).into_owned();
        let reply = door.post(body).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, "BAD_REQUEST"), "{shown}");
    }
    let large = format!("{{\"id\":\"{}\"}}", "x".repeat(1 << 20));
    door.post(large).await.expect_fault(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(door.house.upstream.calls(), 0);
    door.house.close().await;
}

#[tokio::test]
async fn what_is_sent_reaches_the_upstream_digit_for_digit() {
    let door = Door::open().await;
    let number = "1234567890123456789012345678901234567890";
    let body = format!(r#"{{"big":{number},"n":3,"id":42,"tags":"one"}}"#);
    door.post(body).await.expect(200);
    let heard = door.house.upstream.take().pop().unwrap();
    let text = String::from_utf8(heard.body.to_vec()).unwrap();
    assert!(text.contains(number), "{text}");
    let sent = heard.json();
    assert_eq!(sent["variables"]["tags"], json!(["one"]), "a single value is a list of one");
    assert_eq!(sent["variables"]["must"], json!(true), "defaults are applied");
    assert_eq!(sent["variables"]["id"], json!(42));

    for empty in ["", "{}", " {} "] {
        door.post(empty).await.expect(200);
    }
    door.send(Method::POST, "", &[], "").await.expect(200);
    door.house.close().await;
}

#[tokio::test]
async fn every_bad_variable_is_named_with_what_was_expected() {
    let door = Door::open().await;
    let reply = door.post(r#"{"n":2147483648,"tags":["a",null],"must":"yes","idd":"x"}"#).await;
    let errors = reply.expect_fault(422, "VARIABLES_INVALID").json()["errors"].as_array().unwrap().clone();
    let of = |variable: &str| {
        errors.iter().find(|error| error["extensions"]["variable"] == variable).expect("it is named").clone()
    };
    assert_eq!(errors.len(), 4, "{errors:?}");
    assert_eq!(of("n")["extensions"]["path"], json!(["n"]));
    assert_eq!(of("tags")["extensions"]["path"], json!(["tags", 1]));
    assert!(of("must")["message"].as_str().unwrap().contains("Boolean"));
    assert!(
        of("idd")["message"].as_str().unwrap().contains("`id`")
            || of("idd")["message"].as_str().unwrap().contains("$id")
    );
    assert!(errors.iter().all(|error| error["extensions"]["code"] == "VARIABLES_INVALID"));
    assert_eq!(door.house.upstream.calls(), 0);
    door.house.close().await;
}

#[tokio::test]
async fn undeclared_variables_of_a_webhook_are_left_out_and_named() {
    let door = Door::open().await;
    let token = door.house.portal("acme", "hook", DOCUMENT, json!({"extra_variables": "ignore"})).await;
    let reply =
        door.house.call("acme", "hook", &token, r#"{"n":1,"zen":"x","hook":{"id":1}}"#).await.expect(200);
    assert_eq!(reply.header("portal-ignored-variables"), "zen, hook");
    let sent = door.house.upstream.take().pop().unwrap().json();
    assert_eq!(sent["variables"], json!({"n": 1, "must": true}));
    door.house.close().await;
}

#[tokio::test]
async fn a_key_of_the_body_is_a_variable_and_nothing_else() {
    let door = Door::open().await;
    let body = r#"{"query":"{ secrets }","operationName":"X","variables":{},"extensions":{}}"#;
    let reply = door.post(body).await.expect_fault(422, "VARIABLES_INVALID");
    assert_eq!(reply.json()["errors"].as_array().unwrap().len(), 4);
    door.house.close().await;
}

#[tokio::test]
async fn other_methods_media_types_and_routes_are_told_so() {
    let door = Door::open().await;
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let reply = door.send(method, "", &[], "").await.expect_fault(405, "METHOD_NOT_ALLOWED");
        assert_eq!(reply.header("allow"), "POST");
    }
    for media in
        ["text/plain", "application/x-www-form-urlencoded", "application/graphql", "application/jsonx"]
    {
        let reply = door.send(Method::POST, "", &[("content-type", media)], "{}").await;
        reply.expect_fault(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    door.send(Method::POST, "", &[], "{}").await.expect_fault(415, "UNSUPPORTED_MEDIA_TYPE");
    let charset = [("content-type", "Application/JSON; charset=utf-8")];
    door.send(Method::POST, "", &charset, "{}").await.expect(200);
    for path in ["/", "/organizations", "/organizations/acme", "/organizations/acme/portals/door/more", "/x"]
    {
        let reply = door.house.client.send(Method::POST, &door.house.url(path), &[], "").await.unwrap();
        reply.expect_fault(404, "NOT_FOUND");
    }
    let json = [("content-type", "application/json")];
    let reply = door.send(Method::POST, "?operation_name=Q&operation_name=Q", &json, "{}").await;
    reply.expect_fault(400, "BAD_REQUEST");
    door.send(Method::POST, "?operation_name=", &json, "{}").await.expect(200);
    door.send(Method::POST, "?operation_name=Q", &json, "{}").await.expect(200);
    let reply = door.send(Method::POST, "?operation_name=q", &json, "{}").await;
    let reply = reply.expect_fault(422, "OPERATION_NOT_FOUND");
    assert_eq!(reply.json()["errors"][0]["extensions"]["operations"], json!(["Q"]));
    door.house.close().await;
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let door = Door::open().await;
    let json = [("content-type", "application/json"), ("x-request-id", "my-id-7")];
    let reply = door.send(Method::POST, "", &json, "{}").await.expect(200);
    assert_eq!(reply.header("x-request-id"), "my-id-7");
    assert_eq!(reply.header("cache-control"), "no-store");
    let graphql = [("content-type", "application/json"), ("accept", "application/graphql-response+json")];
    let reply = door.send(Method::POST, "", &graphql, "{}").await.expect(200);
    assert!(reply.header("content-type").starts_with("application/graphql-response+json"));
    assert_eq!(reply.header("x-request-id").len(), 36);

    let none = door
        .house
        .client
        .send(Method::POST, &door.house.url("/organizations/acme/portals/door"), &[], "")
        .await;
    let none = none.unwrap().expect_fault(401, "UNAUTHENTICATED");
    assert_eq!(none.header("www-authenticate"), r#"Bearer realm="portals""#);
    assert_eq!(none.header("ratelimit-limit"), "");
    door.house.close().await;
}

#[tokio::test]
async fn the_rate_limit_counts_an_organization_over_all_its_portals() {
    let house = House::open(PORTALS, Shape::Up, &[]).await;
    house.organization("acme", json!({"rate_limit_per_minute": 5})).await;
    let one = house.portal("acme", "one", DOCUMENT, Value::Null).await;
    let two = house.portal("acme", "two", DOCUMENT, Value::Null).await;
    house.call("acme", "one", "ptk_nobody", "{}").await.expect(401);
    for remaining in (0..5).rev() {
        let (portal, token) = if remaining % 2 == 0 { ("one", &one) } else { ("two", &two) };
        let reply = house.call("acme", portal, token, "{}").await.expect(200);
        assert_eq!(reply.header("ratelimit-limit"), "5");
        assert_eq!(reply.header("ratelimit-remaining"), remaining.to_string());
        assert!((1..=60).contains(&reply.header("ratelimit-reset").parse::<u32>().unwrap()));
    }
    let reply = house.call("acme", "two", &two, "{}").await.expect_fault(429, "RATE_LIMITED");
    assert_eq!(reply.header("ratelimit-remaining"), "0");
    assert_eq!(reply.header("retry-after"), reply.header("ratelimit-reset"));
    assert_eq!(house.upstream.calls(), 5);
    house.close().await;
}

#[tokio::test]
async fn headers_that_are_too_large_and_requests_with_two_lengths_are_refused() {
    let door = Door::open().await;
    let large = "x".repeat(20 << 10);
    let reply =
        door.send(Method::POST, "", &[("content-type", "application/json"), ("x-large", &large)], "{}").await;
    reply.expect_fault(431, "HEADERS_TOO_LARGE");
    assert_eq!(door.house.upstream.calls(), 0);
    door.house.close().await;
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_refused_in_the_same_words_as_any_other() {
    let door = Door::open().await;
    let begin = format!(
        "POST /organizations/acme/portals/door HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\n",
        door.token
    );
    let large = "x".repeat(70 << 10);
    let many: String = (0..300).map(|number| format!("x-{number}: 1\r\n")).collect();
    for (head, status, code) in [
        (format!("{begin}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"), 400, "BAD_REQUEST"),
        (format!("{begin}Content-Length: two\r\n\r\n"), 400, "BAD_REQUEST"),
        (format!("{begin}folded: 1\r\n 2\r\n\r\n"), 400, "BAD_REQUEST"),
        ("\u{16}\u{3}\u{1} TLS, perhaps\r\n\r\n".to_owned(), 400, "BAD_REQUEST"),
        (format!("{begin}{many}\r\n"), 431, "HEADERS_TOO_LARGE"),
        (format!("{begin}x-large: {large}\r\n\r\n"), 431, "HEADERS_TOO_LARGE"),
        (format!("POST /{large} HTTP/1.1\r\nHost: x\r\n\r\n"), 431, "HEADERS_TOO_LARGE"),
    ] {
        let mut stream = TcpStream::connect(door.house.public()).await.unwrap();
        // The answer may come before all is written.
        let _end = stream.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let _end = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let shown: String = head.chars().take(60).collect();
        let (fields, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{shown}: {answer}"));
        assert!(fields.starts_with(&format!("HTTP/1.1 {status} ")), "{shown}: {answer}");
        for field in ["x-request-id: ", "cache-control: no-store", "connection: close", "date: "] {
            assert!(fields.contains(&format!("\r\n{field}")), "{shown}: {answer}");
        }
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["errors"][0]["extensions"]["code"], code, "{shown}");
    }
    assert_eq!(door.house.upstream.calls(), 0);
    door.house.close().await;
}

#[tokio::test]
async fn a_length_beside_a_chunked_body_counts_for_nothing_and_ends_the_connection() {
    let door = Door::open().await;
    let request = format!(
        "POST /organizations/acme/portals/door HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        door.token
    );
    let mut stream = TcpStream::connect(door.house.public()).await.unwrap();
    let twice = format!("{request}0\r\n\r\n{request}0\r\n\r\n");
    stream.write_all(twice.as_bytes()).await.unwrap();
    let mut answers = Vec::new();
    // A connection that is closed upon what it has not read ends in a reset as well.
    let _end = stream.read_to_end(&mut answers).await;
    let answers = String::from_utf8(answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 1, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{answers}");
    assert_eq!(door.house.upstream.calls(), 1);
    door.house.close().await;
}
