//! What an executor is opened with: keys, roots and limits. Where they come from is not known here.

use crate::outbound;
use model::key::Keyring;
use rustls_pki_types::CertificateDer;
use std::{sync::Arc, time::Duration};

/// What an executor is opened with.
#[derive(Clone)]
pub struct Config {
    /// Verifies grants and opens credentials.
    pub keyring: Keyring,
    /// Authorities that upstreams' certificates may come from, besides the system's.
    pub upstream_ca: Vec<CertificateDer<'static>>,
    /// The way to upstreams where there is no direct one.
    pub proxy: outbound::Proxy,
    /// The most bytes of an upstream's answer, decompressed.
    pub max_response_bytes: u64,
    /// The most calls in flight to one upstream, over all threads. 256: what a GraphQL API of some size lets one
    /// client have, and few enough that a hanging upstream leaves most of `max_calls` to the others.
    pub max_calls_per_upstream: usize,
    /// The most calls in flight in all. 4,096: at 256 KiB of answer held by each at most, a gigabyte in the
    /// worst case and some tens of megabytes in any real one.
    pub max_calls: usize,
    /// The most calls in flight of one session.
    pub max_calls_per_session: usize,
    /// How long a call waits for its turn at a busy upstream; no more calls wait than have a turn.
    pub queue_timeout: Duration,
    /// How long a connection may take, from the name's resolution to the end of the TLS handshake.
    pub connect_timeout: Duration,
    /// How long a portal's actor stays without a call; an upstream's stays twice as long.
    pub idle_timeout: Duration,
    /// The most actors of a kind on one thread.
    pub max_actors: usize,
    /// The most answers that wait to be fetched.
    pub max_tickets: usize,
    /// How long an answer waits to be fetched.
    pub ticket_timeout: Duration,
    /// Is told of each stage that a call enters.
    pub observer: Option<StageObserver>,
}

/// What a call is about to do.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stage {
    /// Picks the operation and coerces the variables, on the portal's actor.
    Prepare,
    /// Asks for a connection and a turn, on the upstream's actor.
    Admit,
    /// Sends the request.
    Send,
}

/// Is called with a stage and the call's request id before the stage begins; a panic in it is that call's fault.
pub type StageObserver = Arc<dyn Fn(Stage, &str) + Send + Sync>;

impl Config {
    /// The defaults.
    pub fn new(keyring: Keyring) -> Self {
        Self {
            keyring,
            upstream_ca: Vec::new(),
            proxy: outbound::Proxy::default(),
            max_response_bytes: 32 << 20,
            max_calls_per_upstream: 256,
            max_calls: 4096,
            max_calls_per_session: 1024,
            queue_timeout: Duration::from_millis(250),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(300),
            max_actors: 1024,
            max_tickets: 256,
            ticket_timeout: Duration::from_secs(10),
            observer: None,
        }
    }

    /// Tells the observer that a call enters `stage`.
    pub(crate) fn observe(&self, stage: Stage, request_id: &str) {
        if let Some(observer) = &self.observer {
            observer(stage, request_id);
        }
    }
}
