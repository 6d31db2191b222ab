//! Grants over time: asked for once, kept, withdrawn, and what happens when the registry is away.

use crate::stage::{PATH, Stage, TOKEN, granted};
use axum::body::Body;
use bytes::Bytes;
use http::Method;
use model::{Fault, Reason};
use proto::registry::v1::{Withdrawn, watch_response::Event, withdrawn::Scope};
use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;

fn withdrawn(store_revision: u64) -> Event {
    Event::Withdrawn(Withdrawn { store_revision, scope: Some(Scope::TokenUuid(TOKEN.to_owned())) })
}

/// Waits until the edge has taken in its lease.
async fn leased(stage: &Stage) {
    while stage.edge.ready().await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_grant_is_asked_for_once_and_a_refusal_is_remembered_for_a_moment() {
    let stage = Stage::open();
    for _ in 0..3 {
        assert_eq!(stage.invoke("{}").await.status, 200);
    }
    assert_eq!(stage.registry.authorized().len(), 1);
    let stage = Stage::open();
    stage.registry.refuse(Reason::Unauthenticated);
    for _ in 0..3 {
        stage.invoke("{}").await.assert_fault(401, "UNAUTHENTICATED");
    }
    assert_eq!(stage.registry.authorized().len(), 1);
}

#[tokio::test]
async fn callers_who_want_to_know_the_same_ask_once() {
    let stage = Stage::open();
    let _watch = stage.watch();
    stage.registry.watch().await.begin(1, 60_000).await;
    leased(&stage).await;
    let gate = Arc::new(Notify::new());
    let waiting = Arc::clone(&gate);
    stage.registry.on_authorize(move |_| {
        let waiting = Arc::clone(&waiting);
        async move {
            waiting.notified().await;
            Ok(granted())
        }
    });
    let calls = futures_util::future::join_all((0..20).map(|_| stage.invoke("{}")));
    let open = async {
        while stage.registry.authorized().is_empty() {
            tokio::task::yield_now().await;
        }
        gate.notify_waiters();
    };
    let (replies, ()) = tokio::join!(calls, open);
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(stage.registry.authorized().len(), 1);
}

#[tokio::test]
async fn a_withdrawn_token_is_dead_once_the_edge_has_acknowledged() {
    let stage = Stage::open();
    let _watch = stage.watch();
    let mut watch = stage.registry.watch().await;
    assert_eq!(watch.metadata.get("authorization").unwrap(), "Bearer edge-key");
    watch.begin(10, 60_000).await;
    leased(&stage).await;
    assert_eq!(stage.invoke("{}").await.status, 200);

    stage.registry.refuse(Reason::Unauthenticated);
    watch.say(withdrawn(11)).await;
    watch.acknowledged(11).await;

    stage.invoke("{}").await.assert_fault(401, "UNAUTHENTICATED");
    assert_eq!(stage.executor.calls().len(), 1);
}

#[tokio::test]
async fn a_token_that_dies_while_the_body_comes_in_runs_nothing() {
    let stage = Stage::open();
    let _watch = stage.watch();
    let mut watch = stage.registry.watch().await;
    watch.begin(10, 60_000).await;
    leased(&stage).await;
    let (sender, body) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let call = stage.ask(stage.request(Method::POST, PATH, Body::from_stream(ReceiverStream::new(body))));
    let revoke = async {
        sender.send(Ok(Bytes::from_static(b"{"))).await.unwrap();
        sender.reserve().await.unwrap();
        stage.registry.refuse(Reason::Unauthenticated);
        watch.say(withdrawn(11)).await;
        watch.acknowledged(11).await;
        sender.send(Ok(Bytes::from_static(b"}"))).await.unwrap();
        drop(sender);
    };
    let (reply, ()) = tokio::join!(call, revoke);
    reply.assert_fault(401, "UNAUTHENTICATED");
    assert!(stage.executor.calls().is_empty());
}

#[tokio::test]
async fn an_answer_that_a_withdrawal_overtakes_is_asked_for_again() {
    let stage = Stage::open();
    let _watch = stage.watch();
    let mut watch = stage.registry.watch().await;
    watch.begin(10, 60_000).await;
    leased(&stage).await;
    let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (times, opened) = (Arc::clone(&asked), Arc::clone(&gate));
    stage.registry.on_authorize(move |_| {
        let (first, opened) = (times.fetch_add(1, Ordering::SeqCst) == 0, Arc::clone(&opened));
        async move {
            if first {
                // It was read before the change, and arrives after the edge has heard of it.
                opened.notified().await;
                return Ok(granted());
            }
            Err(Fault::new(Reason::Unauthenticated, "revoked"))
        }
    });
    let revoke = async {
        while asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        watch.say(withdrawn(11)).await;
        watch.acknowledged(11).await;
        gate.notify_one();
    };
    let (reply, ()) = tokio::join!(stage.invoke("{}"), revoke);
    reply.assert_fault(401, "UNAUTHENTICATED");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_registry_that_is_away_is_done_without_for_the_staleness() {
    for (max_staleness, status) in [(Duration::from_secs(60), 200), (Duration::ZERO, 503)] {
        let stage = Stage::with(|config| config.max_staleness = max_staleness);
        let watch = stage.watch();
        let mut registry = stage.registry.watch().await;
        registry.begin(10, 1_500).await;
        leased(&stage).await;
        assert_eq!(stage.invoke("{}").await.status, 200);
        stage.registry.on_authorize(|_| ready(Err(Fault::new(Reason::StorageUnavailable, "away"))));
        watch.abort();
        if status == 503 {
            while stage.edge.ready().await.is_ok() {
                tokio::task::yield_now().await;
            }
        }
        let reply = stage.invoke("{}").await;
        assert_eq!(reply.status.as_u16(), status);
        if status == 503 {
            reply.assert_fault(503, "REGISTRY_UNAVAILABLE");
            assert_eq!(reply.header("retry-after"), Some("1"));
        }
    }
}

#[tokio::test]
async fn a_caller_who_is_not_known_waits_for_no_registry_that_is_away() {
    let stage = Stage::open();
    stage.registry.on_authorize(|_| ready(Err(Fault::internal("disk on fire"))));
    let reply = stage.invoke("{}").await;
    reply.assert_fault(503, "REGISTRY_UNAVAILABLE");
    assert!(!reply.text().contains("fire"));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_hangs_is_waited_for_two_seconds() {
    let stage = Stage::open();
    stage.registry.on_authorize(|_| std::future::pending());
    let started = tokio::time::Instant::now();
    stage.invoke("{}").await.assert_fault(503, "REGISTRY_UNAVAILABLE");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_grant_that_the_executor_does_not_take_is_asked_for_anew_once() {
    let stage = Stage::open();
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    stage.executor.on_call(move |_| {
        ready(match counted.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Fault::new(Reason::GrantInvalid, "expired")),
            _ => Ok(crate::stage::answer(200, "{\"data\":{}}")),
        })
    });
    assert_eq!(stage.invoke("{}").await.status, 200);
    assert_eq!((tries.load(Ordering::SeqCst), stage.registry.authorized().len()), (2, 2));
    stage.executor.fail(|| Fault::new(Reason::GrantInvalid, "expired"));
    stage.invoke("{}").await.assert_fault(500, "INTERNAL");
}

#[tokio::test(start_paused = true)]
async fn a_broken_watch_is_begun_again() {
    let stage = Stage::open();
    let _watch = stage.watch();
    assert!(stage.edge.ready().await.is_err());
    drop(stage.registry.watch().await);
    stage.registry.watch().await.begin(10, 60_000).await;
    leased(&stage).await;
}

#[tokio::test]
async fn an_answer_without_readable_ranges_lets_nobody_in() {
    let stage = Stage::open();
    stage.registry.grant(|grant| grant.allowed_ip_addresses = vec!["everywhere".to_owned()]);
    stage.invoke("{}").await.assert_fault(503, "REGISTRY_UNAVAILABLE");
    assert!(stage.executor.calls().is_empty());
}
