//! Identical queries in flight of one principal, answered by one fetch.
//!
//! The fetch has the upstream's whole time, from when it was begun; every call has its own, and its own place among those
//! that are taken on. What is no answer for all, each call that waited for it gets by itself.

use crate::{
    actors::{self, Panicked, portal::Joined},
    answer::{Long, Start},
    exchange::{Exchange, timed_out},
    executor::{Begun, Executor, Invocation, late},
    flights::{Overdue, Seat},
    gate::unpoisoned,
    portal::Sendable,
};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::StatusCode;
use model::{Fault, Reason};
use proto::{Answer, Body};
use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Instant,
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout_at};

/// What a fetch came to; each call that waits has a copy.
pub(crate) type Fetched = Result<(StatusCode, Share), Fault>;

/// A body, as far as it was read.
#[derive(Clone)]
pub(crate) enum Share {
    Whole(Bytes),
    /// Only one call can pass on what is not kept.
    Long(Arc<Mutex<Option<Unread>>>),
}

/// A long answer that nobody passes on yet.
pub(crate) struct Unread {
    exchange: Box<Exchange>,
    long: Box<Long>,
}

/// Runs a call whose portal coalesces.
pub(crate) fn run(
    executor: Executor,
    invocation: Arc<Invocation>,
    slot: OwnedSemaphorePermit,
) -> BoxFuture<'static, Result<Answer, Fault>> {
    Box::pin(async move {
        let joined = timeout_at(invocation.deadline.into(), actors::portal::join(&executor, &invocation));
        let joined = joined.await.unwrap_or_else(|_| Err(late()))?;
        let (ignored, seat) = match joined {
            Joined::Shared { ignored, seat } => (ignored, seat),
            Joined::Alone(sendable) => {
                return executor.alone(&invocation, Some(sendable), slot).await;
            }
        };
        let leads = seat.leads;
        if !leads {
            metrics::counter!("portals_executor_coalesced_total").increment(1);
        }
        match waited(seat, invocation.deadline).await? {
            Ok((status, Share::Whole(body))) => Ok(answer(status, ignored, Body::Whole(body))),
            Ok((status, Share::Long(long))) => {
                let taken = unpoisoned(&long).take();
                match taken {
                    Some(unread) => Ok(answer(status, ignored, unread.pass_on(invocation.deadline, slot))),
                    None => executor.alone(&invocation, None, slot).await,
                }
            }
            Err(fault) if leads || is_answer_for_all(fault.reason()) => Err(fault),
            Err(fault) if fault.reason() == Reason::UpstreamTimeout && !has_time(&invocation) => Err(fault),
            Err(_) => executor.alone(&invocation, None, slot).await,
        }
    })
}

/// Fetches for all who wait. Whose call it is that began it does not matter to it, nor whether that is still there.
pub(crate) fn fetch(
    executor: Executor,
    invocation: Arc<Invocation>,
    sendable: Sendable,
    overdue: Overdue,
) -> BoxFuture<'static, Fetched> {
    let fetch = async move {
        let deadline = Instant::now() + invocation.grant.upstream.timeout;
        let begun = executor.begin(&invocation, Some(sendable), deadline, Some(overdue)).await?;
        let Begun { exchange, status, start, .. } = begun;
        let share = match start {
            Start::Whole(bytes) => Share::Whole(bytes),
            Start::Long(long) => Share::Long(Arc::new(Mutex::new(Some(Unread { exchange, long })))),
        };
        Ok((status, share))
    };
    Box::pin(
        AssertUnwindSafe(fetch)
            .catch_unwind()
            .map(|outcome| outcome.unwrap_or_else(|panic| Err(Fault::internal(Panicked::of(&*panic))))),
    )
}

/// Waits no longer than the call has time.
async fn waited(seat: Seat<Fetched>, deadline: Instant) -> Result<Fetched, Fault> {
    let Seat { mut fetch, overdue, .. } = seat;
    timeout_at(deadline.into(), &mut fetch).await.map_err(|_| {
        // Before the place is left: with the last one the fetch ends.
        overdue.note();
        timed_out()
    })
}

impl Unread {
    fn pass_on(self, deadline: Instant, slot: OwnedSemaphorePermit) -> Body {
        let Self { mut exchange, long } = self;
        exchange.deadline = deadline;
        exchange.pass_on(long, slot)
    }
}

/// Whether an upstream that has let another's time pass could still be asked for this call.
fn has_time(invocation: &Invocation) -> bool {
    let left = invocation.deadline.saturating_duration_since(Instant::now());
    left >= invocation.grant.upstream.fair_time()
}

/// Whether a failure is one of the upstream's, which any call would have met, rather than of the time or the room that
/// the call had which began the fetch.
fn is_answer_for_all(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::UpstreamUnreachable
            | Reason::UpstreamUnauthorized
            | Reason::UpstreamError
            | Reason::UpstreamInvalidResponse
            | Reason::UpstreamResponseTooLarge
            | Reason::UpstreamCircuitOpen
            | Reason::UpstreamRateLimited
    )
}

fn answer(status: StatusCode, ignored_variables: Vec<String>, body: Body) -> Answer {
    Answer { status: status.as_u16(), ignored_variables, body }
}
