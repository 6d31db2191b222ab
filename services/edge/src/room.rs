//! The edge as a whole: what it is made of, and how it is opened.

use crate::{
    Config,
    authorization::{ask::Authorizer, grants::Grants},
    exchange,
    log::Log,
    observe::Metrics,
    rest, router, watch,
};
use bytes::Bytes;
use proto::{Channel, Execute};
use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Instant,
};
use tokio::sync::Semaphore;

/// The edge, shared by all threads that serve it.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) authorizer: Arc<Authorizer>,
    pub(crate) executor: Arc<dyn Execute>,
    pub(crate) administration: rest::Client,
    pub(crate) membership: rest::MembershipClient,
    pub(crate) sign_in: rest::SignInClient,
    pub(crate) codes: rest::CodeClient,
    pub(crate) exchange: exchange::Client,
    /// One permit for each exchange in flight.
    pub(crate) exchanges: Arc<Semaphore>,
    pub(crate) quotas: rest::Quotas,
    /// One permit for each call in flight.
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log: Log,
    /// The document of the management, once somebody has asked for it.
    pub(crate) openapi: OnceLock<Bytes>,
    registry: Channel,
}

/// Opens an edge that asks `registry` and runs on `executor`.
pub fn open(config: Config, registry: Channel, executor: Arc<dyn Execute>) -> Edge {
    let base = Instant::now();
    let metrics = Arc::new(Metrics::new());
    let grants = Grants::new(&config, base);
    let authorizer = Arc::new(Authorizer::new(grants, registry.clone(), Arc::clone(&metrics), base));
    Edge(Arc::new(Inner {
        authorizer,
        executor,
        administration: rest::client(registry.clone()),
        membership: rest::membership_client(registry.clone()),
        sign_in: rest::sign_in_client(registry.clone()),
        codes: rest::code_client(registry.clone()),
        exchange: exchange::client(registry.clone()),
        exchanges: Arc::new(Semaphore::new(exchange::MAX_EXCHANGES)),
        quotas: rest::Quotas::new(config.rest_rate_limit, base),
        calls: Arc::new(Semaphore::new(config.max_calls)),
        metrics,
        log: Log::new(),
        openapi: OnceLock::new(),
        registry,
        config,
    }))
}

impl Edge {
    /// What answers requests; a thread's own.
    pub fn service(&self) -> router::Service {
        router::Service::new(Arc::clone(&self.0))
    }

    /// Keeps the lease until `shutdown`; to be run once.
    pub async fn watch(&self, shutdown: impl Future<Output = ()>) {
        let Inner { config, authorizer, metrics, registry, .. } = &*self.0;
        watch::run(&authorizer.grants, registry.clone(), &config.edge_key, metrics, shutdown).await;
    }

    /// Whether calls can be served: there is a lease, or was one within the staleness, and an executor.
    ///
    /// # Errors
    ///
    /// What is missing, in words for an operator.
    pub async fn ready(&self) -> Result<(), String> {
        if !self.0.authorizer.grants.serve(Instant::now()) {
            return Err("no lease from the registry".to_owned());
        }
        if !self.0.executor.reachable() {
            return Err("no executor can be reached".to_owned());
        }
        Ok(())
    }
}

impl fmt::Debug for Edge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Edge").field("config", &self.0.config).finish_non_exhaustive()
    }
}
