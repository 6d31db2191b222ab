//! When an upstream is left alone: a circuit breaker over a sliding window. It knows no clock and no lock.

use std::time::{Duration, Instant};

const BUCKETS: usize = 10;
const BUCKET: Duration = Duration::from_secs(1);
const MIN_FAILURES: u32 = 20;
const OPEN_FOR: Duration = Duration::from_secs(5);
/// How long those are put off that come while the one probe is under way.
const PROBE_WAIT: Duration = Duration::from_secs(1);
/// Retries are a tenth of the calls at most, once so many have failed.
const FREE_RETRIES: u32 = 10;

/// Whether an upstream is called.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    epoch: u64,
    window: Window,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { probing: bool },
}

/// A call that was let through, to be given back with its outcome.
#[derive(Debug)]
pub(crate) struct Attempt {
    epoch: u64,
}

/// How a call went, as far as the breaker cares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// The upstream answered, whatever it said.
    Answered,
    /// It was unreachable, too slow, or answered 5xx.
    Failed,
    /// Nobody waited for the end.
    Abandoned,
}

/// What has become of the breaker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    None,
    Opened,
    Closed,
}

impl Breaker {
    pub(crate) fn new(now: Instant) -> Self {
        Self { state: State::Closed, epoch: 0, window: Window::new(now) }
    }

    /// Lets a call through, or says when another try may succeed.
    pub(crate) fn enter(&mut self, now: Instant) -> Result<Attempt, Duration> {
        match self.state {
            State::Closed => {}
            State::Open { until } if now < until => return Err(until - now),
            State::HalfOpen { probing: true } => return Err(PROBE_WAIT),
            State::Open { .. } => {
                self.epoch += 1;
                self.state = State::HalfOpen { probing: true };
            }
            State::HalfOpen { probing: false } => self.state = State::HalfOpen { probing: true },
        }
        Ok(Attempt { epoch: self.epoch })
    }

    /// Takes a call's outcome. One of a call that began before the last change of state says nothing new.
    pub(crate) fn leave(&mut self, attempt: &Attempt, outcome: Outcome, now: Instant) -> Change {
        if attempt.epoch != self.epoch {
            return Change::None;
        }
        match (self.state, outcome) {
            (State::Open { .. }, _) | (State::Closed, Outcome::Abandoned) => Change::None,
            (State::Closed, _) => {
                self.window.count(outcome == Outcome::Failed, now);
                let (calls, failures) = self.window.sums(now);
                if failures < MIN_FAILURES || failures.saturating_mul(2) <= calls {
                    return Change::None;
                }
                self.open(now);
                Change::Opened
            }
            (State::HalfOpen { .. }, Outcome::Abandoned) => {
                self.state = State::HalfOpen { probing: false };
                Change::None
            }
            (State::HalfOpen { .. }, Outcome::Failed) => {
                self.open(now);
                Change::None
            }
            (State::HalfOpen { .. }, Outcome::Answered) => {
                self.epoch += 1;
                self.state = State::Closed;
                self.window = Window::new(now);
                Change::Closed
            }
        }
    }

    /// Whether the upstream is well enough for a failed query to be tried again.
    pub(crate) fn allows_retry(&mut self, now: Instant) -> bool {
        let (calls, failures) = self.window.sums(now);
        self.state == State::Closed && failures <= FREE_RETRIES.saturating_add(calls / 10)
    }

    /// Whether calls are refused, or but one is let through.
    pub(crate) fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    fn open(&mut self, now: Instant) {
        self.epoch += 1;
        self.state = State::Open { until: now + OPEN_FOR };
    }
}

/// Calls and failures of the last ten seconds, by the second.
#[derive(Debug)]
struct Window {
    /// Oldest last.
    buckets: [(u32, u32); BUCKETS],
    /// When the first bucket began.
    began: Instant,
}

impl Window {
    fn new(now: Instant) -> Self {
        Self { buckets: [(0, 0); BUCKETS], began: now }
    }

    fn advance(&mut self, now: Instant) {
        for _ in 0..BUCKETS {
            if now < self.began + BUCKET {
                return;
            }
            self.buckets.rotate_right(1);
            self.buckets[0] = (0, 0);
            self.began += BUCKET;
        }
        if now >= self.began + BUCKET {
            self.began = now;
        }
    }

    fn count(&mut self, failed: bool, now: Instant) {
        self.advance(now);
        let (calls, failures) = &mut self.buckets[0];
        *calls = calls.saturating_add(1);
        *failures = failures.saturating_add(failed.into());
    }

    fn sums(&mut self, now: Instant) -> (u32, u32) {
        self.advance(now);
        let add = |(calls, failures): (u32, u32), bucket: &(u32, u32)| {
            (calls.saturating_add(bucket.0), failures.saturating_add(bucket.1))
        };
        self.buckets.iter().fold((0, 0), add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        breaker: Breaker,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let now = Instant::now();
            Self { breaker: Breaker::new(now), now }
        }

        fn call(&mut self, outcome: Outcome) -> Change {
            let attempt = self.breaker.enter(self.now).expect("the breaker is closed");
            self.breaker.leave(&attempt, outcome, self.now)
        }

        fn open() -> Self {
            let mut bench = Self::new();
            for _ in 0..19 {
                assert_eq!(bench.call(Outcome::Failed), Change::None);
            }
            assert_eq!(bench.call(Outcome::Failed), Change::Opened);
            bench
        }
    }

    #[test]
    fn twenty_failures_open_it_for_five_seconds() {
        let mut bench = Bench::open();
        assert_eq!(bench.breaker.enter(bench.now).unwrap_err(), OPEN_FOR);
        bench.now += Duration::from_secs(3);
        assert_eq!(bench.breaker.enter(bench.now).unwrap_err(), Duration::from_secs(2));
    }

    #[test]
    fn half_of_the_calls_is_not_more_than_half() {
        let mut bench = Bench::new();
        for _ in 0..40 {
            bench.call(Outcome::Answered);
            assert_eq!(bench.call(Outcome::Failed), Change::None);
        }
        assert_eq!(bench.call(Outcome::Failed), Change::Opened);
    }

    #[test]
    fn failures_older_than_ten_seconds_are_forgotten() {
        let mut bench = Bench::new();
        for _ in 0..19 {
            bench.call(Outcome::Failed);
        }
        bench.now += Duration::from_secs(11);
        for _ in 0..19 {
            assert_eq!(bench.call(Outcome::Failed), Change::None);
        }
        assert_eq!(bench.call(Outcome::Failed), Change::Opened);
    }

    #[test]
    fn one_probe_decides() {
        let mut bench = Bench::open();
        bench.now += OPEN_FOR;
        let probe = bench.breaker.enter(bench.now).unwrap();
        assert_eq!(bench.breaker.enter(bench.now).unwrap_err(), PROBE_WAIT);
        bench.breaker.leave(&probe, Outcome::Failed, bench.now);
        assert_eq!(bench.breaker.enter(bench.now).unwrap_err(), OPEN_FOR);
        bench.now += OPEN_FOR;
        let probe = bench.breaker.enter(bench.now).unwrap();
        assert_eq!(bench.breaker.leave(&probe, Outcome::Answered, bench.now), Change::Closed);
        assert!(bench.breaker.enter(bench.now).is_ok() && bench.breaker.enter(bench.now).is_ok());
    }

    #[test]
    fn an_abandoned_probe_leaves_its_place_to_another() {
        let mut bench = Bench::open();
        bench.now += OPEN_FOR;
        let probe = bench.breaker.enter(bench.now).unwrap();
        bench.breaker.leave(&probe, Outcome::Abandoned, bench.now);
        assert!(bench.breaker.enter(bench.now).is_ok());
    }

    #[test]
    fn calls_from_before_it_opened_decide_nothing() {
        let mut bench = Bench::new();
        let late = bench.breaker.enter(bench.now).unwrap();
        for _ in 0..20 {
            bench.call(Outcome::Failed);
        }
        bench.now += OPEN_FOR;
        let _probe = bench.breaker.enter(bench.now).unwrap();
        assert_eq!(bench.breaker.leave(&late, Outcome::Answered, bench.now), Change::None);
        assert!(bench.breaker.is_open());
    }

    #[test]
    fn retries_end_before_they_make_things_worse() {
        let mut bench = Bench::new();
        for _ in 0..11 {
            assert!(bench.breaker.allows_retry(bench.now));
            bench.call(Outcome::Failed);
        }
        bench.call(Outcome::Failed);
        assert!(!bench.breaker.allows_retry(bench.now));
    }
}
