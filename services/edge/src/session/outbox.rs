//! The calls of one session: those that wait to be sent, and those that wait for an answer.
//!
//! Knows no connection: a stream takes from it, answers are handed in. One small lock, never held over an await.

use model::{Fingerprint, Numbered, Prehashed};
use proto::{Call, executor::v1};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Instant,
};
use tokio::sync::oneshot;
use tokio_stream::Stream;

/// Grants that the executor is taken to know; beyond it, all are introduced anew.
const MAX_INTRODUCED: usize = 16_384;

/// How a call went.
#[derive(Debug)]
pub(super) enum Outcome {
    Answer(v1::Answer),
    Fault(v1::Fault),
    /// The stream broke.
    Broken(Sent),
}

/// Whether the executor may have heard of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sent {
    No,
    Perhaps,
}

/// There is no stream, or no room on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NotTaken;

/// The calls of one session.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    open: AtomicBool,
    in_flight: AtomicUsize,
    max_calls: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Grows with each stream, so that what an old one still does concerns nobody.
    stream: u64,
    next_id: u64,
    pending: HashMap<u64, Waiting, Numbered>,
    calls: VecDeque<v1::Call>,
    cancels: VecDeque<u64>,
    introduced: HashSet<Fingerprint, Prehashed>,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Outcome>,
    sent: Sent,
}

/// A call that waits for its answer; dropping it cancels the call.
#[derive(Debug)]
pub(super) struct Pending {
    outbox: Arc<Outbox>,
    id: u64,
    answer: oneshot::Receiver<Outcome>,
}

/// What goes out on one stream; when it is dropped, the stream's calls have failed.
#[derive(Debug)]
pub(super) struct Outgoing {
    outbox: Arc<Outbox>,
    stream: u64,
}

impl Outbox {
    pub(super) fn new(max_calls: usize) -> Self {
        Self {
            state: Mutex::default(),
            open: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            max_calls,
        }
    }

    /// Whether a stream takes calls.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Calls that wait for an answer.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight() < self.max_calls
    }

    /// Begins a stream: what goes out on it.
    pub(super) fn begin(self: &Arc<Self>) -> Outgoing {
        let mut state = self.lock();
        state.stream += 1;
        Outgoing { outbox: Arc::clone(self), stream: state.stream }
    }

    /// Says that the stream is there: from now on calls are taken.
    pub(super) fn open(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// Takes no more calls for the stream; those from this id on were not heard, and the others are answered yet.
    pub(super) fn leave(&self, not_taken_from: u64) {
        let mut state = self.lock();
        self.open.store(false, Ordering::Release);
        state.calls.clear();
        let not_taken: Vec<_> = state.pending.extract_if(|id, _| *id >= not_taken_from).collect();
        self.in_flight.store(state.pending.len(), Ordering::Relaxed);
        drop(state);
        for (_, Waiting { answer, .. }) in not_taken {
            // Whoever waited may have left.
            let _ = answer.send(Outcome::Broken(Sent::No));
        }
    }

    /// Ends the stream: its calls have failed.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        self.open.store(false, Ordering::Release);
        state.stream += 1;
        state.calls.clear();
        state.cancels.clear();
        state.introduced.clear();
        let pending = std::mem::take(&mut state.pending);
        let waker = state.waker.take();
        self.in_flight.store(0, Ordering::Relaxed);
        drop(state);
        for Waiting { answer, sent } in pending.into_values() {
            // Whoever waited may have left.
            let _ = answer.send(Outcome::Broken(sent));
        }
        waker.into_iter().for_each(Waker::wake);
    }

    /// Takes a call to be sent; its grant goes with it where the executor may not know it.
    pub(super) fn push(self: &Arc<Self>, call: &Call, with_grant: bool) -> Result<Pending, NotTaken> {
        let (sender, answer) = oneshot::channel();
        let mut state = self.lock();
        if !self.is_open() || state.pending.len() >= self.max_calls || state.calls.len() >= self.max_calls {
            return Err(NotTaken);
        }
        if state.introduced.len() >= MAX_INTRODUCED {
            state.introduced.clear();
        }
        let introduce = with_grant || !state.introduced.contains(&call.grant.hash);
        if introduce {
            state.introduced.insert(call.grant.hash);
        }
        let id = state.next_id;
        state.next_id += 1;
        state.calls.push_back(message(call, id, introduce));
        state.pending.insert(id, Waiting { answer: sender, sent: Sent::No });
        self.in_flight.store(state.pending.len(), Ordering::Relaxed);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        Ok(Pending { outbox: Arc::clone(self), id, answer })
    }

    /// Hands in what came for a call; for one that is not there any more it is dropped.
    pub(super) fn answer(&self, id: u64, outcome: Outcome) {
        let mut state = self.lock();
        let waiting = state.pending.remove(&id);
        self.in_flight.store(state.pending.len(), Ordering::Relaxed);
        drop(state);
        if let Some(Waiting { answer, .. }) = waiting {
            let _ = answer.send(outcome);
        }
    }

    fn cancel(&self, id: u64) {
        let mut state = self.lock();
        let Some(waiting) = state.pending.remove(&id) else { return };
        self.in_flight.store(state.pending.len(), Ordering::Relaxed);
        // What was not sent is passed over when its turn comes.
        if waiting.sent == Sent::Perhaps {
            state.cancels.push_back(id);
            let waker = state.waker.take();
            drop(state);
            waker.into_iter().for_each(Waker::wake);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is whole before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn message(call: &Call, id: u64, introduce: bool) -> v1::Call {
    let left = call.deadline.saturating_duration_since(Instant::now()).as_millis();
    v1::Call {
        id,
        grant_hash: bytes::Bytes::copy_from_slice(call.grant.hash.as_bytes()),
        grant: if introduce { call.grant.jwt.expose().to_owned() } else { String::new() },
        operation_name: call.operation_name.clone(),
        variables: call.variables.clone(),
        // Zero would mean that there is no deadline.
        timeout_ms: u32::try_from(left).unwrap_or(u32::MAX).max(1),
        request_id: call.request_id.clone(),
        patience_ms: u32::try_from(call.patience.as_millis()).unwrap_or(u32::MAX),
    }
}

impl Pending {
    /// Waits for the answer.
    pub(super) async fn outcome(mut self) -> Outcome {
        // Every call is answered, or failed with its stream.
        (&mut self.answer).await.unwrap_or(Outcome::Broken(Sent::Perhaps))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.outbox.cancel(self.id);
    }
}

impl Stream for Outgoing {
    type Item = v1::SessionRequest;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<v1::SessionRequest>> {
        let mut state = self.outbox.lock();
        if state.stream != self.stream {
            return Poll::Ready(None);
        }
        let say = |event| Poll::Ready(Some(v1::SessionRequest { event: Some(event) }));
        if let Some(id) = state.cancels.pop_front() {
            return say(v1::session_request::Event::Cancel(v1::Cancel { id }));
        }
        while let Some(call) = state.calls.pop_front() {
            if let Some(waiting) = state.pending.get_mut(&call.id) {
                waiting.sent = Sent::Perhaps;
                return say(v1::session_request::Event::Call(call));
            }
            // The call that was to introduce its grant is gone; `GRANT_UNKNOWN` will ask for it.
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
