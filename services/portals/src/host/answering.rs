//! Calls of one connection, and the bodies of their answers: one that its peer does not take is let go.
//!
//! On HTTP/2 a stream's window is its peer's to open. A peer that leaves it shut would keep an answer, and all that
//! the answer holds, for as long as the connection lives; the socket shows nothing of that.

use super::pace::Pace;
use bytes::Bytes;
use edge::Body;
use http_body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tokio::time::Instant;

/// The answers of one connection that are not yet out.
#[derive(Clone, Default)]
pub(super) struct Answers(Arc<Mutex<Vec<Arc<Held>>>>);

/// A call as the clock of its connection sees it, from its head to the end of its answer.
pub(super) struct Calling(Arc<Pace>);

/// The body of an answer.
pub(super) enum Answering {
    /// It goes into the socket at once, and whether that takes it the connection's clock sees.
    AtHand { body: Body, _call: Calling },
    /// Its peer may leave it where it is.
    Watched(Watched),
}

/// A body among the answers of its connection.
pub(super) struct Watched {
    held: Arc<Held>,
    answers: Answers,
}

/// A body that can be let go by another than the one who reads it.
struct Held(Mutex<State>);

struct State {
    body: Option<(Body, Calling)>,
    /// Since when there is something that the peer does not make room for.
    offered: Option<Instant>,
}

impl Calling {
    pub(super) fn new(pace: &Arc<Pace>, multiplexed: bool) -> Self {
        pace.call_begins(multiplexed);
        Self(Arc::clone(pace))
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        self.0.call_ends();
    }
}

impl Answers {
    /// Notes an answer; the call lasts until its body has been sent or let go.
    pub(super) fn begin(&self, body: Body, call: Calling) -> Answering {
        if !call.0.is_multiplexed() && http_body::Body::size_hint(&body).exact().is_some() {
            return Answering::AtHand { body, _call: call };
        }
        let state = State { body: Some((body, call)), offered: Some(Instant::now()) };
        let held = Arc::new(Held(Mutex::new(state)));
        lock(&self.0).push(Arc::clone(&held));
        Answering::Watched(Watched { held, answers: self.clone() })
    }

    /// Lets go of what no peer has made room for since `limit`.
    pub(super) fn let_go(&self, limit: Instant) {
        let stalled = |held: &&Arc<Held>| lock(&held.0).offered.is_some_and(|since| since < limit);
        let stalled: Vec<_> = lock(&self.0).iter().filter(stalled).map(Arc::clone).collect();
        for held in stalled {
            let mut state = lock(&held.0);
            state.offered = None;
            let body = state.body.take();
            drop(state);
            drop(body);
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        lock(&self.answers.0).retain(|held| !Arc::ptr_eq(held, &self.held));
    }
}

impl http_body::Body for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let watched = match self.get_mut() {
            Self::AtHand { body, .. } => return http_body::Body::poll_frame(Pin::new(body), context),
            Self::Watched(watched) => watched,
        };
        let mut state = lock(&watched.held.0);
        let Some((body, _)) = &mut state.body else {
            return Poll::Ready(Some(Err(axum::Error::new("the answer was not taken"))));
        };
        let frame = http_body::Body::poll_frame(Pin::new(body), context);
        // Whoever asks again has found room for what he was given.
        state.offered = matches!(frame, Poll::Ready(Some(Ok(_)))).then(Instant::now);
        frame
    }

    fn is_end_stream(&self) -> bool {
        let ended = |(body, _): &(Body, Calling)| http_body::Body::is_end_stream(body);
        match self {
            Self::AtHand { body, .. } => http_body::Body::is_end_stream(body),
            Self::Watched(watched) => lock(&watched.held.0).body.as_ref().is_some_and(ended),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let hint = |(body, _): &(Body, Calling)| http_body::Body::size_hint(body);
        match self {
            Self::AtHand { body, .. } => http_body::Body::size_hint(body),
            Self::Watched(watched) => lock(&watched.held.0).body.as_ref().map(hint).unwrap_or_default(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is whole before anything can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
