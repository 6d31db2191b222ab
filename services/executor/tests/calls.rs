//! A call from its grant to what the upstream is sent, and what becomes of calls when something else goes wrong.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that fails ends here"
)]

mod support;

use bytes::Bytes;
use executor::Stage;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use model::{Reason, Secret, key::Purpose};
use proto::{
    Call, Execute,
    execute::SignedGrant,
    grant::{Claims, UpstreamSecrets},
};
use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
    task::Poll,
    thread,
    time::Duration,
};
use support::{
    House, MUTATION, QUERY,
    upstream::{Act, GOOD, Upstream, reply},
};
use tokio::sync::Notify;

#[tokio::test]
async fn the_upstream_gets_the_selected_operation_and_nothing_else() {
    let document = "query a($id: ID, $unused: Int) { node(id: $id) { ...F } } query b { b }\n\
                    fragment F on Node { id } fragment G on Node { other }";
    let house = House::open();
    let upstream = Upstream::start([]).await;
    let grant = house.grant(document, &upstream.url);
    let mut call = grant.call();
    call.operation_name = Some("a".to_owned());
    call.variables = Bytes::from_static(br#"{"id": 1234567890123456789012345678901234567890, "unused": 1}"#);
    let answer = house.executor.execute(call).await;

    let seen = upstream.seen().remove(0);
    assert!(answer.is_ok(), "{:?}", answer.err());
    assert!(seen.body.contains("1234567890123456789012345678901234567890"), "{}", seen.body);
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    let query = body["query"].as_str().unwrap();
    assert!(query.contains("fragment F") && !query.contains("fragment G") && !query.contains("query b"));
    assert!(!query.contains("unused"));
    assert_eq!(body["operationName"], "a");
    assert_eq!(body["variables"].as_object().unwrap().keys().collect::<Vec<_>>(), ["id"]);
    let head = seen.head.to_ascii_lowercase();
    for line in [
        "post /graphql http/1.1\r\n",
        "content-type: application/json\r\n",
        "accept: application/graphql-response+json, application/json;q=0.9\r\n",
        "authorization: bearer canary-credential-0123456789\r\n",
        "x-team: ci\r\n",
        concat!("user-agent: portals/", env!("CARGO_PKG_VERSION"), "\r\n"),
    ] {
        assert!(head.contains(line), "{line} is not in {head}");
    }
}

#[tokio::test]
async fn without_a_credential_nothing_is_sent_as_one() {
    let house = House::open();
    let upstream = Upstream::start([]).await;
    let grant = house.grant(QUERY, &upstream.url).secrets(&UpstreamSecrets::default());
    house.good(&grant).await;
    assert!(!upstream.seen()[0].head.to_ascii_lowercase().contains("authorization"));
}

#[tokio::test]
async fn a_bad_call_never_reaches_the_upstream() {
    let house = House::open();
    let upstream = Upstream::start([]).await;
    let grant = house.grant("query a { a } query b($n: Int!) { b(n: $n) }", &upstream.url);
    for (name, variables, reason) in [
        (None, "{}", Reason::OperationNameRequired),
        (Some(""), "{}", Reason::OperationNameRequired),
        (Some("c"), "{}", Reason::OperationNotFound),
        (None, "[]", Reason::BadRequest),
        (Some("c"), "{\"a\":1,\"a\":2}", Reason::BadRequest),
        (Some("a"), "\u{0}", Reason::BadRequest),
        (Some("b"), "{}", Reason::VariablesInvalid),
        (Some("b"), r#"{"n":"1"}"#, Reason::VariablesInvalid),
        (Some("a"), r#"{"n":1}"#, Reason::VariablesInvalid),
    ] {
        let mut call = grant.call();
        call.operation_name = name.map(str::to_owned);
        call.variables = Bytes::from_static(variables.as_bytes());
        let fault = house.executor.execute(call).await.err().expect("it is refused");
        assert_eq!(fault.reason(), reason, "{name:?} {variables}: {fault:?}");
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn only_what_the_registry_signed_for_the_executor_and_for_now_is_run() {
    let house = House::open();
    let upstream = Upstream::start([]).await;
    let grant = || house.grant(QUERY, &upstream.url);
    let changed = |change: fn(&mut Claims)| grant().change(change);
    let mut other_type = grant();
    other_type.header.typ = Some("JWT".to_owned());
    let mut other_algorithm = grant();
    other_algorithm.header.alg = Algorithm::HS512;
    let stranger = House::open();
    for (name, granted) in [
        ("another issuer", changed(|claims| claims.iss = "somebody".to_owned())),
        ("another audience", changed(|claims| claims.aud = "edge".to_owned())),
        ("run out", changed(|claims| claims.exp = support::now() - 10)),
        ("another organization's credential", changed(|claims| claims.organization = "x".to_owned())),
        ("no credential", changed(|claims| claims.upstream.sealed = String::new())),
        ("no URL", changed(|claims| claims.upstream.url = "ftp://upstream/".to_owned())),
        ("another type", other_type),
        ("another algorithm", other_algorithm),
        ("another key", stranger.grant(QUERY, &upstream.url)),
    ] {
        let fault = house.refused(&granted).await;
        assert_eq!(fault.reason(), Reason::GrantInvalid, "{name}: {fault:?}");
    }

    let mut claims = serde_json::to_value(&grant().claims).unwrap();
    let sign = |claims: &serde_json::Value| {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(proto::grant::TYPE.to_owned());
        let keys = house.keyring.keys(Purpose::Grant);
        let key = EncodingKey::from_secret(keys.raw().next().unwrap());
        SignedGrant::new(Secret::new(encode(&header, claims, &key).unwrap()))
    };
    let mut call = grant().call();
    call.grant = Arc::new(sign(&claims));
    assert!(house.executor.execute(call.clone()).await.is_ok());
    for exp in [serde_json::json!("9999999999"), serde_json::json!(-1), serde_json::json!(null)] {
        claims["exp"] = exp;
        call.grant = Arc::new(sign(&claims));
        let fault = house.executor.execute(call.clone()).await.err().expect("it is refused");
        assert_eq!(fault.reason(), Reason::GrantInvalid, "{}", claims["exp"]);
    }
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_leaves_the_upstream() {
    let upstream = Upstream::start([Act::Wait(Arc::default())]).await;
    let house = House::open();
    let waiting = tokio::spawn(house.executor.execute(house.grant(MUTATION, &upstream.url).call()));
    upstream.until_called(1).await;
    waiting.abort();
    upstream.until_left(1).await;
}

#[tokio::test]
async fn a_stream_that_nobody_reads_on_leaves_the_upstream() {
    let first = b"HTTP/1.1 200 OK\r\n\r\n{\"data\":\"".to_vec();
    let upstream = Upstream::start([Act::Stream(first, vec![b'x'; 64 << 10], 10_000)]).await;
    let house = House::open_with(|config| config.max_response_bytes = u64::MAX);
    let answer = house.call(&house.grant(QUERY, &upstream.url)).await.unwrap();
    drop(answer);
    upstream.until_left(1).await;
}

#[tokio::test]
async fn a_panic_is_one_calls_fault() {
    let observer = |stage: Stage, request_id: &str| {
        assert!(request_id != format!("{stage:?}"), "a poisoned call");
    };
    let house = House::open_with(|config| config.observer = Some(Arc::new(observer)));
    let release = Arc::new(Notify::new());
    let upstream = Upstream::start([Act::Wait(Arc::clone(&release))]).await;
    let grant = house.grant(MUTATION, &upstream.url);
    let bystander = tokio::spawn(house.executor.execute(grant.call()));
    upstream.until_called(1).await;
    for stage in [Stage::Prepare, Stage::Admit, Stage::Send] {
        let mut call = grant.call();
        call.request_id = format!("{stage:?}");
        let fault = house.executor.execute(call).await.err().expect("the call panics");
        assert_eq!((fault.reason(), fault.message()), (Reason::Internal, "something went wrong on our side"));
        assert_eq!(house.good(&grant).await, GOOD, "after {stage:?}");
    }
    release.notify_one();
    assert!(bystander.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_failing_upstream_is_left_alone_and_others_are_not() {
    let house = House::open();
    let failure = || Act::Write(reply("500 Internal Server Error", "", ""));
    let upstream = Upstream::start((0..20).map(|_| failure())).await;
    let grant = house.grant(MUTATION, &upstream.url);
    for _ in 0..20 {
        assert_eq!(house.refused(&grant).await.reason(), Reason::UpstreamError);
    }
    let fault = house.refused(&grant).await;
    assert_eq!(fault.reason(), Reason::UpstreamCircuitOpen);
    assert!(fault.wait().is_some_and(|wait| wait <= Duration::from_secs(5)));
    assert_eq!(upstream.calls(), 20);

    let refusals = (0..30).map(|_| Act::Write(reply("404 Not Found", "", "")));
    let other = Upstream::start(refusals).await;
    let grant = house.grant(MUTATION, &other.url);
    for _ in 0..30 {
        assert_eq!(house.refused(&grant).await.reason(), Reason::UpstreamError);
    }
    assert_eq!(house.good(&grant).await, GOOD);
}

#[tokio::test]
async fn more_calls_than_are_taken_on_are_refused_at_once() {
    let house = House::open_with(|config| config.max_calls = 1);
    let release = Arc::new(Notify::new());
    let upstream = Upstream::start([Act::Wait(Arc::clone(&release))]).await;
    let grant = house.grant(QUERY, &upstream.url);
    let first = tokio::spawn(house.executor.execute(grant.call()));
    upstream.until_called(1).await;
    assert!(house.executor.ready().await.is_err());
    let fault = house.refused(&grant).await;
    assert_eq!((fault.reason(), fault.wait()), (Reason::Overloaded, Some(Duration::from_secs(1))));
    release.notify_one();
    assert!(first.await.unwrap().is_ok());
    assert_eq!(house.good(&grant).await, GOOD);
}

#[tokio::test]
async fn a_call_whose_time_is_over_when_it_comes_is_not_sent() {
    let house = House::open();
    let upstream = Upstream::start([]).await;
    let call = Call { deadline: std::time::Instant::now(), ..house.grant(QUERY, &upstream.url).call() };
    let fault = house.executor.execute(call).await.err().unwrap();
    assert_eq!(fault.reason(), Reason::UpstreamTimeout);
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test]
async fn a_busy_upstream_is_waited_for_but_not_for_long() {
    let house = House::open_with(|config| config.max_calls_per_upstream = 1);
    let release = Arc::new(Notify::new());
    let upstream = Upstream::start([Act::Wait(Arc::clone(&release))]).await;
    let other = Upstream::start([]).await;
    let grant = house.grant(QUERY, &upstream.url);
    let first = tokio::spawn(house.executor.execute(grant.call()));
    upstream.until_called(1).await;
    assert_eq!(house.refused(&grant).await.reason(), Reason::Overloaded);
    assert_eq!(house.good(&house.grant(QUERY, &other.url)).await, GOOD);
    // It has been in vain, so the next does not wait; but who is said to have patience does.
    let patient = house.executor.execute(Call { patience: Duration::from_secs(30), ..grant.call() });
    let patient = tokio::spawn(patient);
    assert_eq!(house.refused(&grant).await.reason(), Reason::Overloaded);
    release.notify_one();
    assert!(first.await.unwrap().is_ok());
    assert!(patient.await.unwrap().is_ok());
}

#[tokio::test]
async fn many_calls_at_once_each_get_an_answer() {
    let house = House::open();
    let upstream = Upstream::start([]).await;
    let call = house.grant(QUERY, &upstream.url).call();
    let calls = (0..200).map(|_| house.executor.execute(call.clone()));
    for answer in futures_util::future::join_all(calls).await {
        assert!(answer.is_ok(), "{:?}", answer.err());
    }
    assert_eq!(upstream.calls(), 200);
}

#[tokio::test]
async fn idle_actors_stop_and_take_their_connections_with_them() {
    let house = House::open_with(|config| config.idle_timeout = Duration::from_millis(20));
    let upstream = Upstream::start([]).await;
    let grant = house.grant(QUERY, &upstream.url);
    house.good(&grant).await;
    upstream.until_ended(1).await;
    assert_eq!(house.good(&grant).await, GOOD);
}

#[tokio::test]
async fn the_actor_that_was_longest_idle_makes_room() {
    let house = House::open_with(|config| config.max_actors = 1);
    let (one, two) = (Upstream::start([]).await, Upstream::start([]).await);
    for _ in 0..3 {
        assert_eq!(house.good(&house.grant(QUERY, &one.url)).await, GOOD);
        assert_eq!(house.good(&house.grant(MUTATION, &two.url)).await, GOOD);
    }
    one.until_ended(3).await;
    two.until_ended(2).await;
}

#[test]
fn on_a_thread_with_actors_a_call_stays_on_it() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let house = House::open_with(move |config| {
        config.observer = Some(Arc::new(move |stage, _: &str| {
            log.lock().unwrap().push((stage, thread::current().id()));
        }));
    });
    let work = async {
        let upstream = Upstream::start([]).await;
        let call = house.grant(QUERY, &upstream.url).call();
        assert!(tokio::spawn(house.executor.execute(call)).await.unwrap().is_ok());
    };
    executor::block_on(work).unwrap();
    let here = thread::current().id();
    assert_eq!(*seen.lock().unwrap(), [(Stage::Prepare, here), (Stage::Admit, here), (Stage::Send, here)]);
}

#[test]
fn a_portal_that_more_calls_come_for_than_it_can_look_at_refuses_the_rest_at_once() {
    let house = House::open();
    let work = async {
        let upstream = Upstream::start([]).await;
        let grant = house.grant(QUERY, &upstream.url);
        assert_eq!(house.good(&grant).await, GOOD);
        let mut calls: Vec<_> = (0..1_500).map(|_| house.executor.execute(grant.call())).collect();
        // Between them nobody has a turn, the portal's actor neither.
        let mut refused = 0;
        for call in &mut calls {
            if let Poll::Ready(answer) = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await {
                assert_eq!(answer.err().unwrap().reason(), Reason::Overloaded);
                refused += 1;
            }
        }
        assert!((400..600).contains(&refused), "{refused}");
        drop(calls);
        // Once the actor has had its turn there is room again.
        while let Err(fault) = house.executor.execute(grant.call()).await {
            assert_eq!(fault.reason(), Reason::Overloaded);
            tokio::task::yield_now().await;
        }
    };
    executor::block_on(work).unwrap();
}
