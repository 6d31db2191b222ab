//! The contract's table of upstream failures, each row against a real server that misbehaves so, each followed
//! by a good call through the same executor.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that fails ends here"
)]

mod support;

use bytes::Bytes;
use model::Reason;
use std::time::{Duration, Instant};
use support::{
    CREDENTIAL, House, MUTATION, QUERY, collect,
    upstream::{Act, GOOD, Upstream, ok, reply},
};
use tokio::net::TcpListener;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Every row but those that need more than one reply to show.
fn rows() -> Vec<(&'static str, Act, Reason)> {
    use Reason::{
        UpstreamError, UpstreamInvalidResponse, UpstreamRateLimited, UpstreamUnauthorized,
        UpstreamUnreachable,
    };
    let write = |status: &str, fields: &str, body: &str| Act::Write(reply(status, fields, body));
    let partial = |text: &str| text.as_bytes().to_vec();
    vec![
        ("closes without a word", Act::Close(Vec::new()), UpstreamUnreachable),
        ("resets without a word", Act::Reset(Vec::new()), UpstreamUnreachable),
        ("closes within the head", Act::Close(partial("HTTP/1.1 200 OK\r\nConte")), UpstreamUnreachable),
        ("speaks no HTTP", Act::Close(partial("SSH-2.0-OpenSSH_9.6\r\n")), UpstreamUnreachable),
        (
            "closes within the body",
            Act::Close(partial("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":")),
            UpstreamUnreachable,
        ),
        (
            "resets within the body",
            Act::Reset(partial("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":")),
            UpstreamUnreachable,
        ),
        (
            "leaves the last chunk out",
            Act::Close(format!("{CHUNKED}8\r\n{{\"data\":\r\n").into_bytes()),
            UpstreamUnreachable,
        ),
        ("500", write("500 Internal Server Error", "", GOOD), UpstreamError),
        ("501", write("501 Not Implemented", "", ""), UpstreamError),
        ("503", write("503 Service Unavailable", "", "<html>"), UpstreamError),
        ("404 in HTML", write("404 Not Found", "Content-Type: text/html\r\n", "<html>"), UpstreamError),
        ("400 in other JSON", write("400 Bad Request", "", r#"{"message":"no"}"#), UpstreamError),
        ("422 without a body", write("422 Unprocessable Entity", "", ""), UpstreamError),
        ("401", write("401 Unauthorized", "", r#"{"errors":[]}"#), UpstreamUnauthorized),
        ("403", write("403 Forbidden", "", ""), UpstreamUnauthorized),
        ("407", write("407 Proxy Authentication Required", "", ""), UpstreamUnauthorized),
        ("429", write("429 Too Many Requests", "Retry-After: 7\r\n", ""), UpstreamRateLimited),
        ("HTML", write("200 OK", "Content-Type: text/html\r\n", "<html></html>"), UpstreamInvalidResponse),
        ("nothing", write("200 OK", "", ""), UpstreamInvalidResponse),
        ("204", Act::Write(partial("HTTP/1.1 204 No Content\r\n\r\n")), UpstreamInvalidResponse),
        ("space without end", write("200 OK", "", &" ".repeat(1 << 20)), UpstreamInvalidResponse),
        ("half of its JSON", write("200 OK", "", r#"{"data":{"a":"#), UpstreamInvalidResponse),
        ("an array", write("200 OK", "", r#"[{"data":{}}]"#), UpstreamInvalidResponse),
        ("another object", write("200 OK", "", r#"{"ok":true}"#), UpstreamInvalidResponse),
        ("more than one text", write("200 OK", "", r#"{"data":{}}{}"#), UpstreamInvalidResponse),
        ("no gzip", write("200 OK", "Content-Encoding: gzip\r\n", GOOD), UpstreamInvalidResponse),
        ("no brotli", write("200 OK", "Content-Encoding: br\r\n", "\u{7f}\u{7f}"), UpstreamInvalidResponse),
        ("no zstd", write("200 OK", "Content-Encoding: zstd\r\n", GOOD), UpstreamInvalidResponse),
        ("unasked deflate", write("200 OK", "Content-Encoding: deflate\r\n", GOOD), UpstreamInvalidResponse),
    ]
}

#[tokio::test]
async fn every_failure_has_its_reason_and_leaves_the_next_call_alone() {
    let house = House::open();
    for (name, act, reason) in rows() {
        let upstream = Upstream::start([act]).await;
        let grant = house.grant(MUTATION, &upstream.url);
        let fault = house.refused(&grant).await;
        assert_eq!(fault.reason(), reason, "{name}: {fault:?}");
        assert!(!fault.message().contains("html"), "{name}: {}", fault.message());
        assert_eq!(house.good(&grant).await, GOOD, "{name}");
        assert_eq!(upstream.calls(), 2, "{name}");
    }
}

#[tokio::test]
async fn a_wait_that_the_upstream_asks_for_is_passed_on() {
    let act = Act::Write(reply("429 Too Many Requests", "Retry-After: 7\r\n", ""));
    let upstream = Upstream::start([act]).await;
    let house = House::open();
    let fault = house.refused(&house.grant(QUERY, &upstream.url)).await;
    assert_eq!((fault.reason(), fault.wait()), (Reason::UpstreamRateLimited, Some(Duration::from_secs(7))));
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let house = House::open();
    for document in [QUERY, MUTATION] {
        assert_eq!(house.refused(&house.grant(document, &url)).await.reason(), Reason::UpstreamUnreachable);
    }
    let grant = house.grant(QUERY, "http://no-such-host.invalid/");
    assert_eq!(house.refused(&grant).await.reason(), Reason::UpstreamUnreachable);
}

#[tokio::test]
async fn a_connection_that_is_never_made_is_given_up() {
    // Accepts nothing and speaks no TLS: the handshake hangs.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let house = House::open_with(|config| config.connect_timeout = Duration::from_millis(100));
    let fault = house.refused(&house.grant(MUTATION, &url)).await;
    assert_eq!(fault.reason(), Reason::UpstreamUnreachable, "{fault:?}");
}

#[tokio::test]
async fn an_upstream_that_hangs_is_left_in_time() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":".to_vec();
    let house = House::open();
    for act in [Act::Hang(Vec::new()), Act::Hang(b"HTTP/1.1 200 OK\r\n".to_vec()), Act::Hang(head)] {
        let upstream = Upstream::start([act]).await;
        let grant = house.grant(QUERY, &upstream.url).timeout(Duration::from_millis(200));
        let began = Instant::now();
        assert_eq!(house.refused(&grant).await.reason(), Reason::UpstreamTimeout);
        assert!(began.elapsed() < Duration::from_secs(5));
        upstream.until_left(1).await;
        assert_eq!(house.good(&house.grant(QUERY, &upstream.url)).await, GOOD);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Upstream::start([]).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("Location: {}\r\n", elsewhere.url);
        let upstream = Upstream::start([Act::Write(reply(status, &location, ""))]).await;
        let house = House::open();
        let fault = house.refused(&house.grant(QUERY, &upstream.url)).await;
        assert_eq!(fault.reason(), Reason::UpstreamError);
        assert!(!fault.message().contains(&elsewhere.url));
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_4xx_with_a_graphql_body_passes_with_its_status() {
    let body = r#"{"errors":[{"message":"no such field"}]}"#;
    let upstream = Upstream::start([Act::Write(reply("400 Bad Request", "", body))]).await;
    let house = House::open();
    let answer = house.call(&house.grant(QUERY, &upstream.url)).await.unwrap();
    assert_eq!(answer.status, 400);
    assert_eq!(collect(answer.body).await.unwrap(), body);
}

#[tokio::test]
async fn a_query_is_tried_twice_and_a_mutation_never() {
    let house = House::open();
    for act in [
        Act::Close(Vec::new()),
        Act::Write(reply("502 Bad Gateway", "", "")),
        Act::Write(reply("503 Service Unavailable", "", "")),
        Act::Write(reply("504 Gateway Timeout", "", "")),
    ] {
        let upstream = Upstream::start([act.clone()]).await;
        assert_eq!(house.good(&house.grant(QUERY, &upstream.url)).await, GOOD);
        assert_eq!(upstream.calls(), 2);
        let upstream = Upstream::start([act.clone()]).await;
        house.refused(&house.grant(MUTATION, &upstream.url)).await;
        assert_eq!(upstream.calls(), 1);
        let upstream = Upstream::start([act.clone(), act]).await;
        house.refused(&house.grant(QUERY, &upstream.url)).await;
        assert_eq!(upstream.calls(), 2);
    }
    let upstream = Upstream::start([Act::Write(reply("500 Internal Server Error", "", ""))]).await;
    house.refused(&house.grant(QUERY, &upstream.url)).await;
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_meanwhile_fails_no_mutation() {
    let house = House::open();
    let upstream = Upstream::start([Act::Close(ok(GOOD)), Act::Close(ok(GOOD))]).await;
    let grant = house.grant(MUTATION, &upstream.url);
    for calls in 1..=3 {
        assert_eq!(house.good(&grant).await, GOOD);
        assert_eq!(upstream.calls(), calls);
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused_however_it_is_framed() {
    let house = House::open_with(|config| config.max_response_bytes = 300 << 10);
    let declared = Act::Hang(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n".to_vec());
    let upstream = Upstream::start([declared]).await;
    let grant = house.grant(QUERY, &upstream.url);
    assert_eq!(house.refused(&grant).await.reason(), Reason::UpstreamResponseTooLarge);
    upstream.until_left(1).await;

    let first = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"data\":\"".to_vec();
    upstream.script([Act::Stream(first, vec![b'x'; 64 << 10], 1000)]);
    let answer = house.call(&grant).await.unwrap();
    let fault = collect(answer.body).await.unwrap_err();
    assert_eq!(fault.reason(), Reason::UpstreamResponseTooLarge);
    assert_eq!(house.good(&grant).await, GOOD);

    let small = House::open_with(|config| config.max_response_bytes = 10);
    let grant = small.grant(QUERY, &upstream.url);
    assert_eq!(small.refused(&grant).await.reason(), Reason::UpstreamResponseTooLarge);
}

#[tokio::test]
async fn a_stream_that_breaks_says_so_at_its_end() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n{\"data\":\"".to_vec();
    let body = [head, vec![b'x'; 400 << 10]].concat();
    let house = House::open();
    for (act, reason) in
        [(Act::Close(body.clone()), Reason::UpstreamUnreachable), (Act::Hang(body), Reason::UpstreamTimeout)]
    {
        let upstream = Upstream::start([act]).await;
        let grant = house.grant(QUERY, &upstream.url).timeout(Duration::from_millis(500));
        let answer = house.call(&grant).await.unwrap();
        assert_eq!(collect(answer.body).await.unwrap_err().reason(), reason);
        assert_eq!(house.good(&house.grant(QUERY, &upstream.url)).await, GOOD);
    }
}

#[tokio::test]
async fn an_answer_with_the_credential_in_it_is_withheld() {
    let echo = format!(r#"{{"data":{{"headers":"Bearer {CREDENTIAL}"}}}}"#);
    let long = format!(r#"{{"data":"{}{CREDENTIAL}"}}"#, "x".repeat(400 << 10));
    let upstream = Upstream::start([Act::Write(ok(&echo)), Act::Write(ok(&long))]).await;
    let house = House::open();
    let grant = house.grant(QUERY, &upstream.url);
    let fault = house.refused(&grant).await;
    assert_eq!(fault.reason(), Reason::UpstreamInvalidResponse);
    assert!(!format!("{fault:?}").contains(CREDENTIAL));

    let answer = house.call(&grant).await.unwrap();
    let proto::Body::Stream(mut stream) = answer.body else { panic!("a long answer is streamed") };
    let mut passed: Vec<Bytes> = Vec::new();
    let fault = loop {
        match stream.recv().await.expect("a fault is the last item") {
            Ok(chunk) => passed.push(chunk),
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault.reason(), Reason::UpstreamInvalidResponse);
    assert!(!String::from_utf8(passed.concat()).unwrap().contains("canary"));
}
