//! How often the management may be asked, and what those do who have asked too often.

use crate::PORTALS;
use house::{ADMIN_TOKEN, House, Shape};
use http::Method;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::Command,
};

#[tokio::test]
async fn an_access_token_has_the_requests_of_a_minute_that_the_operator_grants() {
    let house = House::open(PORTALS, Shape::Split { edges: 2 }, &["--rest-rate-limit", "2"]).await;
    for left in ["1", "0"] {
        let reply = house.manage(Method::GET, "/v2/organizations", Value::Null).await.expect(200);
        assert_eq!((reply.header("ratelimit-remaining"), reply.header("ratelimit-scope")), (left, "rest"));
    }

    let reply = house.manage(Method::GET, "/v2/organizations", Value::Null).await.expect(429);

    assert_eq!(reply.json()["message"], "the access token has used up its 2 requests of this minute");
    let (wait, limit) = (reply.header("retry-after"), reply.header("ratelimit-limit"));
    assert!((1..=60).contains(&wait.parse().unwrap()), "{wait}");
    assert_eq!(limit, "2");
    let authorization = format!("Bearer {ADMIN_TOKEN}");
    let headers = [("authorization", authorization.as_str())];
    let url = house.url_at(1, "/v2/organizations");
    house.client.send(Method::GET, &url, &headers, "").await.unwrap().expect(200);
    house.close().await;
}

/// Answers one connection after the other with these, and tells what was asked.
async fn answers(listener: TcpListener, replies: &[&str]) -> Vec<String> {
    let mut asked = Vec::new();
    for reply in replies {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        asked.push(String::from_utf8(head).unwrap().lines().next().unwrap().to_owned());
        stream.write_all(reply.as_bytes()).await.unwrap();
    }
    asked
}

#[tokio::test]
async fn the_command_line_goes_on_when_the_next_minute_begins() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = |status: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             RateLimit-Scope: rest\r\nRetry-After: 0\r\nConnection: close\r\n\r\n{body}"
        )
    };
    let (limited, page) = (answer("429 Too Many Requests", r#"{"message":"wait"}"#), answer("200 OK", "[]"));
    let mut command = Command::new(PORTALS);
    command.args(["org", "list"]).env_clear().env("PORTALS_URL", url).env("PORTALS_TOKEN", ADMIN_TOKEN);

    let replies = [&*limited, &*limited, &*page];
    let (output, asked) = tokio::join!(command.output(), answers(listener, &replies));

    assert!(output.unwrap().status.success());
    assert_eq!(asked, ["GET /v2/organizations?per_page=100&page=1 HTTP/1.1"; 3]);
}
