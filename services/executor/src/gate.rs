//! The way to one upstream, shared by all threads: a turn for each call, and the circuit breaker.

use crate::breaker::{Attempt, Breaker, Change, Outcome};
use model::{Fault, Fingerprint, Prehashed, Reason};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::timeout,
};

/// After how long a refused call may come again, where nothing better is known.
pub(crate) const RETRY_SOON: Duration = Duration::from_secs(1);

/// An upstream as its organization names it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct UpstreamKey(Fingerprint);

impl UpstreamKey {
    /// The upstream at `url`, as `organization` calls it.
    pub(crate) fn of(organization: &str, url: &str) -> Self {
        Self(Fingerprint::of(format!("{organization}\n{url}").as_bytes()))
    }
}

/// The way to one upstream.
pub(crate) struct Gate {
    breaker: Mutex<Breaker>,
    turns: Arc<Semaphore>,
}

/// A call on its way to the upstream. Dropped without an outcome, it counts as abandoned.
pub(crate) struct Pass {
    gate: Arc<Gate>,
    attempt: Option<Attempt>,
    _turn: OwnedSemaphorePermit,
}

/// Every gate that is in use.
pub(crate) struct Gates {
    gates: Mutex<HashMap<UpstreamKey, Weak<Gate>, Prehashed>>,
    turns: usize,
}

impl Gates {
    pub(crate) fn new(turns: usize) -> Self {
        Self { gates: Mutex::default(), turns: turns.clamp(1, Semaphore::MAX_PERMITS) }
    }

    /// The gate of an upstream: one for all threads, as long as somebody holds it.
    pub(crate) fn gate(&self, key: &UpstreamKey) -> Arc<Gate> {
        let mut gates = unpoisoned(&self.gates);
        if let Some(gate) = gates.get(key).and_then(Weak::upgrade) {
            return gate;
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let turns = Arc::new(Semaphore::new(self.turns));
        let gate = Arc::new(Gate { breaker: Mutex::new(Breaker::new(Instant::now())), turns });
        gates.insert(*key, Arc::downgrade(&gate));
        gate
    }
}

impl Gate {
    /// Lets a call through now, or not: `None` when every turn is taken.
    pub(crate) fn try_enter(self: &Arc<Self>) -> Result<Option<Pass>, Fault> {
        match Arc::clone(&self.turns).try_acquire_owned() {
            Ok(turn) => self.pass(turn).map(Some),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => Ok(None),
        }
    }

    /// Waits for a turn, no longer than `patience`.
    pub(crate) async fn enter(self: &Arc<Self>, patience: Duration) -> Result<Pass, Fault> {
        match timeout(patience, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(turn)) => self.pass(turn),
            Ok(Err(_)) | Err(_) => Err(overloaded("the upstream is busy with other calls")),
        }
    }

    /// Whether a failed query may be tried again.
    pub(crate) fn allows_retry(&self) -> bool {
        unpoisoned(&self.breaker).allows_retry(Instant::now())
    }

    fn pass(self: &Arc<Self>, turn: OwnedSemaphorePermit) -> Result<Pass, Fault> {
        let attempt = unpoisoned(&self.breaker).enter(Instant::now()).map_err(|wait| {
            let message = "the upstream has failed too often of late and is left alone for a moment";
            Fault::new(Reason::UpstreamCircuitOpen, message).retry_after(wait)
        })?;
        Ok(Pass { gate: Arc::clone(self), attempt: Some(attempt), _turn: turn })
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if unpoisoned(&self.breaker).is_open() {
            metrics::gauge!("portals_executor_circuits_open").decrement(1.0);
        }
    }
}

impl Pass {
    /// The gate that it goes through.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Says how the call went; what is said later is not heard.
    pub(crate) fn settle(&mut self, outcome: Outcome) {
        let Some(attempt) = self.attempt.take() else { return };
        let change = unpoisoned(&self.gate.breaker).leave(&attempt, outcome, Instant::now());
        match change {
            Change::None => {}
            Change::Opened => metrics::gauge!("portals_executor_circuits_open").increment(1.0),
            Change::Closed => metrics::gauge!("portals_executor_circuits_open").decrement(1.0),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.settle(Outcome::Abandoned);
    }
}

/// More is asked for than is taken on.
pub(crate) fn overloaded(message: &'static str) -> Fault {
    Fault::new(Reason::Overloaded, message).retry_after(RETRY_SOON)
}

/// Locks what no panic can leave half done: every change behind these locks is a single step.
pub(crate) fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> UpstreamKey {
        UpstreamKey::of("o", "http://u")
    }

    #[test]
    fn an_upstream_has_one_gate_and_another_has_its_own() {
        let gates = Gates::new(1);
        let gate = gates.gate(&key());
        assert!(Arc::ptr_eq(&gate, &gates.gate(&key())));
        assert!(!Arc::ptr_eq(&gate, &gates.gate(&UpstreamKey::of("p", "http://u"))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_upstream_is_waited_for_but_not_for_long() {
        let gate = Gates::new(1).gate(&key());
        let pass = gate.try_enter().unwrap().unwrap();
        assert!(gate.try_enter().unwrap().is_none());
        let refused = gate.enter(Duration::from_millis(250)).await.err().unwrap();
        assert_eq!(refused.reason(), Reason::Overloaded);
        drop(pass);
        assert!(gate.enter(Duration::from_millis(250)).await.is_ok());
    }
}
