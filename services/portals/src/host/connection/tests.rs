//! One connection under a clock that tests turn: what may be slow, and what is given up.

use super::{
    super::{
        pace::{HEAD, IDLE, LOOK, STALLED},
        shutdown::{Shutdown, Trigger},
    },
    FAREWELL, Peers, Room, protocol, serve,
};
use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
    time::{self, Instant},
};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
/// Bytes that fit between both ends.
const ROOM: usize = 1_024;

/// A caller's end of a connection that answers `ok` after `wait`, or `/large` at once.
fn connect(wait: Duration, shutdown: Shutdown) -> (DuplexStream, JoinHandle<()>) {
    let (caller, stream) = duplex(ROOM);
    let router = Router::new()
        .route(
            "/",
            get(move || async move {
                time::sleep(wait).await;
                "ok"
            }),
        )
        .route("/large", get(|| async { vec![b'x'; 1 << 20] }));
    let serving = tokio::spawn(async move {
        serve(&protocol(Peers::Public), stream, Peers::Public, None, Room::Routes(router), shutdown).await;
    });
    (caller, serving)
}

async fn answer(caller: &mut DuplexStream) -> String {
    let mut bytes = vec![0; ROOM];
    let count = caller.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_is_given_up() {
    let (_trigger, shutdown) = Trigger::new();
    let (mut caller, serving) = connect(Duration::ZERO, shutdown);
    caller.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
    let start = Instant::now();
    serving.await.unwrap();
    assert!((HEAD..=HEAD + 3 * LOOK).contains(&start.elapsed()), "after {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_later_request_has_its_time_from_its_first_byte() {
    let (_trigger, shutdown) = Trigger::new();
    let (mut caller, serving) = connect(Duration::ZERO, shutdown);
    caller.write_all(REQUEST).await.unwrap();
    assert!(answer(&mut caller).await.ends_with("ok"));
    time::sleep(IDLE / 2).await;
    caller.write_all(REQUEST).await.unwrap();
    assert!(answer(&mut caller).await.ends_with("ok"), "an idle connection is kept");
    caller.write_all(b"GET").await.unwrap();
    let start = Instant::now();
    serving.await.unwrap();
    assert!((HEAD..=HEAD + 3 * LOOK).contains(&start.elapsed()), "after {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_stays_idle_is_closed() {
    let (_trigger, shutdown) = Trigger::new();
    let (mut caller, serving) = connect(Duration::ZERO, shutdown);
    caller.write_all(REQUEST).await.unwrap();
    assert!(answer(&mut caller).await.ends_with("ok"));
    let start = Instant::now();
    serving.await.unwrap();
    assert!((IDLE..=IDLE + 3 * LOOK).contains(&start.elapsed()), "after {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_hardly_ever_woken() {
    let (_trigger, shutdown) = Trigger::new();
    let (mut caller, stream) = duplex(ROOM);
    let room = Room::Routes(Router::new().route("/", get(|| async { "ok" })));
    let polls = Arc::new(AtomicU32::new(0));
    let polled = Arc::clone(&polls);
    tokio::spawn(async move {
        let protocol = protocol(Peers::Public);
        let mut serving = pin!(serve(&protocol, stream, Peers::Public, None, room, shutdown));
        poll_fn(|context| {
            polled.fetch_add(1, Ordering::Relaxed);
            serving.as_mut().poll(context)
        })
        .await;
    });
    caller.write_all(REQUEST).await.unwrap();
    assert!(answer(&mut caller).await.ends_with("ok"));
    let before = polls.load(Ordering::Relaxed);
    time::sleep(IDLE - LOOK).await;
    let woken = polls.load(Ordering::Relaxed) - before;
    assert!(woken <= 2, "{woken} times");
    caller.write_all(REQUEST).await.unwrap();
    assert!(answer(&mut caller).await.ends_with("ok"), "it is still there");
}

#[tokio::test(start_paused = true)]
async fn heads_in_pieces_have_each_their_own_time() {
    let (_trigger, shutdown) = Trigger::new();
    let (mut caller, serving) = connect(Duration::ZERO, shutdown);
    for _ in 0..9 {
        caller.write_all(&REQUEST[..5]).await.unwrap();
        time::sleep(HEAD - LOOK).await;
        caller.write_all(&REQUEST[5..]).await.unwrap();
        assert!(answer(&mut caller).await.ends_with("ok"));
        time::sleep(IDLE / 10).await;
    }
    caller.write_all(&REQUEST[..5]).await.unwrap();
    let start = Instant::now();
    serving.await.unwrap();
    assert!((HEAD..=HEAD + 3 * LOOK).contains(&start.elapsed()), "after {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_take_longer_than_any_silence() {
    let (_trigger, shutdown) = Trigger::new();
    let (mut caller, _serving) = connect(IDLE * 5, shutdown);
    caller.write_all(REQUEST).await.unwrap();
    assert!(answer(&mut caller).await.ends_with("ok"));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_does_not_take_its_answer_is_given_up() {
    let (_trigger, shutdown) = Trigger::new();
    let (mut caller, serving) = connect(Duration::ZERO, shutdown);
    caller.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let start = Instant::now();
    serving.await.unwrap();
    assert!((STALLED..=STALLED + 3 * LOOK).contains(&start.elapsed()), "after {:?}", start.elapsed());
}

/// Says that it is alive.
struct Alive(Arc<()>);

#[tokio::test(start_paused = true)]
async fn an_answer_behind_a_window_that_stays_shut_is_let_go_and_others_are_not() {
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let endless = move || {
        let alive = Alive(Arc::clone(&held));
        async move {
            Body::from_stream(futures_util::stream::repeat_with(move || {
                let _lives = &alive.0;
                Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 1_024]))
            }))
        }
    };
    let router = Router::new().route("/endless", get(endless)).route("/", get(|| async { "ok" }));
    let (caller, stream) = duplex(1 << 20);
    let (_trigger, shutdown) = Trigger::new();
    tokio::spawn(async move {
        serve(&protocol(Peers::Public), stream, Peers::Public, None, Room::Routes(router), shutdown).await;
    });
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(10)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(caller))
        .await
        .unwrap();
    tokio::spawn(connection);
    let ask = |path: &str| Request::get(format!("http://a{path}")).body(Empty::new()).unwrap();
    let unread = sender.send_request(ask("/endless")).await.unwrap();
    let with_answer = Arc::strong_count(&alive);
    time::sleep(STALLED / 2).await;
    assert_eq!(Arc::strong_count(&alive), with_answer);
    time::sleep(STALLED / 2 + 3 * LOOK).await;
    assert_eq!(Arc::strong_count(&alive), with_answer - 1, "nothing of the answer is left");
    let other = sender.send_request(ask("/")).await.unwrap();
    assert_eq!(other.into_body().collect().await.unwrap().to_bytes(), "ok");
    assert!(unread.into_body().collect().await.is_err(), "what is missing is not taken for an end");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_closes_idle_connections_and_lets_calls_in_flight_finish() {
    let (trigger, shutdown) = Trigger::new();
    let (mut busy, busy_serving) = connect(HEAD * 2, shutdown.clone());
    let (mut idle, idle_serving) = connect(Duration::ZERO, shutdown);
    idle.write_all(REQUEST).await.unwrap();
    assert!(answer(&mut idle).await.ends_with("ok"));
    busy.write_all(REQUEST).await.unwrap();
    time::sleep(HEAD).await;
    let start = Instant::now();
    trigger.begin();
    idle_serving.await.unwrap();
    assert!(start.elapsed() <= FAREWELL + LOOK, "after {:?}", start.elapsed());
    let last = answer(&mut busy).await;
    assert!(last.contains("connection: close") && last.ends_with("ok"), "{last}");
    busy_serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_crosses_the_shutdown_is_answered_and_told_of_it() {
    let (trigger, shutdown) = Trigger::new();
    let (mut caller, serving) = connect(Duration::ZERO, shutdown);
    caller.write_all(REQUEST).await.unwrap();
    assert!(!answer(&mut caller).await.contains("connection: close"));
    trigger.begin();
    time::sleep(FAREWELL / 2).await;
    caller.write_all(REQUEST).await.unwrap();
    let last = answer(&mut caller).await;
    assert!(last.contains("connection: close") && last.ends_with("ok"), "{last}");
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn cleartext_http2_is_known_by_its_first_bytes() {
    let (_trigger, shutdown) = Trigger::new();
    let (mut caller, _serving) = connect(Duration::ZERO, shutdown);
    caller.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    caller.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "the answer is a SETTINGS frame");
}
