//! The commands that serve: each opens its rooms, joins them and keeps them going until a signal.

pub(crate) mod demo_upstream;
pub(crate) mod edge;
pub(crate) mod executor;
mod issuers;
pub(crate) mod registry;
mod sessions;
pub(crate) mod up;

use crate::{
    cli::serve,
    config::Listen,
    exit::Failure,
    host::{
        Bound, Crew, Shutdown, Station, Trigger,
        address::Connections,
        connection::{Peers, Room},
        crew,
        share::Share,
        shutdown::Signals,
    },
    logging,
    ops::{self, Check, Readiness},
};
use std::{sync::Arc, time::Duration};
use tokio::time;

/// The operations address has a room of its own, so that a full house can still say that it is full.
const OPS_CONNECTIONS: u32 = 64;
/// How often gRPC health follows readiness.
const HEALTH: Duration = Duration::from_secs(1);
/// How often it is asked until it can: whoever waits for a start is not kept waiting.
const HEALTH_STARTING: Duration = Duration::from_millis(50);

/// A process that serves: its limits, its end, and what it waits for.
pub(crate) struct Process {
    threads: usize,
    drain: Duration,
    started: ops::Started,
    /// Ends the operations address.
    ops: Trigger,
    connections: Connections,
    trigger: Trigger,
    /// Begins with the first signal.
    pub(crate) shutdown: Shutdown,
    signals: Signals,
}

/// Starts the log and a runtime, and runs `role` on it.
///
/// The runtime does what is not for callers: the registry, operations, leases. Callers are served by the crew.
pub(crate) fn run<F, R>(options: &serve::Process, role: F) -> Result<(), Failure>
where
    F: FnOnce(Process) -> R,
    R: Future<Output = Result<(), Failure>>,
{
    logging::start(options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("house")
        .enable_all()
        .build()
        .map_err(|error| Failure::system(format!("starting a runtime: {error}")))?;
    runtime.spawn_blocking(gather_randomness);
    let done = runtime.block_on(async {
        let process = Process::start(options)?;
        role(process).await
    });
    // What still blocks one of its threads does not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

/// The first randomness of a process comes from the jitter of its processor, for which the library takes some 60 ms:
/// while it starts, and not while a call waits for a ticket or a TLS connection.
fn gather_randomness() {
    if aws_lc_rs::rand::fill(&mut [0]).is_err() {
        tracing::error!("the system has no randomness to give");
    }
}

impl Process {
    /// Takes signals and serves the operations address: that the process lives is to be seen while it starts, too.
    fn start(options: &serve::Process) -> Result<Self, Failure> {
        // First: what a room counts before there is somebody to count is lost.
        let metrics = ops::Metrics::begin()?;
        let (trigger, shutdown) = Trigger::new();
        let signals =
            Signals::take().map_err(|error| Failure::system(format!("listening for signals: {error}")))?;
        let started = ops::Started::default();
        let ops = Bound::bind(&Listen::Tcp(options.ops_listen), 1)?;
        let ops = serve_ops(ops, ops::router(Arc::clone(&started), metrics))?;
        Ok(Self {
            threads: crew::threads(options.threads),
            drain: options.drain_timeout,
            started,
            ops,
            connections: Connections::new(options.max_connections, options.max_connections_per_address),
            trigger,
            shutdown,
            signals,
        })
    }

    /// Binds an address for the threads that serve.
    pub(crate) fn bind(&self, listen: &Listen) -> Result<Bound, Failure> {
        Bound::bind(listen, self.threads)
    }

    /// Serves `stations` until a signal and then until they have drained; `meanwhile` runs beside them.
    ///
    /// A second signal ends the process at once.
    pub(crate) async fn serve(
        mut self,
        stations: Vec<Station>,
        readiness: Readiness,
        meanwhile: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Failure> {
        let mut crew = Crew::start(self.threads, stations, &self.connections, &self.shutdown, self.drain)?;
        // It is set once, here.
        let _first = self.started.set(readiness);
        tokio::select! {
            () = self.signals.next() => {}
            ended = crew.ended() => {
                return ended.and_then(|()| Err(Failure::internal("the serving threads ended by themselves")));
            }
            failure = forever(meanwhile) => return Err(failure),
        }
        tracing::info!("shutting down");
        self.trigger.begin();
        tokio::spawn(self.signals.end_at_next());
        let drained = crew.ended().await;
        self.ops.begin();
        tracing::info!("stopped");
        drained
    }
}

/// Waits for ever where `work` succeeds.
async fn forever(work: impl Future<Output = Result<(), Failure>>) -> Failure {
    match work.await {
        Ok(()) => std::future::pending().await,
        Err(failure) => failure,
    }
}

/// Serves the operations address until the trigger that it returns, which outlasts the drain.
fn serve_ops(bound: Bound, router: axum::Router) -> Result<Trigger, Failure> {
    let (trigger, shutdown) = Trigger::new();
    tracing::info!(service = "ops", address = %bound.address, "listening");
    let socket = bound.sockets.into_iter().next();
    let socket = socket.ok_or_else(|| Failure::internal("the operations address has no socket"))?;
    let connections = Connections::new(OPS_CONNECTIONS, 0);
    tokio::spawn(crate::host::accept::serve(
        socket,
        Share::alone(),
        Room::Routes(router),
        Peers::Public,
        connections,
        shutdown,
    ));
    Ok(trigger)
}

/// Keeps gRPC health as readiness is.
pub(crate) async fn follow_readiness(
    reporter: tonic_health::server::HealthReporter,
    services: &'static [&'static str],
    readiness: Readiness,
) {
    loop {
        let ready = readiness.ready().await.is_ok();
        crate::host::grpc::report(&reporter, services, ready).await;
        time::sleep(if ready { HEALTH } else { HEALTH_STARTING }).await;
    }
}

/// A check of a room that can be asked.
pub(crate) fn check<T, F, R>(room: &T, ask: F) -> Check
where
    T: Clone + Send + Sync + 'static,
    F: Fn(T) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Option<String>, String>> + Send + 'static,
{
    let room = room.clone();
    Arc::new(move || Box::pin(ask(room.clone())))
}
