//! The gRPC service over a real connection: what flow control and a broken connection do.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails ends here"
)]

mod support;

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use proto::{Channel, executor::v1::session_request::Event};
use std::{sync::Arc, time::Duration};
use support::{
    House, QUERY,
    session::{Session, begin_fetch, hashed},
    upstream::{Act, GOOD, Upstream, ok},
};
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tonic::transport::Endpoint;

/// Serves the executor and connects to it.
async fn connect(house: &House) -> (Channel, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = TowerToHyperService::new(house.executor.service());
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let server = auto::Builder::new(TokioExecutor::new()).http2_only();
        server.serve_connection(TokioIo::new(stream), service).await.ok();
    });
    let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    (proto::channel::remote(channel), serving)
}

#[tokio::test]
async fn whoever_reads_a_large_answer_slowly_holds_up_nobody() {
    let house = House::open();
    let (channel, _serving) = connect(&house).await;
    let long = format!(r#"{{"data":"{}"}}"#, "x".repeat(20 << 20));
    let upstream = Upstream::start([Act::Write(ok(&long))]).await;
    let grant = house.grant(QUERY, &upstream.url);
    let mut session = Session::open(channel.clone()).await;
    session.call(0, &grant).await;
    let ticket = session.next().await.1.unwrap().ticket;
    let mut parts = begin_fetch(channel, ticket).await.unwrap();
    let mut read = parts.message().await.unwrap().unwrap().chunk.to_vec();

    for id in 1..=200 {
        session.send(Event::Call(hashed(id, &grant))).await;
    }
    for _ in 1..=200 {
        assert_eq!(session.next().await.1.unwrap().body, GOOD);
    }
    while let Some(part) = timeout(Duration::from_secs(10), parts.message()).await.unwrap().unwrap() {
        read.extend_from_slice(&part.chunk);
    }
    assert!(read == long.into_bytes());
}

#[tokio::test]
async fn a_broken_connection_ends_its_calls() {
    let house = House::open();
    let (channel, serving) = connect(&house).await;
    let upstream = Upstream::start([Act::Wait(Arc::default())]).await;
    let session = Session::open(channel).await;
    session.call(1, &house.grant(QUERY, &upstream.url)).await;
    upstream.until_called(1).await;
    drop(session);
    upstream.until_left(1).await;
    serving.abort();
}
