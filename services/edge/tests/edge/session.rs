//! The session with executors, from an executor's side.

use bytes::Bytes;
use edge::session::{self, Config, Sessions, Way};
use futures_util::FutureExt;
use http::{Request, Response};
use model::{Fault, Reason, Secret};
use proto::{
    Call, Execute, channel,
    execute::SignedGrant,
    executor::v1::{self, session_request::Event, session_response::Outcome},
    stream::{FETCH, Incoming, SESSION},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, body::Body};

type Pieces = mpsc::Receiver<Result<v1::FetchResponse, Status>>;

/// An executor that does as it is told.
#[derive(Clone)]
struct Executor {
    sessions: mpsc::Sender<Session>,
    fetches: Arc<Mutex<mpsc::Receiver<Pieces>>>,
    tickets: mpsc::Sender<Bytes>,
}

/// Its side of the wire.
struct Hand {
    sessions: mpsc::Receiver<Session>,
    fetches: mpsc::Sender<Pieces>,
    tickets: mpsc::Receiver<Bytes>,
}

/// One session, from the executor's side.
struct Session {
    heard: Incoming<v1::SessionRequest>,
    tell: mpsc::Sender<Result<v1::SessionResponse, Status>>,
}

impl Session {
    async fn hear(&mut self) -> Event {
        self.heard.message().await.unwrap().unwrap().event.unwrap()
    }

    async fn call(&mut self) -> v1::Call {
        match self.hear().await {
            Event::Call(call) => call,
            Event::Cancel(_) => panic!("a call was expected"),
        }
    }

    async fn say(&self, id: u64, outcome: Outcome) {
        self.tell.send(Ok(v1::SessionResponse { id, outcome: Some(outcome) })).await.unwrap();
    }

    async fn answer(&self, id: u64, body: &'static str) {
        let body = Bytes::from_static(body.as_bytes());
        self.say(id, Outcome::Answer(v1::Answer { status: 200, body, ..v1::Answer::default() })).await;
    }

    async fn fail(&self, id: u64, reason: Reason) {
        self.say(id, Outcome::Fault((&Fault::new(reason, "why")).into())).await;
    }
}

impl Executor {
    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        if request.uri().path() == SESSION.path {
            let (tell, told) = mpsc::channel(64);
            let session = Session { heard: SESSION.asked(request), tell };
            self.sessions.try_send(session).map_err(|_| Status::unavailable("closed"))?;
            return Ok(SESSION.answer(ReceiverStream::new(told)));
        }
        assert_eq!(request.uri().path(), FETCH.path);
        let asked = FETCH.asked(request).message().await?.unwrap();
        self.tickets.send(asked.ticket).await.unwrap();
        let pieces = self.fetches.lock().await.try_recv();
        // As an executor says it.
        let spent = |_| proto::fault::write_status(&Fault::new(Reason::NotFound, "spent"));
        let pieces = pieces.map_err(spent)?;
        Ok(FETCH.answer(ReceiverStream::new(pieces)))
    }
}

fn executor() -> (proto::Channel, Hand) {
    let (sessions, session) = mpsc::channel(8);
    let (fetches, fetched) = mpsc::channel(8);
    let (tickets, ticket) = mpsc::channel(8);
    let executor = Executor { sessions, fetches: Arc::new(Mutex::new(fetched)), tickets };
    let channel = channel::local(tower::service_fn(move |request| {
        executor.clone().answer(request).map(|answer| Ok(answer.unwrap_or_else(Status::into_http)))
    }));
    (channel, Hand { sessions: session, fetches, tickets: ticket })
}

async fn opened(channels: Vec<proto::Channel>, config: Config) -> Arc<Sessions> {
    let ways = channels.into_iter().map(|channel| Way { session: channel.clone(), fetches: channel });
    let sessions = Arc::new(session::connect(ways.collect(), config));
    while !sessions.reachable() {
        tokio::task::yield_now().await;
    }
    sessions
}

/// Lets everything run that can.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// One executor with an open session.
async fn one() -> (Arc<Sessions>, Session, Hand) {
    let (channel, mut hand) = executor();
    let sessions = opened(vec![channel], Config::default()).await;
    let session = hand.sessions.recv().await.unwrap();
    (sessions, session, hand)
}

/// Two executors with an open session each.
async fn two() -> (Arc<Sessions>, (Session, Hand), (Session, Hand)) {
    let ((one, mut hand), (other, mut other_hand)) = (executor(), executor());
    let sessions = opened(vec![one, other], Config::default()).await;
    let session = hand.sessions.recv().await.unwrap();
    let other_session = other_hand.sessions.recv().await.unwrap();
    settle().await;
    (sessions, (session, hand), (other_session, other_hand))
}

fn call(grant: &str) -> Call {
    Call {
        patience: Duration::ZERO,
        grant: Arc::new(SignedGrant::new(Secret::new(grant))),
        operation_name: None,
        variables: Bytes::from_static(b"{}"),
        deadline: Instant::now() + Duration::from_secs(30),
        request_id: "id".to_owned(),
    }
}

/// What came of a call: the body, or why there is none.
type Ended = Result<String, (Reason, Option<Duration>)>;

fn run(sessions: &Arc<Sessions>, call: Call) -> JoinHandle<Ended> {
    let running = sessions.execute(call);
    tokio::spawn(async move {
        match running.await.map_err(|fault| (fault.reason(), fault.wait()))?.body {
            proto::Body::Whole(bytes) => Ok(String::from_utf8(bytes.to_vec()).unwrap()),
            proto::Body::Stream(mut pieces) => {
                let mut text = String::new();
                while let Some(piece) = pieces.recv().await {
                    let piece = piece.map_err(|fault| (fault.reason(), fault.wait()))?;
                    text.push_str(std::str::from_utf8(&piece).unwrap());
                }
                Ok(text)
            }
        }
    })
}

const GONE: Ended = Err((Reason::ExecutorUnavailable, Some(Duration::from_secs(1))));

#[tokio::test]
async fn a_grant_travels_once_and_again_when_it_is_not_known() {
    let (sessions, mut session, _hand) = one().await;
    let first = run(&sessions, call("grant"));
    let heard = session.call().await;
    assert_eq!((heard.grant.as_str(), heard.grant_hash.len()), ("grant", 32));
    assert!(heard.timeout_ms > 29_000 && heard.timeout_ms <= 30_000);
    session.answer(heard.id, "one").await;
    assert_eq!(first.await.unwrap(), Ok("one".to_owned()));

    let second = run(&sessions, call("grant"));
    let heard = session.call().await;
    assert_eq!(heard.grant, "");
    session.fail(heard.id, Reason::GrantUnknown).await;
    let again = session.call().await;
    assert_eq!(again.grant, "grant");
    assert_ne!(again.id, heard.id);
    session.answer(again.id, "two").await;
    assert_eq!(second.await.unwrap(), Ok("two".to_owned()));
}

#[tokio::test]
async fn answers_come_in_any_order() {
    let (sessions, mut session, _hand) = one().await;
    let (first, second) = (run(&sessions, call("a")), run(&sessions, call("b")));
    let (one, other) = (session.call().await, session.call().await);
    session.answer(other.id, "b").await;
    session.fail(one.id, Reason::UpstreamTimeout).await;
    session.answer(4_711, "nobody's").await;
    assert_eq!(second.await.unwrap(), Ok("b".to_owned()));
    assert_eq!(first.await.unwrap(), Err((Reason::UpstreamTimeout, None)));
}

#[tokio::test]
async fn a_caller_who_leaves_cancels_the_call() {
    let (sessions, mut session, _hand) = one().await;
    let running = run(&sessions, call("a"));
    let heard = session.call().await;
    running.abort();
    assert_eq!(session.hear().await, Event::Cancel(v1::Cancel { id: heard.id }));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_call_and_cancels_it() {
    let (sessions, mut session, _hand) = one().await;
    let running = run(&sessions, call("a"));
    let heard = session.call().await;
    assert_eq!(running.await.unwrap(), Err((Reason::UpstreamTimeout, None)));
    assert_eq!(session.hear().await, Event::Cancel(v1::Cancel { id: heard.id }));
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_fails_its_calls_and_is_opened_again() {
    let (sessions, mut session, mut hand) = one().await;
    let running = run(&sessions, call("a"));
    session.call().await;
    drop(session);
    assert_eq!(running.await.unwrap(), GONE);
    let mut session = hand.sessions.recv().await.unwrap();
    while !sessions.reachable() {
        tokio::task::yield_now().await;
    }
    let running = run(&sessions, call("a"));
    let heard = session.call().await;
    assert_eq!(heard.grant, "a", "a new stream knows no grant");
    session.answer(heard.id, "back").await;
    assert_eq!(running.await.unwrap(), Ok("back".to_owned()));
}

#[tokio::test]
async fn calls_go_where_the_fewest_are_in_flight_and_leave_a_dead_executor() {
    let (sessions, (mut session, hand), (mut other_session, _other_hand)) = two().await;
    let running: Vec<_> = (0..4).map(|_| run(&sessions, call("a"))).collect();
    let mut taken = Vec::new();
    for _ in 0..2 {
        session.call().await;
        taken.push(other_session.call().await.id);
    }
    drop((session, hand));
    for id in taken {
        other_session.answer(id, "alive").await;
    }
    let ended: Vec<_> =
        futures_util::future::join_all(running).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(ended.iter().filter(|ended| **ended == GONE).count(), 2);
    assert_eq!(ended.iter().filter(|ended| **ended == Ok("alive".to_owned())).count(), 2);
    let running = run(&sessions, call("a"));
    let heard = other_session.call().await;
    other_session.answer(heard.id, "alive").await;
    assert_eq!(running.await.unwrap(), Ok("alive".to_owned()));
}

#[tokio::test]
async fn an_executor_that_leaves_answers_what_it_has_taken_and_another_runs_the_rest() {
    let (sessions, (mut session, _hand), (mut other_session, _other_hand)) = two().await;
    let running: Vec<_> = (0..4).map(|_| run(&sessions, call("a"))).collect();
    let (taken, others) = (session.call().await.id, other_session.call().await.id);
    let (heard_too_late, others_too) = (session.call().await.id, other_session.call().await.id);
    session.say(u64::MAX, Outcome::Leaving(v1::Leaving { not_taken_from: heard_too_late })).await;
    let again = other_session.call().await.id;
    // Nor does it get what comes from now on, though it has the fewest.
    let late = run(&sessions, call("a"));
    let late_id = other_session.call().await.id;
    for id in [others, others_too, again, late_id] {
        other_session.answer(id, "other").await;
    }
    session.answer(taken, "leaving").await;
    let mut ended = Vec::new();
    for running in running {
        ended.push(running.await.unwrap().unwrap());
    }
    ended.sort();
    assert_eq!(ended, ["leaving", "other", "other", "other"]);
    assert_eq!(late.await.unwrap(), Ok("other".to_owned()));
}

#[tokio::test]
async fn without_an_executor_calls_fail_at_once() {
    let sessions = Arc::new(session::connect(Vec::new(), Config::default()));
    assert!(!sessions.reachable());
    assert_eq!(run(&sessions, call("a")).await.unwrap(), GONE);
}

#[tokio::test]
async fn what_no_message_can_hold_breaks_no_stream() {
    let (sessions, mut session, _hand) = one().await;
    let large = Call { variables: Bytes::from(vec![b' '; 4 << 20]), ..call("a") };
    assert_eq!(run(&sessions, large).await.unwrap(), Err((Reason::PayloadTooLarge, None)));
    let running = run(&sessions, call("a"));
    let heard = session.call().await;
    session.answer(heard.id, "a").await;
    assert_eq!(running.await.unwrap(), Ok("a".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_executor_has_the_last_word_about_its_upstreams_time() {
    let (sessions, mut session, _hand) = one().await;
    let slow = Call { deadline: Instant::now() + Duration::from_millis(100), ..call("a") };
    let running = run(&sessions, slow);
    let heard = session.call().await;
    tokio::time::advance(Duration::from_millis(u64::from(heard.timeout_ms) + 50)).await;
    session.fail(heard.id, Reason::UpstreamTimeout).await;
    assert_eq!(running.await.unwrap(), Err((Reason::UpstreamTimeout, None)));
    assert!(tokio::time::timeout(Duration::from_secs(1), session.hear()).await.is_err(), "nothing to cancel");
}

#[tokio::test]
async fn more_calls_than_agreed_are_too_many() {
    let (channel, mut hand) = executor();
    let sessions = opened(vec![channel], Config { max_calls: 1, ..Config::default() }).await;
    let mut session = hand.sessions.recv().await.unwrap();
    let first = run(&sessions, call("a"));
    let heard = session.call().await;
    let refused = run(&sessions, call("b")).await.unwrap();
    assert_eq!(refused, Err((Reason::Overloaded, Some(Duration::from_secs(1)))));
    session.answer(heard.id, "a").await;
    assert_eq!(first.await.unwrap(), Ok("a".to_owned()));
}

/// Answers the next call with a ticket, and gives the hand that feeds its body.
async fn ticket(session: &mut Session, hand: &Hand) -> mpsc::Sender<Result<v1::FetchResponse, Status>> {
    let (feed, pieces) = mpsc::channel(1);
    hand.fetches.send(pieces).await.unwrap();
    let heard = session.call().await;
    let ticket = Bytes::from_static(b"ticket");
    let answer = v1::Answer { status: 200, ticket, ..v1::Answer::default() };
    session.say(heard.id, Outcome::Answer(answer)).await;
    feed
}

fn piece(text: &'static str) -> Result<v1::FetchResponse, Status> {
    Ok(v1::FetchResponse { chunk: Bytes::from_static(text.as_bytes()) })
}

#[tokio::test]
async fn a_large_answer_is_fetched_from_the_one_who_has_it() {
    let (sessions, mut session, mut hand) = one().await;
    let running = run(&sessions, call("a"));
    let feed = ticket(&mut session, &hand).await;
    for text in ["{\"data\":", "[1,", "2]", "}"] {
        feed.send(piece(text)).await.unwrap();
    }
    drop(feed);
    assert_eq!(running.await.unwrap(), Ok("{\"data\":[1,2]}".to_owned()));
    assert_eq!(hand.tickets.recv().await.unwrap(), "ticket");
}

#[tokio::test]
async fn a_large_answer_that_breaks_off_ends_in_a_fault() {
    let (sessions, mut session, hand) = one().await;
    let running = run(&sessions, call("a"));
    let feed = ticket(&mut session, &hand).await;
    feed.send(piece("{\"data\":")).await.unwrap();
    let status = proto::fault::write_status(&Fault::new(Reason::UpstreamResponseTooLarge, "too large"));
    feed.send(Err(status)).await.unwrap();
    assert_eq!(running.await.unwrap(), Err((Reason::UpstreamResponseTooLarge, None)));
}

#[tokio::test]
async fn a_call_whose_time_is_over_is_not_sent() {
    let (sessions, mut session, _hand) = one().await;
    let late = Call { deadline: Instant::now(), ..call("late") };
    assert_eq!(run(&sessions, late).await.unwrap(), Err((Reason::UpstreamTimeout, None)));
    let running = run(&sessions, call("a"));
    let heard = session.call().await;
    assert_eq!(heard.grant, "a");
    session.answer(heard.id, "{}").await;
    assert_eq!(running.await.unwrap(), Ok("{}".to_owned()));
}

#[tokio::test]
async fn a_spent_ticket_is_the_executors_fault() {
    let (sessions, mut session, _hand) = one().await;
    let running = run(&sessions, call("a"));
    let heard = session.call().await;
    let ticket = Bytes::from_static(b"spent");
    session.say(heard.id, Outcome::Answer(v1::Answer { status: 200, ticket, ..v1::Answer::default() })).await;
    assert_eq!(running.await.unwrap().unwrap_err().0, Reason::ExecutorUnavailable);
}

#[tokio::test]
async fn a_caller_who_stops_reading_stops_the_fetch() {
    let (sessions, mut session, hand) = one().await;
    let running = sessions.execute(call("a"));
    let (answer, feed) = tokio::join!(running, ticket(&mut session, &hand));
    let proto::Body::Stream(pieces) = answer.unwrap().body else { panic!("a ticket makes a stream") };
    feed.send(piece("{\"data\":")).await.unwrap();
    drop(pieces);
    feed.closed().await;
}
