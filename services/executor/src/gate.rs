//! The way to one upstream, shared by all threads: a turn for each call, and the circuit breaker.
//!
//! A burst may wait for its turns a little. More than that is refused at once, and where waiting has been in vain nobody
//! waits until it is quiet again: whoever is refused anyway should hear it soon. Who has been refused before may wait
//! longer, so that it is not refusing that this is busy with.

use crate::breaker::{Attempt, Breaker, Change, Outcome};
use model::{Fault, Fingerprint, Prehashed, Reason};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::{self, timeout},
};

/// After how long a refused call may come again, where nothing better is known.
pub(crate) const RETRY_SOON: Duration = Duration::from_secs(1);

/// How long nobody may have been refused before calls wait again where others have waited in vain.
const QUIET: Duration = Duration::from_secs(1);

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
    /// Where calls wait for a turn: as many places as there are turns.
    places: Semaphore,
    /// When a call was last refused, since one has waited in vain.
    vain: Mutex<Option<time::Instant>>,
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
        let gate = Arc::new(Gate {
            breaker: Mutex::new(Breaker::new(Instant::now())),
            turns: Arc::new(Semaphore::new(self.turns)),
            places: Semaphore::new(self.turns),
            vain: Mutex::default(),
        });
        gates.insert(*key, Arc::downgrade(&gate));
        gate
    }
}

impl Gate {
    /// Lets a call through now, or not: `None` when every turn is taken.
    pub(crate) fn try_enter(self: &Arc<Self>, now: Instant) -> Result<Option<Pass>, Fault> {
        match Arc::clone(&self.turns).try_acquire_owned() {
            Ok(turn) => self.pass(turn, now).map(Some),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => Ok(None),
        }
    }

    /// Waits for a turn, no longer than `patience`, if there is a place and some hope.
    pub(crate) async fn enter(self: &Arc<Self>, patience: Duration) -> Result<Pass, Fault> {
        if self.is_vain() {
            return Err(busy());
        }
        let Ok(_place) = self.places.try_acquire() else { return Err(busy()) };
        match self.turn(patience).await {
            Some(turn) => self.pass(turn, Instant::now()),
            None => {
                *unpoisoned(&self.vain) = Some(time::Instant::now());
                Err(busy())
            }
        }
    }

    /// Waits for a turn, no longer than `patience`, whoever else does.
    pub(crate) async fn wait(self: &Arc<Self>, patience: Duration) -> Result<Pass, Fault> {
        let turn = self.turn(patience).await.ok_or_else(busy)?;
        self.pass(turn, Instant::now())
    }

    async fn turn(&self, patience: Duration) -> Option<OwnedSemaphorePermit> {
        timeout(patience, Arc::clone(&self.turns).acquire_owned()).await.ok()?.ok()
    }

    /// Whether it is no use to wait; whoever asks is refused if so.
    fn is_vain(&self) -> bool {
        let mut vain = unpoisoned(&self.vain);
        *vain = vain.filter(|last| last.elapsed() < QUIET).map(|_| time::Instant::now());
        vain.is_some()
    }

    /// Whether a failed query may be tried again.
    pub(crate) fn allows_retry(&self) -> bool {
        unpoisoned(&self.breaker).allows_retry(Instant::now())
    }

    fn pass(self: &Arc<Self>, turn: OwnedSemaphorePermit, now: Instant) -> Result<Pass, Fault> {
        let attempt = unpoisoned(&self.breaker).enter(now).map_err(|wait| {
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

    /// Says that a long answer has begun well: for the one call that tries whether the upstream is well again, that is
    /// the answer, and others need not wait until its caller has read it. How any other went shows at its end.
    pub(crate) fn answering(&mut self, now: Instant) {
        if unpoisoned(&self.gate.breaker).is_open() {
            self.settle(Outcome::Answered, now);
        }
    }

    /// Says how the call went; what is said later is not heard.
    pub(crate) fn settle(&mut self, outcome: Outcome, now: Instant) {
        let Some(attempt) = self.attempt.take() else { return };
        let change = unpoisoned(&self.gate.breaker).leave(&attempt, outcome, now);
        match change {
            Change::None => {}
            Change::Opened => metrics::gauge!("portals_executor_circuits_open").increment(1.0),
            Change::Closed => metrics::gauge!("portals_executor_circuits_open").decrement(1.0),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.attempt.is_some() {
            self.settle(Outcome::Abandoned, Instant::now());
        }
    }
}

fn busy() -> Fault {
    overloaded("the upstream is busy with other calls")
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
    use futures_util::FutureExt;

    const PATIENCE: Duration = Duration::from_millis(250);

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
        let pass = gate.try_enter(Instant::now()).unwrap().unwrap();
        assert!(gate.try_enter(Instant::now()).unwrap().is_none());
        let refused = gate.enter(PATIENCE).await.err().unwrap();
        assert_eq!(refused.reason(), Reason::Overloaded);
        drop(pass);
        time::sleep(QUIET).await;
        assert!(gate.enter(PATIENCE).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn where_one_has_waited_in_vain_the_next_is_refused_at_once() {
        let gate = Gates::new(1).gate(&key());
        let _pass = gate.try_enter(Instant::now()).unwrap().unwrap();
        assert!(gate.enter(PATIENCE).await.is_err());
        for _ in 0..10 {
            time::sleep(QUIET / 2).await;
            let since = time::Instant::now();
            assert!(gate.enter(PATIENCE).await.is_err());
            assert_eq!(since.elapsed(), Duration::ZERO);
        }
        time::sleep(QUIET).await;
        let since = time::Instant::now();
        assert!(gate.enter(PATIENCE).await.is_err());
        assert!(since.elapsed() >= PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_circuit_does_not_make_waiting_vain() {
        let gate = Gates::new(1).gate(&key());
        for _ in 0..100 {
            let Ok(Some(mut pass)) = gate.try_enter(Instant::now()) else { break };
            pass.settle(Outcome::Failed, Instant::now());
        }
        let turn = Arc::clone(&gate.turns).try_acquire_owned().unwrap();
        let mut waiting = Box::pin(gate.enter(PATIENCE));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(turn);
        assert_eq!(waiting.await.err().unwrap().reason(), Reason::UpstreamCircuitOpen);
        assert!(!gate.is_vain());
    }

    #[test]
    fn a_long_answer_that_begins_well_closes_an_open_circuit_and_says_nothing_else() {
        let gate = Gates::new(2).gate(&key());
        let begin = Instant::now();
        let enter = |now| gate.try_enter(now).map(|pass| pass.expect("there is a turn"));
        let mut long = enter(begin).unwrap();
        long.answering(begin);
        assert!(long.attempt.is_some(), "how it went shows at its end");
        drop(long);
        while let Ok(mut pass) = enter(begin) {
            pass.settle(Outcome::Failed, begin);
        }
        let later = begin + Duration::from_secs(5);
        let mut probe = enter(later).unwrap();
        assert_eq!(enter(later).err().unwrap().reason(), Reason::UpstreamCircuitOpen);
        probe.answering(later);
        assert!(enter(later).is_ok(), "while the probe's answer is on its way");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_wait_than_have_a_turn() {
        let gate = Gates::new(2).gate(&key());
        let passes = [
            gate.try_enter(Instant::now()).unwrap().unwrap(),
            gate.try_enter(Instant::now()).unwrap().unwrap(),
        ];
        let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(gate.enter(PATIENCE))).collect();
        for call in &mut waiting {
            assert!(call.as_mut().now_or_never().is_none());
        }
        let refused = gate.enter(PATIENCE).now_or_never().unwrap().err().unwrap();
        assert_eq!(refused.reason(), Reason::Overloaded);
        drop(passes);
        for call in waiting {
            assert!(call.await.is_ok());
        }
    }
}
