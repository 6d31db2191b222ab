//! The gRPC service over an in-memory channel: sessions, tickets, and calls by hand.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that fails ends here"
)]

mod support;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use model::Reason;
use proto::{
    executor::v1::{
        Call, Cancel, ExecuteRequest, Leaving, session_request::Event, session_response::Outcome,
    },
    fault::read_status,
    stream::SESSION,
};
use std::{collections::HashSet, sync::Arc, time::Duration};
use support::{
    House, QUERY,
    session::{Session, channel, client, fetch, hashed, introduced},
    upstream::{Act, GOOD, Upstream, ok},
};
use tokio::{sync::Notify, time::timeout};
use tonic::{Code, Status, body::Body};
use tower::ServiceExt;

#[tokio::test]
async fn an_unknown_grant_is_introduced_once_and_then_known_to_all() {
    let house = House::open();
    let upstream = Upstream::start([]).await;
    let grant = house.grant(QUERY, &upstream.url);
    let mut session = Session::open(channel(&house)).await;
    session.send(Event::Call(hashed(1, &grant))).await;
    assert_eq!(session.next().await.1.unwrap_err(), Reason::GrantUnknown);
    assert_eq!(upstream.calls(), 0);
    session.call(1, &grant).await;
    assert_eq!(session.next().await.1.unwrap().body, GOOD);
    let mut another = Session::open(channel(&house)).await;
    another.send(Event::Call(hashed(1, &grant))).await;
    assert_eq!(another.next().await.1.unwrap().body, GOOD);
}

#[tokio::test]
async fn a_grant_is_never_known_under_a_hash_that_is_not_its_own() {
    let house = House::open();
    let (mine, theirs) = (Upstream::start([]).await, Upstream::start([]).await);
    let (my_grant, their_grant) = (house.grant(QUERY, &mine.url), house.grant(QUERY, &theirs.url));
    let mut session = Session::open(channel(&house)).await;
    session.send(Event::Call(Call { grant: my_grant.jwt(), ..hashed(1, &their_grant) })).await;
    assert!(session.next().await.1.is_ok());
    session.send(Event::Call(hashed(2, &their_grant))).await;
    assert_eq!(session.next().await.1.unwrap_err(), Reason::GrantUnknown);
    assert_eq!((mine.calls(), theirs.calls()), (1, 0));
}

#[tokio::test]
async fn answers_come_in_the_order_in_which_they_are_ready() {
    let house = House::open();
    let release = Arc::new(Notify::new());
    let (slow, fast) = (Upstream::start([Act::Wait(Arc::clone(&release))]).await, Upstream::start([]).await);
    let mut session = Session::open(channel(&house)).await;
    session.call(1, &house.grant(QUERY, &slow.url)).await;
    slow.until_called(1).await;
    let grant = house.grant(QUERY, &fast.url);
    session.call(2, &grant).await;
    assert_eq!(session.next().await.0, 2);
    release.notify_one();
    assert_eq!(session.next().await.0, 1);
}

#[tokio::test]
async fn many_calls_share_a_session() {
    let house = House::open();
    let upstream = Upstream::start([]).await;
    let grant = house.grant(QUERY, &upstream.url);
    let mut session = Session::open(channel(&house)).await;
    session.call(0, &grant).await;
    assert!(session.next().await.1.is_ok());
    for id in 1..=300 {
        session.send(Event::Call(hashed(id, &grant))).await;
    }
    let mut answered = HashSet::new();
    for _ in 1..=300 {
        let (id, outcome) = session.next().await;
        assert_eq!(outcome.unwrap().body, GOOD);
        assert!(answered.insert(id));
    }
}

#[tokio::test]
async fn a_cancelled_call_leaves_the_upstream_and_is_not_answered() {
    let house = House::open();
    let upstream = Upstream::start([Act::Wait(Arc::default())]).await;
    let grant = house.grant(QUERY, &upstream.url);
    let mut session = Session::open(channel(&house)).await;
    session.call(1, &grant).await;
    upstream.until_called(1).await;
    session.send(Event::Cancel(Cancel { id: 1 })).await;
    upstream.until_left(1).await;
    session.call(1, &grant).await;
    let (id, outcome) = session.next().await;
    assert_eq!((id, outcome.unwrap().body), (1, Bytes::from_static(GOOD.as_bytes())));
}

#[tokio::test]
async fn the_end_of_a_session_is_the_end_of_its_calls() {
    let house = House::open();
    let upstream = Upstream::start([Act::Wait(Arc::default())]).await;
    let session = Session::open(channel(&house)).await;
    session.call(1, &house.grant(QUERY, &upstream.url)).await;
    upstream.until_called(1).await;
    drop(session);
    upstream.until_left(1).await;
}

#[tokio::test]
async fn what_was_taken_is_answered_and_what_was_not_is_told_when_nothing_more_is_heard() {
    let house = House::open();
    let release = Arc::new(Notify::new());
    let upstream = Upstream::start([Act::Wait(Arc::clone(&release))]).await;
    let session = Session::open(channel(&house)).await;
    session.call(7, &house.grant(QUERY, &upstream.url)).await;
    upstream.until_called(1).await;
    let Session { requests, answers } = session;
    drop(requests);
    let mut session = Session { requests: tokio::sync::mpsc::channel(1).0, answers };
    let said = session.answers.message().await.unwrap().unwrap().outcome;
    assert!(said == Some(Outcome::Leaving(Leaving { not_taken_from: 8 })));
    release.notify_one();
    assert_eq!(session.next().await.1.unwrap().body, GOOD);
    assert!(session.answers.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_others_go_on() {
    let house = House::open();
    let upstream = Upstream::start([Act::Wait(Arc::default())]).await;
    let grant = house.grant(QUERY, &upstream.url);
    let mut session = Session::open(channel(&house)).await;
    session.send(Event::Call(Call { timeout_ms: 100, ..introduced(1, &grant) })).await;
    assert_eq!(session.next().await.1.unwrap_err(), Reason::UpstreamTimeout);
    session.call(2, &grant).await;
    assert!(session.next().await.1.is_ok());
}

#[tokio::test]
async fn a_panic_is_one_calls_fault_and_the_session_goes_on() {
    let house = House::open_with(|config| {
        config.observer = Some(Arc::new(|_, request_id: &str| assert!(request_id != "13", "poison")));
    });
    let upstream = Upstream::start([]).await;
    let grant = house.grant(QUERY, &upstream.url);
    let mut session = Session::open(channel(&house)).await;
    session.call(13, &grant).await;
    assert_eq!(session.next().await.1.unwrap_err(), Reason::Internal);
    session.call(14, &grant).await;
    assert!(session.next().await.1.is_ok());
}

#[tokio::test]
async fn a_session_takes_on_so_many_calls_and_no_more() {
    let house = House::open_with(|config| config.max_calls_per_session = 1);
    let release = Arc::new(Notify::new());
    let upstream = Upstream::start([Act::Wait(Arc::clone(&release))]).await;
    let grant = house.grant(QUERY, &upstream.url);
    let mut session = Session::open(channel(&house)).await;
    session.call(1, &grant).await;
    upstream.until_called(1).await;
    session.call(2, &grant).await;
    let (id, outcome) = session.next().await;
    assert_eq!((id, outcome.unwrap_err()), (2, Reason::Overloaded));
    release.notify_one();
    assert!(session.next().await.1.is_ok());
}

#[tokio::test]
async fn what_is_no_message_ends_the_session_and_is_told_why() {
    let house = House::open();
    let compressed = Full::new(Bytes::from_static(&[1, 0, 0, 0, 0]));
    let request = Request::post(SESSION.path).body(Body::new(compressed)).unwrap();
    let mut body = channel(&house).oneshot(request).await.unwrap().into_body();
    let end = timeout(Duration::from_secs(10), body.frame()).await.unwrap().unwrap().unwrap();
    assert_eq!(Status::from_header_map(end.trailers_ref().unwrap()).unwrap().code(), Code::Unimplemented);
}

#[tokio::test]
async fn an_id_that_is_used_twice_ends_the_session() {
    let house = House::open();
    let upstream = Upstream::start([Act::Wait(Arc::default())]).await;
    let grant = house.grant(QUERY, &upstream.url);
    let mut session = Session::open(channel(&house)).await;
    session.call(1, &grant).await;
    session.call(1, &grant).await;
    let status = timeout(Duration::from_secs(10), session.answers.message()).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

fn long(bytes: usize) -> String {
    format!(r#"{{"data":"{}"}}"#, "x".repeat(bytes))
}

#[tokio::test]
async fn a_large_answer_is_fetched_once_by_its_ticket() {
    let house = House::open();
    for size in [65 << 10, 200 << 10, 9 << 20] {
        let upstream = Upstream::start([Act::Write(ok(long(size)))]).await;
        let mut session = Session::open(channel(&house)).await;
        session.call(1, &house.grant(QUERY, &upstream.url)).await;
        let answer = session.next().await.1.unwrap();
        assert!(answer.body.is_empty() && answer.status == 200);
        assert!(fetch(channel(&house), answer.ticket.clone()).await.unwrap() == long(size).into_bytes());
        assert_eq!(fetch(channel(&house), answer.ticket).await.unwrap_err().code(), Code::NotFound);
    }
    assert_eq!(
        fetch(channel(&house), Bytes::from_static(&[7; 16])).await.unwrap_err().code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn an_answer_that_is_not_fetched_is_not_read_and_ends() {
    let house = House::open_with(|config| {
        config.ticket_timeout = Duration::from_millis(50);
        config.max_response_bytes = u64::MAX;
    });
    let first = b"HTTP/1.1 200 OK\r\n\r\n{\"data\":\"".to_vec();
    let upstream = Upstream::start([Act::Stream(first, vec![b'x'; 64 << 10], 100_000)]).await;
    let mut session = Session::open(channel(&house)).await;
    session.call(1, &house.grant(QUERY, &upstream.url)).await;
    let ticket = session.next().await.1.unwrap().ticket;
    upstream.until_left(1).await;
    assert_eq!(fetch(channel(&house), ticket).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_fetched_answer_that_breaks_ends_with_its_fault() {
    let house = House::open();
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n".to_vec();
    let upstream = Upstream::start([Act::Close([head, long(400 << 10).into_bytes()].concat())]).await;
    let mut session = Session::open(channel(&house)).await;
    session.call(1, &house.grant(QUERY, &upstream.url)).await;
    let ticket = session.next().await.1.unwrap().ticket;
    let status = fetch(channel(&house), ticket).await.unwrap_err();
    assert_eq!(read_status(status, Reason::Internal).reason(), Reason::UpstreamUnreachable);
}

#[tokio::test]
async fn a_call_by_hand_is_answered_in_one_message_while_it_fits() {
    let house = House::open();
    for (size, fits) in [(0, true), (1 << 20, true), (5 << 20, false)] {
        let upstream = Upstream::start([Act::Write(ok(long(size)))]).await;
        let request = ExecuteRequest {
            grant: house.grant(QUERY, &upstream.url).jwt(),
            request_id: "by hand".to_owned(),
            ..ExecuteRequest::default()
        };
        let response = client(&house).execute(request).await.unwrap().into_inner();
        assert_eq!(response.status, 200);
        let body = if fits {
            response.body.to_vec()
        } else {
            fetch(channel(&house), response.ticket).await.unwrap()
        };
        assert!(body == long(size).into_bytes(), "{size}");
    }
}

#[tokio::test]
async fn a_call_by_hand_ends_with_the_callers_time_limit_and_says_why_it_failed() {
    let house = House::open();
    let upstream = Upstream::start([Act::Wait(Arc::default())]).await;
    let request = |grant: String| ExecuteRequest { grant, ..ExecuteRequest::default() };
    let mut hurried = tonic::Request::new(request(house.grant(QUERY, &upstream.url).jwt()));
    hurried.set_timeout(Duration::from_millis(100));
    let status = client(&house).execute(hurried).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(read_status(status, Reason::Internal).reason(), Reason::UpstreamTimeout);
    let status = client(&house).execute(request("forged".to_owned())).await.unwrap_err();
    assert_eq!(read_status(status, Reason::Internal).reason(), Reason::GrantInvalid);
}
