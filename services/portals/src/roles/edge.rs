//! `portals edge`: public HTTP in front of registries and executors.

use super::check;
use crate::{
    cli::serve,
    config::{Listen, secret},
    exit::Failure,
    host::{
        Bound, Shutdown, Station,
        connection::{Peers, Room},
        grpc,
    },
    ops::Readiness,
    roles::{registry::no_edge_key, sessions::PerThread},
};
use edge::Edge;
use model::Secret;
use proto::{Execute, channel};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// Runs an edge until a signal.
pub(crate) fn run(options: serve::Edge) -> Result<(), Failure> {
    let key = options.edge_key;
    let key = secret::read("edge-key", key.edge_key, key.edge_key_file)?.ok_or_else(no_edge_key)?;
    let key = secret::operators("edge-key", key)?;
    super::run(&options.process, |process| async move {
        let bound = process.bind(&Listen::Tcp(options.public.listen))?;
        let registry = channel::remote(grpc::connect_any(&options.registry)?);
        let sessions = Arc::new(PerThread::new(options.executor)?);
        let executor: Arc<dyn Execute> = Arc::<PerThread>::clone(&sessions);
        let edge = edge::open(config(options.public, &bound, key), registry, executor);
        let readiness = Readiness::new(vec![("edge", ready(&edge))], process.shutdown.clone());
        let mut station = station(bound, &edge);
        let room = station.room;
        station.room = Arc::new(move || {
            sessions.open();
            room()
        });
        watch(&edge, process.shutdown.clone());
        process.serve(vec![station], readiness, std::future::pending()).await
    })
}

/// What the flags say about the edge.
pub(crate) fn config(options: serve::Public, bound: &Bound, edge_key: Secret) -> edge::Config {
    let public_url = options.public_url.unwrap_or_else(|| url_of(bound));
    let mut config = edge::Config::new(public_url, edge_key);
    config.trusted_proxies = options.trusted_proxies.unwrap_or_default();
    config.max_staleness = options.max_staleness;
    config.body_timeout = options.body_timeout;
    config.max_calls = usize::try_from(options.max_calls).unwrap_or(usize::MAX);
    config.rest_rate_limit = options.rest_rate_limit;
    config
}

/// The URL of a listener, as this machine reaches it.
pub(crate) fn url_of(bound: &Bound) -> String {
    let Some(mut address) = bound.tcp() else { return String::new() };
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}

/// Public HTTP on every thread.
pub(crate) fn station(bound: Bound, edge: &Edge) -> Station {
    let edge = edge.clone();
    Station { name: "http", bound, peers: Peers::Public, room: Arc::new(move || Room::Edge(edge.service())) }
}

/// Whether the edge can serve.
pub(crate) fn ready(edge: &Edge) -> crate::ops::Check {
    check(edge, |edge| async move { edge.ready().await.map(|()| None) })
}

/// Keeps the edge's lease until the shutdown; calls in flight then have been authorized.
pub(crate) fn watch(edge: &Edge, shutdown: Shutdown) {
    let edge = edge.clone();
    tokio::spawn(async move { edge.watch(shutdown.begun()).await });
}
