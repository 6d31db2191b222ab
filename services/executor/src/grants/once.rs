//! Grants that are good for one call: which of them have had theirs.
//!
//! What is remembered is bounded: a grant is remembered for as long as any can last, and too many at a time are refused.
//! It is remembered here alone. A grant of before this executor was started is not taken, for it may have had its call;
//! one that is shown to two executors has a call of each.

use crate::gate::overloaded;
use model::{Fault, Reason, restriction::Rule};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use uuid::Uuid;

/// The longest that such a grant may last from now on.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);
/// The most that are remembered of one period.
const MAX_TAKEN: usize = 1 << 18;
/// When another grant may be taken.
const RETRY: Duration = Duration::from_secs(1);

/// The grants that had their call; all threads share it.
#[derive(Debug)]
pub(crate) struct Once {
    started: SystemTime,
    taken: Mutex<Taken>,
}

/// Of this period and the one before: each lasts as long as a grant can.
#[derive(Debug)]
struct Taken {
    since: Instant,
    current: HashSet<u128>,
    before: HashSet<u128>,
}

impl Once {
    /// `started` is when this executor was: grants tell their time in whole milliseconds.
    pub(crate) fn new(started: SystemTime, now: Instant) -> Self {
        let started = started - Duration::from_millis(1);
        let taken = Taken { since: now, current: HashSet::new(), before: HashSet::new() };
        Self { started, taken: Mutex::new(taken) }
    }

    /// Takes the one call of the grant `id`, whose time of making is in it (UUID of version 7).
    ///
    /// # Errors
    ///
    /// `TokenRestricted` where it had its call; `ExecutorUnavailable` where it may have had it before this executor was
    /// started; `Overloaded` where too many are remembered.
    pub(crate) fn take(&self, id: Uuid, now: Instant) -> Result<(), Fault> {
        if made(id).is_none_or(|made| made < self.started) {
            let message =
                "the executor was started after the grant was made, and cannot tell whether it had its call";
            return Err(Fault::new(Reason::ExecutorUnavailable, message).retry_after(RETRY));
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.turn(now);
        if taken.current.contains(&id.as_u128()) || taken.before.contains(&id.as_u128()) {
            return Err(Fault::restricted(Rule::MaxUses, "the grant was good for one call, and has had it"));
        }
        if taken.current.len() >= MAX_TAKEN {
            return Err(overloaded("more grants of one call come than can be remembered"));
        }
        taken.current.insert(id.as_u128());
        Ok(())
    }
}

impl Taken {
    /// Begins another period where one is over, and forgets the one before it.
    fn turn(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        if passed < LONGEST {
            return;
        }
        self.before = std::mem::take(&mut self.current);
        if passed >= LONGEST * 2 {
            self.before.clear();
        }
        self.since = now;
    }
}

/// When a UUID of version 7 was made.
fn made(id: Uuid) -> Option<SystemTime> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    Some(UNIX_EPOCH + Duration::new(seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn once() -> (Once, Instant) {
        let now = Instant::now();
        (Once::new(SystemTime::now() - Duration::from_secs(1), now), now)
    }

    fn reason(outcome: Result<(), Fault>) -> Option<Reason> {
        outcome.err().map(|fault| fault.reason())
    }

    #[test]
    fn a_grant_is_taken_once_for_as_long_as_it_can_last() {
        let (once, now) = once();
        let id = Uuid::now_v7();
        assert_eq!(reason(once.take(id, now)), None);
        // Whenever in a period it was taken, it is remembered for a whole one.
        for seconds in [0, 59, 60, 119] {
            assert_eq!(
                reason(once.take(id, now + Duration::from_secs(seconds))),
                Some(Reason::TokenRestricted),
                "{seconds}"
            );
        }
        assert_eq!(reason(once.take(Uuid::now_v7(), now)), None);
    }

    #[test]
    fn what_can_no_longer_be_shown_is_forgotten() {
        let (once, now) = once();
        for period in 0..5 {
            for _ in 0..100 {
                once.take(Uuid::now_v7(), now + LONGEST * period).unwrap();
            }
        }
        let taken = once.taken.lock().unwrap();
        assert_eq!((taken.current.len(), taken.before.len()), (100, 100));
    }

    #[test]
    fn a_grant_of_before_the_start_or_of_no_time_is_not_taken() {
        let now = Instant::now();
        let once = Once::new(SystemTime::now() + Duration::from_secs(1), now);
        for id in [Uuid::now_v7(), Uuid::new_v4()] {
            assert_eq!(reason(once.take(id, now)), Some(Reason::ExecutorUnavailable));
        }
    }

    #[test]
    fn threads_together_take_it_once() {
        let (once, now) = once();
        let id = Uuid::now_v7();
        let taken: usize = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..100).filter(|_| once.take(id, now).is_ok()).count()))
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).sum()
        });
        assert_eq!(taken, 1);
    }
}
