//! Answers that are too large for the stream they belong to, kept for a moment until they are fetched.

use crate::gate::{overloaded, unpoisoned};
use aws_lc_rs::rand;
use bytes::Bytes;
use model::Fault;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::mpsc, task::AbortHandle};

/// Names an answer that waits. Nobody guesses it.
pub(crate) type Ticket = [u8; 16];

/// An answer's body: what has been read, and where the rest comes from. While it waits its upstream is not read.
pub(crate) struct Held {
    pub(crate) read: VecDeque<Bytes>,
    pub(crate) rest: Option<mpsc::Receiver<Result<Bytes, Fault>>>,
}

/// The answers that wait; all threads share them.
pub(crate) struct Tickets {
    waiting: Mutex<HashMap<Ticket, (Held, AbortHandle)>>,
    limit: usize,
    timeout: Duration,
}

impl Tickets {
    pub(crate) fn new(limit: usize, timeout: Duration) -> Self {
        Self { waiting: Mutex::default(), limit, timeout }
    }

    /// Keeps an answer until it is fetched, but not for long.
    ///
    /// # Errors
    ///
    /// `Overloaded` when too many wait already.
    pub(crate) fn keep(self: &Arc<Self>, held: Held) -> Result<Ticket, Fault> {
        let mut ticket = Ticket::default();
        rand::fill(&mut ticket).map_err(|_| Fault::internal("the system has no randomness to give"))?;
        let mut waiting = unpoisoned(&self.waiting);
        if waiting.len() >= self.limit {
            return Err(overloaded(
                "the upstream has answered, but more large answers wait to be fetched than can be kept",
            ));
        }
        let (tickets, timeout) = (Arc::downgrade(self), self.timeout);
        let expiry = tokio::spawn(async move {
            tokio::time::sleep(timeout).await;
            if let Some(tickets) = tickets.upgrade() {
                unpoisoned(&tickets.waiting).remove(&ticket);
            }
        });
        waiting.insert(ticket, (held, expiry.abort_handle()));
        Ok(ticket)
    }

    /// Gives an answer out, once.
    pub(crate) fn take(&self, ticket: &[u8]) -> Option<Held> {
        let ticket = Ticket::try_from(ticket).ok()?;
        let (held, expiry) = unpoisoned(&self.waiting).remove(&ticket)?;
        expiry.abort();
        Some(held)
    }
}

impl Held {
    /// The next bytes; a fault means that the rest is missing.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        match self.read.pop_front() {
            Some(bytes) => Some(Ok(bytes)),
            None => self.rest.as_mut()?.recv().await,
        }
    }
}

impl From<proto::Body> for Held {
    fn from(body: proto::Body) -> Self {
        match body {
            proto::Body::Whole(bytes) => Self { read: VecDeque::from([bytes]), rest: None },
            proto::Body::Stream(rest) => Self { read: VecDeque::new(), rest: Some(rest) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Held {
        proto::Body::Whole(Bytes::from_static(b"{}")).into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_good_once_and_not_for_long() {
        let tickets = Arc::new(Tickets::new(2, Duration::from_secs(10)));
        let (first, second) = (tickets.keep(held()).unwrap(), tickets.keep(held()).unwrap());
        assert!(tickets.keep(held()).is_err());
        assert!(tickets.take(&first).is_some());
        assert!(tickets.take(&first).is_none());
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert!(tickets.take(&second).is_none());
        assert!(tickets.keep(held()).is_ok());
    }

    #[tokio::test]
    async fn what_is_no_ticket_opens_nothing() {
        let tickets = Arc::new(Tickets::new(2, Duration::from_secs(10)));
        for text in [b"".as_slice(), b"short", &[0; 16], &[0; 17]] {
            assert!(tickets.take(text).is_none());
        }
    }
}
