//! The executor's one handle: a call from its grant to its answer, whichever way it came in.

use crate::{
    actors::{self, Panicked},
    answer::Start,
    coalesce,
    config::{Config, Stage},
    exchange::{Exchange, timed_out},
    flights::Overdue,
    gate::{Gates, Pass, overloaded},
    grants::{Grant, Grants},
    outbound::{self, Client, ClientError, Dialer},
    portal::Sendable,
    service::Service,
    thread::{self, Thread},
    tickets::Tickets,
};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::StatusCode;
use metrics::{Counter, Histogram};
use model::{Fault, Fingerprint, Reason, Secret};
use proto::{Answer, Body, Call, Execute};
use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout_at,
};

/// Tells the actors of several executors in one process apart.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Runs granted operations. Clones share everything; any thread may call.
#[derive(Clone)]
pub struct Executor(Arc<Shared>);

struct Shared {
    id: u64,
    config: Arc<Config>,
    grants: Grants,
    gates: Gates,
    dialer: Dialer,
    calls: Arc<Semaphore>,
    tickets: Arc<Tickets>,
    thread: Thread,
    metrics: Metrics,
}

/// Handles of what is counted for every call, made once.
struct Metrics {
    succeeded: Counter,
    upstream_seconds: Histogram,
}

/// The executor cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nothing could be sent upstream.
    #[error("no HTTP client can be made")]
    Client(#[source] ClientError),
}

/// A call whose grant was verified.
pub(crate) struct Invocation {
    pub(crate) grant: Arc<Grant>,
    pub(crate) operation_name: Option<String>,
    pub(crate) variables: Bytes,
    pub(crate) arrived: Instant,
    pub(crate) deadline: Instant,
    /// How long it may wait for its turn, if that is longer than others may.
    pub(crate) patience: Duration,
    pub(crate) request_id: String,
}

/// What a call is sent with, once it has its turn.
pub(crate) struct Ready {
    pub(crate) sendable: Sendable,
    pub(crate) client: Client,
    pub(crate) pass: Pass,
    /// When it got that.
    pub(crate) began: Instant,
}

/// An exchange whose answer has begun.
pub(crate) struct Begun {
    pub(crate) exchange: Box<Exchange>,
    pub(crate) status: StatusCode,
    pub(crate) start: Start,
    pub(crate) ignored: Vec<String>,
}

/// Opens an executor.
///
/// # Errors
///
/// `OpenError` when one of the additional authorities cannot be used.
pub fn open(config: Config) -> Result<Executor, OpenError> {
    let dialer = Dialer::new(&outbound::Config {
        roots: config.upstream_ca.clone(),
        proxy: config.proxy.clone(),
        connect_timeout: config.connect_timeout,
        max_calls: config.max_calls_per_upstream,
    })
    .map_err(OpenError::Client)?;
    Ok(Executor(Arc::new(Shared {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        grants: Grants::new(&config.keyring),
        gates: Gates::new(config.max_calls_per_upstream),
        dialer,
        calls: Arc::new(Semaphore::new(config.max_calls.clamp(1, Semaphore::MAX_PERMITS))),
        tickets: Arc::new(Tickets::new(config.max_tickets, config.ticket_timeout)),
        thread: Thread::default(),
        metrics: Metrics {
            succeeded: counter("OK"),
            upstream_seconds: metrics::histogram!("portals_executor_upstream_seconds"),
        },
        config: Arc::new(config),
    })))
}

impl Executor {
    /// The gRPC service.
    pub fn service(&self) -> Service {
        Service::new(self.clone())
    }

    /// Whether calls would be taken on.
    ///
    /// # Errors
    ///
    /// The reason why not, for an operator.
    pub async fn ready(&self) -> Result<(), String> {
        match self.0.calls.available_permits() {
            0 => Err(format!("all {} calls that may be in flight are", self.0.config.max_calls)),
            _ => Ok(()),
        }
    }

    /// Tells its actors from those of another executor on the same thread.
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.0.config
    }

    pub(crate) fn gates(&self) -> &Gates {
        &self.0.gates
    }

    pub(crate) fn dialer(&self) -> &Dialer {
        &self.0.dialer
    }

    pub(crate) fn tickets(&self) -> &Arc<Tickets> {
        &self.0.tickets
    }

    /// Finds a grant by its hash.
    pub(crate) fn known(&self, hash: &Fingerprint, now: Instant) -> Option<Arc<Grant>> {
        self.0.grants.known(hash, now)
    }

    /// Verifies a grant.
    pub(crate) fn verify(&self, jwt: &Secret) -> Result<Arc<Grant>, Fault> {
        self.0.grants.verify(jwt)
    }

    /// Runs a call on this thread, or on the executor's own where this one runs no actors. It has no more time than its
    /// upstream.
    ///
    /// The invocation goes behind a pointer before anything waits: what waits has a place for all that it was given, and
    /// another for what became of that.
    pub(crate) fn invoke(
        &self,
        mut invocation: Invocation,
    ) -> impl Future<Output = Result<Answer, Fault>> + Send {
        let limit = invocation.arrived + invocation.grant.upstream.timeout;
        invocation.deadline = invocation.deadline.min(limit);
        let invocation = Arc::new(invocation);
        async move {
            if thread::runs_actors() {
                self.run(invocation).await
            } else {
                self.clone().run_elsewhere(invocation).await
            }
        }
    }

    /// Boxed, as all that is rare: a future has room for all that it may come to, and is moved with it.
    fn run_elsewhere(self, invocation: Arc<Invocation>) -> BoxFuture<'static, Result<Answer, Fault>> {
        Box::pin(async move {
            let executor = self.clone();
            self.0.thread.run(async move { executor.run(invocation).await }).await
        })
    }

    async fn run(&self, invocation: Arc<Invocation>) -> Result<Answer, Fault> {
        let outcome = AssertUnwindSafe(self.stages(invocation))
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Err(Fault::internal(Panicked::of(&*panic))));
        match &outcome {
            Ok(_) => self.0.metrics.succeeded.increment(1),
            Err(fault) => counter(fault.reason().code()).increment(1),
        }
        outcome
    }

    async fn stages(&self, invocation: Arc<Invocation>) -> Result<Answer, Fault> {
        let slot = Arc::clone(&self.0.calls)
            .try_acquire_owned()
            .map_err(|_| overloaded("more calls are in flight than can be taken on"))?;
        if invocation.grant.coalesces.is_some() {
            return coalesce::run(self.clone(), invocation, slot).await;
        }
        self.alone(&invocation, None, slot).await
    }

    /// Runs a call by itself; what was prepared already goes as it is.
    pub(crate) async fn alone(
        &self,
        invocation: &Arc<Invocation>,
        prepared: Option<Sendable>,
        slot: OwnedSemaphorePermit,
    ) -> Result<Answer, Fault> {
        let begun = self.begin(invocation, prepared, invocation.deadline, None).await?;
        let Begun { exchange, status, start, ignored } = begun;
        let body = match start {
            Start::Whole(bytes) => Body::Whole(bytes),
            Start::Long(long) => exchange.pass_on(long, slot),
        };
        Ok(Answer { status: status.as_u16(), ignored_variables: ignored, body })
    }

    /// Gets a call ready and begins its exchange: both before `deadline`, which one timer watches over.
    pub(crate) async fn begin(
        &self,
        invocation: &Arc<Invocation>,
        prepared: Option<Sendable>,
        deadline: Instant,
        overdue: Option<Overdue>,
    ) -> Result<Begun, Fault> {
        let mut sent = false;
        let begun = timeout_at(deadline.into(), async {
            let Ready { sendable, client, pass, began } = match prepared {
                None => actors::portal::prepare(self, invocation).await?,
                Some(sendable) => actors::upstream::admitted(self, invocation, sendable).await?,
            };
            let Shared { config, metrics, .. } = &*self.0;
            config.observe(Stage::Send, &invocation.request_id);
            sent = true;
            // Boxed, for it is moved more than once from here on.
            let mut exchange = Box::new(Exchange {
                client,
                pass,
                grant: Arc::clone(&invocation.grant),
                deadline,
                max_response_bytes: config.max_response_bytes,
                seconds: metrics.upstream_seconds.clone(),
                began,
                answered: false,
                overdue,
            });
            let (status, start) = exchange.begin(&sendable).await?;
            Ok(Begun { exchange, status, start, ignored: sendable.ignored })
        });
        match begun.await {
            Ok(begun) => begun,
            Err(_) if sent => Err(timed_out()),
            // Its time was over when it came, as where its body was slow.
            Err(_) if deadline <= invocation.arrived => Err(over()),
            Err(_) => Err(late()),
        }
    }
}

impl Execute for Executor {
    fn execute(&self, call: Call) -> BoxFuture<'static, Result<Answer, Fault>> {
        let executor = self.clone();
        Box::pin(async move {
            let arrived = Instant::now();
            let grant = match executor.known(&call.grant.hash, arrived) {
                Some(grant) => grant,
                None => executor.verify(&call.grant.jwt)?,
            };
            let Call { operation_name, variables, deadline, patience, request_id, .. } = call;
            let invocation =
                Invocation { grant, operation_name, variables, arrived, deadline, patience, request_id };
            executor.invoke(invocation).await
        })
    }
}

fn counter(outcome: &'static str) -> Counter {
    metrics::counter!("portals_executor_calls_total", "outcome" => outcome)
}

/// The time of a call was over before it came.
fn over() -> Fault {
    Fault::new(Reason::UpstreamTimeout, "the time limit was over before the operation could be sent")
}

/// The time of a call is over before its turn came.
pub(crate) fn late() -> Fault {
    overloaded("the call's turn did not come in time")
}

/// The grant's hash is all that is known of it here, and here is nothing under that hash.
pub(crate) fn grant_unknown() -> Fault {
    Fault::new(Reason::GrantUnknown, "the grant is not known here: send it with the call")
}
