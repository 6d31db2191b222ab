//! The way to executors over the network: one long stream to each, carrying all calls.
//!
//! Calls go where the fewest are in flight. A broken stream fails only the calls that are on it and is opened
//! again; a call that provably was not sent goes to another executor. That a peer is dead is told by the channel
//! (its HTTP/2 keep-alive), which breaks the stream.

mod fetch;
mod link;
mod outbox;

use crate::session::{
    link::Link,
    outbox::{Outcome, Sent},
};
use futures_util::future::BoxFuture;
use model::{Fault, Reason};
use proto::{Answer, Body, Call, Channel, Execute, MAX_MESSAGE_BYTES, executor::v1};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::Semaphore,
    task::AbortHandle,
    time::{self, Instant},
};

/// What an executor gets beyond the deadline to say itself that it is over: only so does it learn, rather than
/// being cancelled, that its upstream is slow.
const LAST_WORD: Duration = Duration::from_millis(250);
/// What a message takes beside grant and variables.
const MESSAGE_HEAD_BYTES: usize = 64 << 10;

/// The limits of the sessions.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The most calls in flight with one executor.
    pub max_calls: usize,
    /// How long opening a stream may take.
    pub open_timeout: Duration,
    /// The most large answers that are fetched at a time.
    pub max_fetches: usize,
    /// How long the next piece of a large answer may take, on either side.
    pub piece_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_calls: 1_024,
            open_timeout: Duration::from_secs(2),
            max_fetches: 256,
            piece_timeout: Duration::from_secs(60),
        }
    }
}

/// Sessions with executors; dropping it ends them.
pub struct Sessions {
    links: Arc<[Arc<Link>]>,
    fetches: Arc<Semaphore>,
    config: Config,
    tasks: Vec<AbortHandle>,
}

/// How an executor is reached.
#[derive(Clone, Debug)]
pub struct Way {
    /// For the session alone, which must never wait for what else is under way.
    pub session: Channel,
    /// For large answers, which their callers may leave unread.
    pub fetches: Channel,
}

/// Keeps a session with the executor at the end of each of `ways`.
///
/// # Panics
///
/// Outside a tokio runtime: the sessions live on the one that this is called on.
pub fn connect(ways: Vec<Way>, config: Config) -> Sessions {
    let links: Arc<[_]> = ways.into_iter().map(|way| Arc::new(Link::new(way, config))).collect();
    let runtime = Handle::current();
    let tasks = links.iter().map(|link| runtime.spawn(Arc::clone(link).keep()).abort_handle()).collect();
    Sessions { links, fetches: Arc::new(Semaphore::new(config.max_fetches)), config, tasks }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sessions").field("executors", &self.links.len()).finish_non_exhaustive()
    }
}

impl Execute for Sessions {
    fn execute(&self, call: Call) -> BoxFuture<'static, Result<Answer, Fault>> {
        let (links, fetches, config) = (Arc::clone(&self.links), Arc::clone(&self.fetches), self.config);
        Box::pin(async move {
            let deadline = Instant::from_std(call.deadline);
            if deadline <= Instant::now() {
                let message = "the time limit was over before the operation could be sent";
                return Err(Fault::new(Reason::UpstreamTimeout, message));
            }
            let deadline = deadline + LAST_WORD;
            let late = |_| Fault::new(Reason::UpstreamTimeout, "the upstream did not answer in time");
            let answered = async {
                let (link, answer) = run(&links, &call).await?;
                read(answer, &link, fetches, config).await
            };
            // When the time is over the future is dropped, and that cancels the call.
            time::timeout_at(deadline, answered).await.map_err(late)?
        })
    }

    fn reachable(&self) -> bool {
        self.links.iter().any(|link| link.outbox.is_open())
    }
}

/// Sends a call to one executor after the other until one has taken it.
async fn run(links: &[Arc<Link>], call: &Call) -> Result<(Arc<Link>, v1::Answer), Fault> {
    let mut tried = Vec::new();
    loop {
        let link = choose(links, &tried)?;
        match send(&link, call).await? {
            Some(answer) => return Ok((link, answer)),
            None => tried.push(Arc::clone(&link)),
        }
    }
}

/// The executor with the fewest calls in flight.
fn choose(links: &[Arc<Link>], tried: &[Arc<Link>]) -> Result<Arc<Link>, Fault> {
    let open = || {
        links
            .iter()
            .filter(|link| link.outbox.is_open() && !tried.iter().any(|tried| Arc::ptr_eq(tried, link)))
    };
    let free = open().filter(|link| link.outbox.has_room()).min_by_key(|link| link.outbox.in_flight());
    match free {
        Some(link) => Ok(Arc::clone(link)),
        None if open().next().is_some() => Err(crate::answer::overloaded()),
        None => Err(unavailable("no executor can be reached at the moment")),
    }
}

/// Sends a call over one link; `None` when it provably was not sent.
async fn send(link: &Link, call: &Call) -> Result<Option<v1::Answer>, Fault> {
    // A message that cannot be sent would break the stream for all.
    let bytes = call.grant.jwt.expose().len() + call.variables.len();
    if bytes > MAX_MESSAGE_BYTES - MESSAGE_HEAD_BYTES {
        return Err(Fault::new(Reason::PayloadTooLarge, "the variables are too large"));
    }
    let mut with_grant = false;
    loop {
        let Ok(pending) = link.outbox.push(call, with_grant) else { return Ok(None) };
        match pending.outcome().await {
            Outcome::Answer(answer) => return Ok(Some(answer)),
            Outcome::Broken(Sent::No) => return Ok(None),
            Outcome::Broken(Sent::Perhaps) => {
                return Err(unavailable("the connection to the executor broke during the call"));
            }
            Outcome::Fault(fault) => {
                let fault = Fault::from(fault);
                if fault.reason() != Reason::GrantUnknown || with_grant {
                    return Err(fault);
                }
                with_grant = true;
            }
        }
    }
}

async fn read(
    answer: v1::Answer,
    link: &Link,
    fetches: Arc<Semaphore>,
    config: Config,
) -> Result<Answer, Fault> {
    let status = u16::try_from(answer.status).map_err(Fault::internal)?;
    let body = if answer.ticket.is_empty() {
        Body::Whole(answer.body)
    } else {
        let permit = fetches.try_acquire_owned().map_err(|_| crowded())?;
        Body::Stream(fetch::start(link.fetches(), answer.ticket, permit, config).await?)
    };
    Ok(Answer { status, ignored_variables: answer.ignored_variables, body })
}

/// The operation has run, and whoever hears this must not take it that it has not.
fn crowded() -> Fault {
    let message = "the upstream has answered, but too many large answers are on their way to their callers";
    Fault::new(Reason::Overloaded, message).retry_after(Duration::from_secs(1))
}

fn unavailable(message: &'static str) -> Fault {
    Fault::new(Reason::ExecutorUnavailable, message).retry_after(Duration::from_secs(1))
}
