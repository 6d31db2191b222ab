//! Bounds: of heads, bodies, calls in flight, and what happens to callers who leave.

use crate::stage::{PATH, Reply, Stage, answer};
use axum::body::Body;
use bytes::Bytes;
use edge::Connection;
use futures_util::FutureExt;
use http::{HeaderValue, Method};
use http_body_util::BodyExt;
use model::{Fault, Reason};
use std::{
    future::ready,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{self, Instant},
};
use tokio_stream::wrappers::ReceiverStream;

type Pieces = mpsc::Sender<Result<Bytes, std::io::Error>>;

/// A body of unknown length and the hand that feeds it.
fn streamed() -> (Pieces, Body) {
    let (sender, receiver) = mpsc::channel(64);
    (sender, Body::from_stream(ReceiverStream::new(receiver)))
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_on_both_sides() {
    let stage = Stage::open();
    let long_target = format!("{PATH}?x={}", "a".repeat(17 << 10));
    let mut requests = vec![stage.request(Method::POST, &long_target, "{}")];
    let mut long_field = stage.request(Method::POST, PATH, "{}");
    long_field.headers_mut().insert("x-long", HeaderValue::from_str(&"a".repeat(17 << 10)).unwrap());
    requests.push(long_field);
    let mut many = stage.request(Method::POST, PATH, "{}");
    for _ in 0..100 {
        many.headers_mut().append("x-many", HeaderValue::from_static("1"));
    }
    requests.push(many);
    for request in requests {
        let reply = stage.ask(request).await;
        reply.assert_fault(431, "HEADERS_TOO_LARGE");
        assert!(reply.header("x-request-id").is_some());
    }
    let mut rest = stage.request(Method::GET, "/v2/organizations", "");
    rest.headers_mut().insert("x-long", HeaderValue::from_str(&"a".repeat(17 << 10)).unwrap());
    let reply = stage.ask(rest).await;
    assert_eq!((reply.status.as_u16(), reply.json()["message"].is_string()), (431, true));
}

#[tokio::test]
async fn what_others_may_read_otherwise_is_refused() {
    let stage = Stage::open();
    for (name, values) in [
        ("host", &["a", "b"][..]),
        ("transfer-encoding", &["chunked", "chunked"]),
        ("transfer-encoding", &["chunked, chunked"]),
        ("transfer-encoding", &["gzip, chunked"]),
        ("transfer-encoding", &["identity"]),
    ] {
        let mut request = stage.request(Method::POST, PATH, "{}");
        request.headers_mut().remove(name);
        for value in values {
            request.headers_mut().append(name, HeaderValue::from_static(value));
        }
        stage.ask(request).await.assert_fault(400, "BAD_REQUEST");
    }
    assert!(stage.executor.calls().is_empty());
}

#[tokio::test]
async fn a_body_is_taken_up_to_its_bound_whether_its_length_is_declared_or_not() {
    let stage = Stage::with(|config| config.max_body_bytes = 1_000);
    assert_eq!(stage.invoke("a".repeat(1_000)).await.status, 200);
    stage.invoke("a".repeat(1_001)).await.assert_fault(413, "PAYLOAD_TOO_LARGE");
    for (pieces, status) in [(10, 200), (11, 413)] {
        let (sender, body) = streamed();
        for _ in 0..pieces {
            sender.send(Ok(Bytes::from(vec![b'a'; 100]))).await.unwrap();
        }
        drop(sender);
        let reply = stage.invoke(body).await;
        assert_eq!(reply.status.as_u16(), status, "{pieces}");
    }
    let variables: Vec<_> = stage.executor.calls().into_iter().map(|call| call.variables).collect();
    assert!(variables.iter().all(|variables| variables.len() == 1_000));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_in_is_not_waited_for() {
    let stage = Stage::open();
    let (sender, body) = streamed();
    let trickle = async {
        let every = Duration::from_secs(3);
        while sender.send(Ok(Bytes::from_static(b" "))).await.is_ok() {
            time::timeout(every, sender.closed()).await.ok();
        }
    };
    let started = Instant::now();
    let (reply, ()) = tokio::join!(
        async {
            let reply = stage.invoke(body).await;
            assert!(started.elapsed() < Duration::from_secs(35));
            reply
        },
        trickle
    );
    reply.assert_fault(408, "REQUEST_TIMEOUT");
    assert_eq!(reply.header("connection"), Some("close"));
}

#[tokio::test]
async fn a_body_that_breaks_off_runs_nothing() {
    let stage = Stage::open();
    let (sender, body) = streamed();
    sender.send(Ok(Bytes::from_static(b"{"))).await.unwrap();
    sender.send(Err(std::io::ErrorKind::ConnectionReset.into())).await.unwrap();
    stage.invoke(body).await.assert_fault(400, "BAD_REQUEST");
    assert!(stage.executor.calls().is_empty());
}

#[tokio::test]
async fn a_full_house_says_so_at_once_and_a_caller_who_leaves_makes_room() {
    let stage = Stage::with(|config| config.max_calls = 1);
    let dropped = stage.executor.hang();
    let first = Box::pin(stage.invoke("{}"));
    let futures_util::future::Either::Right((reply, first)) =
        futures_util::future::select(first, Box::pin(stage.invoke("{}"))).await
    else {
        panic!("a call that hangs has ended")
    };
    reply.assert_fault(503, "OVERLOADED");
    assert_eq!(reply.header("retry-after"), Some("1"));
    drop(first);
    dropped.await.unwrap();
    stage.executor.fail(|| Fault::new(Reason::UpstreamError, "why"));
    stage.invoke("{}").await.assert_fault(502, "UPSTREAM_ERROR");
}

#[tokio::test]
async fn who_has_been_refused_waits_in_line_the_next_time() {
    let stage = Stage::with(|config| config.max_calls = 1);
    let connection = Connection::new(None);
    let call = || stage.service.answer(&connection, stage.request(Method::POST, PATH, "{}"));
    let patience = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&patience);
    stage.executor.on_call(move |call| {
        noted.lock().unwrap().push(call.patience);
        ready(Ok(answer(200, r#"{"data":{"ok":1}}"#)))
    });
    assert_eq!(call().await.status(), 200);
    let dropped = stage.executor.hang();
    let mut hanging = Box::pin(stage.invoke("{}"));
    assert!(hanging.as_mut().now_or_never().is_none());
    assert_eq!(call().now_or_never().unwrap().status(), 503, "the first time, at once");
    let mut second = Box::pin(call());
    assert!(second.as_mut().now_or_never().is_none(), "the second time, not at once");
    let noted = Arc::clone(&patience);
    stage.executor.on_call(move |call| {
        noted.lock().unwrap().push(call.patience);
        ready(Ok(answer(200, r#"{"data":{"ok":1}}"#)))
    });
    drop(hanging);
    dropped.await.unwrap();
    assert_eq!(second.await.status(), 200);
    let patience = patience.lock().unwrap();
    assert_eq!(patience[0], Duration::ZERO);
    assert!(
        patience[1] > Duration::ZERO && patience[1] < Duration::from_secs(1),
        "what is left of a second: {patience:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_line_moves_or_is_left_after_a_second() {
    let stage = Stage::with(|config| config.max_calls = 1);
    let connection = Connection::new(None);
    let call = || stage.service.answer(&connection, stage.request(Method::POST, PATH, "{}"));
    assert_eq!(call().await.status(), 200, "and from now on there is a grant");
    let _dropped = stage.executor.hang();
    let mut hanging = Box::pin(stage.invoke("{}"));
    assert!(hanging.as_mut().now_or_never().is_none());
    for waited in [0, 1, 1] {
        let since = Instant::now();
        assert_eq!(call().await.status(), 503);
        assert_eq!(since.elapsed().as_secs(), waited);
    }
    // Long after, it is as if nothing had been.
    time::sleep(Duration::from_secs(10)).await;
    let since = Instant::now();
    assert_eq!(call().await.status(), 503);
    assert_eq!(since.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_panic_is_the_failure_of_its_call_alone() {
    let stage = Stage::with(|config| config.max_calls = 1);
    stage.executor.on_call(|_| async { panic!("a bug") });
    let reply = stage.invoke("{}").await;
    reply.assert_fault(500, "INTERNAL");
    assert!(!reply.text().contains("bug"));
    assert!(reply.header("x-request-id").is_some());
    stage.executor.fail(|| Fault::new(Reason::UpstreamError, "why"));
    stage.invoke("{}").await.assert_fault(502, "UPSTREAM_ERROR");
}

/// Lets the executor answer with a body that the sender feeds.
fn stream_answer(stage: &Stage) -> mpsc::Sender<Result<Bytes, Fault>> {
    let (sender, receiver) = mpsc::channel(4);
    let receiver = Mutex::new(Some(receiver));
    stage.executor.on_call(move |_| {
        let body = proto::Body::Stream(receiver.lock().unwrap().take().unwrap());
        ready(Ok(proto::Answer { status: 200, ignored_variables: Vec::new(), body }))
    });
    sender
}

#[tokio::test]
async fn a_streamed_answer_counts_as_a_call_until_its_end() {
    let stage = Stage::with(|config| config.max_calls = 1);
    let sender = stream_answer(&stage);
    let response = stage.send(stage.request(Method::POST, PATH, "{}")).await;
    stage.invoke("{}").await.assert_fault(503, "OVERLOADED");
    sender.send(Ok(Bytes::from_static(b"{\"data\":"))).await.unwrap();
    sender.send(Ok(Bytes::from_static(b"1}"))).await.unwrap();
    drop(sender);
    assert_eq!(Reply::read(response).await.text(), "{\"data\":1}");
    stage.executor.fail(|| Fault::new(Reason::UpstreamError, "why"));
    stage.invoke("{}").await.assert_fault(502, "UPSTREAM_ERROR");
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let stage = Stage::open();
    let sender = stream_answer(&stage);
    let response = stage.send(stage.request(Method::POST, PATH, "{}")).await;
    sender.send(Ok(Bytes::from_static(b"{\"data\":"))).await.unwrap();
    sender.send(Err(Fault::new(Reason::UpstreamUnreachable, "gone"))).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
}

/// Serves the stage on a port of its own.
async fn served(stage: &Stage) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = stage.service.clone();
    let answer = move |request: axum::extract::Request| {
        let service = service.clone();
        async move { service.answer(&Connection::new(None), request).await.map(Body::new) }
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    TcpStream::connect(address).await.unwrap()
}

fn head(stage: &Stage, fields: &str) -> String {
    format!(
        "POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n{fields}\r\n",
        stage.token
    )
}

#[tokio::test]
async fn a_caller_who_hangs_up_cancels_the_call() {
    let stage = Stage::open();
    let dropped = stage.executor.hang();
    let mut connection = served(&stage).await;
    connection.write_all(head(&stage, "content-length: 2\r\n").as_bytes()).await.unwrap();
    connection.write_all(b"{}").await.unwrap();
    while stage.executor.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(connection);
    dropped.await.unwrap();
}

#[tokio::test]
async fn on_the_wire_a_broken_answer_lacks_its_end() {
    let stage = Stage::open();
    let sender = stream_answer(&stage);
    let mut connection = served(&stage).await;
    connection.write_all(head(&stage, "content-length: 0\r\n").as_bytes()).await.unwrap();
    sender.send(Ok(Bytes::from_static(b"{\"data\":"))).await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"{\"data\":\r\n") {
        received.push(connection.read_u8().await.unwrap());
    }
    sender.send(Err(Fault::new(Reason::UpstreamUnreachable, "gone"))).await.unwrap();
    // A reset is as good an end as any.
    let _ = connection.read_to_end(&mut received).await;
    let received = String::from_utf8(received).unwrap();
    assert!(received.starts_with("HTTP/1.1 200 OK"), "{received}");
    assert!(!received.ends_with("0\r\n\r\n"), "{received}");
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_good_for_the_next_request() {
    let stage = Stage::open();
    stage.registry.refuse(Reason::Unauthenticated);
    let mut connection = served(&stage).await;
    for _ in 0..3 {
        for path in [PATH, "/nowhere", "/v2/organizations", "/v2/nowhere"] {
            let head = head(&stage, "content-length: 2\r\n").replace(PATH, path);
            connection.write_all(head.as_bytes()).await.unwrap();
            connection.flush().await.unwrap();
            tokio::task::yield_now().await;
            connection.write_all(b"{}").await.unwrap();
            let received = answered(&mut connection).await;
            assert!(!received.contains("connection: close"), "{path}: {received}");
        }
    }
}

#[tokio::test]
async fn who_sends_the_whole_body_before_reading_is_answered() {
    let stage = Stage::open();
    stage.registry.refuse(Reason::Unauthenticated);
    let body = vec![b' '; 3 << 20];
    for path in [PATH, "/nowhere", "/v2/organizations", "/v2/nowhere"] {
        let mut connection = served(&stage).await;
        let head = head(&stage, &format!("content-length: {}\r\n", body.len())).replace(PATH, path);
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(&body).await.unwrap();
        assert!(answered(&mut connection).await.starts_with("HTTP/1.1 40"), "{path}");
    }
}

/// Reads one answer with a declared length, and gives its head.
async fn answered(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    connection.read_exact(&mut body).await.unwrap();
    head
}

#[tokio::test]
async fn a_body_is_refused_before_it_is_sent() {
    let stage = Stage::open();
    let mut connection = served(&stage).await;
    let fields = "content-length: 2000000\r\nexpect: 100-continue\r\n";
    connection.write_all(head(&stage, fields).as_bytes()).await.unwrap();
    let mut received = [0; 12];
    connection.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"HTTP/1.1 413");
}
