//! One call's exchange with its upstream: sent, perhaps sent once more, read, passed on. When a call may begin
//! is decided elsewhere.

use crate::{
    answer::{self, Failure, Long, Start},
    breaker::Outcome,
    flights::Overdue,
    gate::Pass,
    grants::Grant,
    outbound::{self, Client, SendError},
    portal::Sendable,
};
use bytes::Bytes;
use http::{Response, StatusCode};
use metrics::Histogram;
use model::{Fault, Reason, document::OperationKind};
use proto::Body;
use std::{sync::Arc, time::Instant};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout_at,
};

/// Chunks of a streamed answer that wait for their reader, and one place for the word that it broke off.
const STREAM_CHUNKS: usize = 4;

/// One call's exchange.
pub(crate) struct Exchange {
    pub(crate) client: Client,
    pub(crate) pass: Pass,
    pub(crate) grant: Arc<Grant>,
    pub(crate) deadline: Instant,
    pub(crate) max_response_bytes: u64,
    /// Takes how long the upstream took until the head of its answer.
    pub(crate) seconds: Histogram,
    pub(crate) began: Instant,
    /// Whether its answer has begun, or will not.
    pub(crate) answered: bool,
    /// Says whether somebody has waited in vain, where it is not the deadline alone that ends it.
    pub(crate) overdue: Option<Overdue>,
}

impl Exchange {
    /// Sends, and answers with status and the beginning of the body. Whoever asks sets the time limit.
    ///
    /// # Errors
    ///
    /// Every `Upstream…` reason but those of the gate.
    pub(crate) async fn begin(&mut self, sendable: &Sendable) -> Result<(StatusCode, Start), Fault> {
        let outcome = self.converse(sendable).await;
        self.answered = true;
        match outcome {
            Err(failure) => {
                self.pass.settle(failure.outcome, Instant::now());
                Err(failure.fault)
            }
            Ok((status, start, headed)) => {
                match start {
                    Start::Whole(_) => self.pass.settle(Outcome::Answered, headed),
                    Start::Long(_) => self.pass.answering(headed),
                }
                Ok((status, start))
            }
        }
    }

    /// The answer as far as [`answer::read`] reads it, and when its head had come.
    async fn converse(&self, sendable: &Sendable) -> Result<(StatusCode, Start, Instant), Failure> {
        let mut sent = self.send(&sendable.body, self.began).await;
        if sent.as_ref().is_err_and(|failure| failure.retryable && self.may_retry(sendable.kind)) {
            metrics::counter!("portals_executor_retries_total").increment(1);
            sent = Box::pin(self.send(&sendable.body, Instant::now())).await;
        }
        let response = sent?;
        let headed = response.body().began();
        let (status, start) =
            answer::read(response, &self.grant.upstream.screen, self.max_response_bytes).await?;
        Ok((status, start, headed))
    }

    /// A mutation may have been done, whatever became of its answer.
    fn may_retry(&self, kind: OperationKind) -> bool {
        match kind {
            OperationKind::Query => self.pass.gate().allows_retry(),
            OperationKind::Mutation => false,
        }
    }

    async fn send(&self, body: &Bytes, now: Instant) -> Result<Response<outbound::Body>, Failure> {
        let sent = self.client.send_at(self.grant.upstream.request(body.clone()), now).await;
        let headed = sent.as_ref().map_or_else(|_| Instant::now(), |response| response.body().began());
        self.seconds.record(headed.saturating_duration_since(now));
        let response = sent.map_err(|error| {
            let message = match error {
                SendError::Connect(_) => "no connection to the upstream can be had",
                SendError::Broken(_) => "the connection to the upstream broke before it answered",
            };
            let fault = Fault::new(Reason::UpstreamUnreachable, message).because(error);
            Failure::failed(fault).retryable()
        })?;
        if let Err(failure) = answer::judge(response.status(), response.headers()) {
            Box::pin(response.into_body().drain(self.deadline)).await;
            return Err(failure);
        }
        Ok(response)
    }

    /// Passes a long answer on as its reader takes it. The slot, one of the calls that this process takes on, is held
    /// until its last byte is passed on.
    pub(crate) fn pass_on(self: Box<Self>, long: Box<Long>, slot: OwnedSemaphorePermit) -> Body {
        let (sender, receiver) = mpsc::channel(STREAM_CHUNKS);
        let ending = Ending::new(&sender);
        tokio::spawn(async move {
            self.pump(*long, sender, ending).await;
            drop(slot);
        });
        Body::Stream(receiver)
    }

    async fn pump(mut self: Box<Self>, long: Long, sender: Sender, ending: Ending) {
        let Long { first, mut rest } = long;
        let mut passage = self.grant.upstream.screen.passage();
        let mut passed = first.len();
        let mut next = Some(first);
        while let Some(chunk) = next {
            match passage.push(chunk) {
                Ok(chunk) if chunk.is_empty() => {}
                Ok(chunk) => match timeout_at(self.deadline.into(), sender.send(Ok(chunk))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return ending.unheard(),
                    // The reader was too slow: nothing that the upstream did.
                    Err(_) => return self.end(ending, Failure::answered(timed_out())),
                },
                Err(echoed) => return self.end(ending, Failure::answered(answer::echo(echoed))),
            }
            let read = tokio::select! {
                biased;
                () = sender.closed() => return ending.unheard(),
                read = timeout_at(self.deadline.into(), rest.chunk()) => read,
            };
            next = match read {
                Err(_) => return self.end(ending, Failure::failed(timed_out())),
                Ok(Err(error)) => return self.end(ending, answer::read_failure(error)),
                Ok(Ok(chunk)) => chunk,
            };
            passed = passed.saturating_add(next.as_ref().map_or(0, Bytes::len));
            if answer::exceeds(passed, self.max_response_bytes) {
                return self.end(ending, Failure::answered(answer::too_large(self.max_response_bytes)));
            }
        }
        self.pass.settle(Outcome::Answered, Instant::now());
        let last = passage.finish();
        if last.is_empty() {
            return ending.unheard();
        }
        match timeout_at(self.deadline.into(), sender.send(Ok(last))).await {
            Ok(_) => ending.unheard(),
            Err(_) => ending.broken(timed_out()),
        }
    }

    fn end(&mut self, ending: Ending, failure: Failure) {
        self.pass.settle(failure.outcome, Instant::now());
        ending.broken(failure.fault);
    }
}

/// One that is dropped before its answer has begun, and for which somebody has waited in vain, has met with silence.
impl Drop for Exchange {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let now = Instant::now();
        let in_vain = now >= self.deadline || self.overdue.as_ref().is_some_and(Overdue::noted);
        if in_vain && now.saturating_duration_since(self.began) >= self.grant.upstream.fair_time() {
            self.pass.settle(Outcome::Failed, now);
        }
    }
}

type Sender = mpsc::Sender<Result<Bytes, Fault>>;

/// The last word of a stream. Whoever reads takes its end for the answer's end, so that one which is dropped with
/// its task, by a panic or at shutdown, says that the rest is missing.
struct Ending(Option<mpsc::OwnedPermit<Result<Bytes, Fault>>>);

impl Ending {
    fn new(sender: &Sender) -> Self {
        Self(sender.clone().try_reserve_owned().ok())
    }

    /// The stream is complete, or nobody reads it any more.
    fn unheard(mut self) {
        self.0 = None;
    }

    fn broken(mut self, fault: Fault) {
        if let Some(place) = self.0.take() {
            place.send(Err(fault));
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            place.send(Err(Fault::internal("a stream was dropped before its end")));
        }
    }
}

pub(crate) fn timed_out() -> Fault {
    Fault::new(Reason::UpstreamTimeout, "the upstream did not answer in time")
}
