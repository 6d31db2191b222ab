//! Identical queries in flight of a portal that coalesces: what they share, and what each keeps for itself.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails ends here"
)]

mod support;

use bytes::Bytes;
use model::{Fault, Reason};
use proto::{Answer, Call, Execute, grant::UpstreamSecrets};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use support::{
    Granted, House, MUTATION, QUERY, collect,
    upstream::{Act, GOOD, Upstream, ok, reply},
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
};

/// A house that tells of each call that has been prepared, and so has its place.
struct Stage {
    house: House,
    prepared: mpsc::Receiver<String>,
}

type Running = JoinHandle<Result<Answer, Fault>>;

impl Stage {
    fn open() -> Self {
        let (tell, prepared) = mpsc::channel(64);
        let house = House::open_with(|config| {
            config.observer = Some(Arc::new(move |stage, request_id: &str| {
                if stage == executor::Stage::Prepare {
                    tell.try_send(request_id.to_owned()).ok();
                }
            }));
        });
        Self { house, prepared }
    }

    fn grant(&self, document: &str, upstream: &Upstream) -> Granted {
        self.house.grant(document, &upstream.url).change(|claims| claims.coalesce = true)
    }

    /// Starts a call and waits until the portal's actor has seen it.
    async fn start(&mut self, call: Call) -> Running {
        let running = tokio::spawn(self.house.executor.execute(call));
        self.prepared.recv().await.unwrap();
        running
    }
}

async fn body(running: Running) -> String {
    let answer = running.await.unwrap().unwrap_or_else(|fault| panic!("{fault:?}"));
    String::from_utf8(collect(answer.body).await.unwrap().to_vec()).unwrap()
}

async fn fault(running: Running) -> Fault {
    running.await.unwrap().err().expect("it fails")
}

/// An upstream that holds its first answer, and what lets it go on.
async fn holding() -> (Upstream, Arc<Notify>) {
    let release = Arc::new(Notify::new());
    (Upstream::start([Act::Wait(Arc::clone(&release))]).await, release)
}

/// A second call whose answer has come tells that everything before it had its turn.
async fn settled(stage: &mut Stage, upstream: &Upstream) {
    let other = stage.grant("query other { other }", upstream);
    let running = stage.start(other.call()).await;
    assert_eq!(body(running).await, GOOD);
}

#[tokio::test]
async fn identical_queries_are_sent_once_and_each_is_answered() {
    let (upstream, release) = holding().await;
    let mut stage = Stage::open();
    let call = stage.grant(QUERY, &upstream).call();
    let mut running = Vec::new();
    for _ in 0..5 {
        running.push(stage.start(call.clone()).await);
    }
    upstream.until_called(1).await;
    release.notify_one();
    for call in running {
        assert_eq!(body(call).await, GOOD);
    }
    assert_eq!(upstream.calls(), 1);

    let later = stage.start(call).await;
    assert_eq!(body(later).await, GOOD);
    assert_eq!(upstream.calls(), 2, "what was answered is not kept");
}

#[tokio::test]
async fn what_is_not_the_same_is_sent_by_itself() {
    let (upstream, release) = holding().await;
    let mut stage = Stage::open();
    let call = stage.grant(QUERY, &upstream).call();
    let first = stage.start(call.clone()).await;
    upstream.until_called(1).await;

    let other_token = stage.grant(QUERY, &upstream).change(|claims| claims.token = "another".to_owned());
    let other_credential = stage.grant(QUERY, &upstream).secrets(&UpstreamSecrets::default());
    let other_portal = stage.grant(QUERY, &upstream).change(|claims| claims.portal = "another".to_owned());
    let other_revision = stage.grant(QUERY, &upstream).change(|claims| claims.revision = 2);
    let without = stage.house.grant(QUERY, &upstream.url);
    let other_variables = Call { variables: Bytes::from_static(br#"{"id":"2"}"#), ..call.clone() };
    let calls =
        [&other_token, &other_credential, &other_portal, &other_revision, &without].map(Granted::call);
    for (number, call) in calls.into_iter().chain([other_variables]).enumerate() {
        let running = stage.start(call).await;
        assert_eq!(body(running).await, GOOD);
        assert_eq!(upstream.calls(), 2 + number, "call {number}");
    }
    release.notify_one();
    assert_eq!(body(first).await, GOOD);
}

#[tokio::test]
async fn one_token_has_one_principal_through_a_renewed_grant() {
    let (upstream, release) = holding().await;
    let mut stage = Stage::open();
    let grant = stage.grant(QUERY, &upstream);
    let first = stage.start(grant.call()).await;
    upstream.until_called(1).await;
    let renewed = grant.change(|claims| claims.exp += 60);
    let second = stage.start(renewed.call()).await;
    settled(&mut stage, &upstream).await;
    release.notify_one();
    assert_eq!((body(first).await, body(second).await), (GOOD.to_owned(), GOOD.to_owned()));
    assert_eq!(upstream.calls(), 2, "one, and the other one that settles");
}

#[tokio::test]
async fn mutations_are_each_sent() {
    let release = Arc::new(Notify::new());
    let upstream = Upstream::start([Act::Wait(Arc::clone(&release))]).await;
    let mut stage = Stage::open();
    let call = stage.grant(MUTATION, &upstream).call();
    let first = stage.start(call.clone()).await;
    upstream.until_called(1).await;
    let second = stage.start(call).await;
    assert_eq!(body(second).await, GOOD);
    assert_eq!(upstream.calls(), 2);
    release.notify_one();
    assert_eq!(body(first).await, GOOD);
}

#[tokio::test]
async fn each_is_told_which_of_its_own_variables_were_left_out() {
    let (upstream, release) = holding().await;
    let mut stage = Stage::open();
    let call = stage.grant(QUERY, &upstream).change(|claims| claims.ignore_extra_variables = true).call();
    let mut running = Vec::new();
    for variables in [r#"{"one":1}"#, r#"{"two":2}"#] {
        let variables = Bytes::from_static(variables.as_bytes());
        running.push(stage.start(Call { variables, ..call.clone() }).await);
    }
    upstream.until_called(1).await;
    release.notify_one();
    for (call, ignored) in running.into_iter().zip(["one", "two"]) {
        assert_eq!(call.await.unwrap().unwrap().ignored_variables, [ignored]);
    }
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test]
async fn whoever_leaves_takes_nothing_from_those_who_stay() {
    for leaver in [0, 1] {
        let (upstream, release) = holding().await;
        let mut stage = Stage::open();
        let call = stage.grant(QUERY, &upstream).call();
        let mut running = vec![stage.start(call.clone()).await];
        upstream.until_called(1).await;
        running.push(stage.start(call).await);
        settled(&mut stage, &upstream).await;
        let leaving = running.remove(leaver);
        leaving.abort();
        assert!(leaving.await.is_err_and(|error| error.is_cancelled()));
        settled(&mut stage, &upstream).await;
        release.notify_one();
        assert_eq!(body(running.remove(0)).await, GOOD);
        assert_eq!(upstream.calls(), 3, "the shared one, and two that settle");
    }
}

#[tokio::test]
async fn when_the_last_has_left_the_upstream_is_left() {
    let (upstream, _release) = holding().await;
    let mut stage = Stage::open();
    let call = stage.grant(QUERY, &upstream).call();
    let running = [stage.start(call.clone()).await, stage.start(call).await];
    upstream.until_called(1).await;
    for call in running {
        call.abort();
    }
    upstream.until_left(1).await;
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test]
async fn each_has_its_own_deadline() {
    for hurried in [0, 1] {
        let (upstream, release) = holding().await;
        let mut stage = Stage::open();
        let call = stage.grant(QUERY, &upstream).call();
        let mut running = Vec::new();
        for number in 0..2 {
            let mut call = call.clone();
            if number == hurried {
                call.deadline = Instant::now() + Duration::from_millis(200);
            }
            running.push(stage.start(call).await);
        }
        upstream.until_called(1).await;
        let out_of_time = fault(running.remove(hurried)).await;
        assert_eq!(out_of_time.reason(), Reason::UpstreamTimeout, "{out_of_time:?}");
        release.notify_one();
        assert_eq!(body(running.remove(0)).await, GOOD);
        assert_eq!(upstream.calls(), 1);
    }
}

#[tokio::test]
async fn a_failure_of_the_upstream_is_everybodys() {
    let release = Arc::new(Notify::new());
    let failure = reply("500 Internal Server Error", "", "");
    let upstream = Upstream::start([Act::Pause(Vec::new(), Arc::clone(&release), failure)]).await;
    let mut stage = Stage::open();
    let call = stage.grant(QUERY, &upstream).call();
    let running = [stage.start(call.clone()).await, stage.start(call).await];
    upstream.until_called(1).await;
    release.notify_one();
    for call in running {
        assert_eq!(fault(call).await.reason(), Reason::UpstreamError);
    }
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test]
async fn a_panic_of_the_call_that_fetches_is_not_the_others() {
    let (tell, mut prepared) = mpsc::channel(64);
    let house = House::open_with(|config| {
        config.max_calls_per_upstream = 1;
        config.queue_timeout = Duration::from_secs(10);
        config.observer = Some(Arc::new(move |stage, request_id: &str| {
            assert!(stage != executor::Stage::Send || request_id != "poisoned", "a poisoned call");
            if stage == executor::Stage::Prepare {
                tell.try_send(()).ok();
            }
        }));
    });
    let (upstream, release) = holding().await;
    let grant = house.grant(QUERY, &upstream.url).change(|claims| claims.coalesce = true);
    let occupant = tokio::spawn(house.executor.execute(house.grant(MUTATION, &upstream.url).call()));
    upstream.until_called(1).await;
    prepared.recv().await.unwrap();
    let mut running = Vec::new();
    for request_id in ["poisoned", "sound"] {
        let call = Call { request_id: request_id.to_owned(), ..grant.call() };
        running.push(tokio::spawn(house.executor.execute(call)));
        prepared.recv().await.unwrap();
    }
    release.notify_one();
    assert_eq!(body(occupant).await, GOOD);
    assert_eq!(fault(running.remove(0)).await.reason(), Reason::Internal);
    assert_eq!(body(running.remove(0)).await, GOOD);
}

#[tokio::test]
async fn a_long_answer_is_one_calls_and_the_others_fetch_their_own() {
    let long = format!(r#"{{"data":"{}"}}"#, "x".repeat(300 << 10));
    let release = Arc::new(Notify::new());
    let first = Act::Pause(Vec::new(), Arc::clone(&release), ok(&long));
    let upstream = Upstream::start([first, Act::Write(ok(&long)), Act::Write(ok(&long))]).await;
    let mut stage = Stage::open();
    let call = stage.grant(QUERY, &upstream).call();
    let running = [stage.start(call.clone()).await, stage.start(call.clone()).await, stage.start(call).await];
    upstream.until_called(1).await;
    release.notify_one();
    for call in running {
        assert_eq!(body(call).await, long);
    }
    assert_eq!(upstream.calls(), 3);
}

/// What a call has waited for another's answer is none of the time that its upstream was given.
#[tokio::test]
async fn a_call_that_waited_first_counts_from_when_it_goes_alone() {
    const FOLLOWERS: usize = 24;
    let long = format!(r#"{{"data":"{}"}}"#, "x".repeat(300 << 10));
    let release = Arc::new(Notify::new());
    let first = Act::Pause(Vec::new(), Arc::clone(&release), ok(&long));
    let silent = std::iter::repeat_n(Act::Hang(Vec::new()), FOLLOWERS);
    let upstream = Upstream::start(std::iter::once(first).chain(silent)).await;
    let elsewhere = Upstream::start([Act::Hang(Vec::new())]).await;
    let mut stage = Stage::open();
    // An upstream must have been given a second before its silence counts.
    let grant = stage.grant(QUERY, &upstream).timeout(Duration::from_secs(4));
    let began = Instant::now();
    let leader = stage.start(grant.call()).await;
    let mut followers = Vec::new();
    for _ in 0..FOLLOWERS {
        let call = Call { deadline: began + Duration::from_millis(1_500), ..grant.call() };
        followers.push(stage.start(call).await);
    }
    upstream.until_called(1).await;
    let hurried =
        Call { deadline: began + Duration::from_millis(600), ..stage.grant(QUERY, &elsewhere).call() };
    let hurried = stage.start(hurried).await;
    assert_eq!(fault(hurried).await.reason(), Reason::UpstreamTimeout);
    release.notify_one();
    assert_eq!(body(leader).await, long);
    for follower in followers {
        assert_eq!(fault(follower).await.reason(), Reason::UpstreamTimeout);
    }
    assert_eq!(upstream.calls(), 1 + FOLLOWERS);
    let next = stage.start(grant.call()).await;
    assert_eq!(body(next).await, GOOD);
}

#[tokio::test]
async fn an_upstream_that_lets_everybodys_time_pass_is_left_alone_at_last() {
    let upstream = Upstream::start((0..40).map(|_| Act::Hang(Vec::new()))).await;
    let stage = Stage::open();
    let grant = stage.grant(QUERY, &upstream).timeout(Duration::from_millis(50));
    let mut refused = 0;
    for _ in 0..40 {
        let call = Call { deadline: Instant::now() + Duration::from_millis(40), ..grant.call() };
        let running = tokio::spawn(stage.house.executor.execute(call));
        refused += usize::from(fault(running).await.reason() == Reason::UpstreamCircuitOpen);
    }
    assert!(refused > 0, "the circuit opens");
}
