//! When calls are due: at fixed times, whatever became of those before.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// A row of times that calls are due at, which those who are free take one by one. A call that is due while nobody is
/// free waits, and its time counts from when it was due: what a slow answer does to the calls behind it is not left out
/// (coordinated omission).
pub(crate) struct Schedule {
    began: OnceLock<Instant>,
    per_second: f64,
    calls: u32,
    /// The most calls that wait for somebody who is free; older ones are not made.
    waiting: u32,
    /// When those who are late give up.
    patience: Duration,
    next: AtomicU32,
    dropped: AtomicU32,
}

impl Schedule {
    /// Every call is made, late as it may be, until as much time again is over.
    pub(crate) fn patient(per_second: f64, time: Duration) -> Self {
        Self::new(per_second, time, u32::MAX, time * 2)
    }

    /// A flood: no more than `waiting` calls wait, and none is made behind the end.
    pub(crate) fn flood(per_second: f64, time: Duration, waiting: u32) -> Self {
        Self::new(per_second, time, waiting, time)
    }

    fn new(per_second: f64, time: Duration, waiting: u32, patience: Duration) -> Self {
        let per_second = per_second.max(1.0);
        Self {
            began: OnceLock::new(),
            per_second,
            calls: whole(per_second * time.as_secs_f64()),
            waiting,
            patience,
            next: AtomicU32::new(0),
            dropped: AtomicU32::new(0),
        }
    }

    /// Starts the clock.
    pub(crate) fn begin(&self) -> Instant {
        *self.began.get_or_init(Instant::now)
    }

    /// When the next call is due that nobody has taken; `None` when there is none.
    pub(crate) fn take(&self) -> Option<Instant> {
        let elapsed = self.begin().elapsed();
        if elapsed >= self.patience {
            return None;
        }
        let due = whole(elapsed.as_secs_f64() * self.per_second);
        let oldest = due.saturating_sub(self.waiting);
        let before = self.next.fetch_max(oldest, Ordering::Relaxed);
        self.dropped.fetch_add(oldest.saturating_sub(before), Ordering::Relaxed);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.calls)
            .then(|| self.begin() + Duration::from_secs_f64(f64::from(number) / self.per_second))
    }

    /// How many calls were due and not made.
    pub(crate) fn unsent(&self) -> u32 {
        let taken = self.next.load(Ordering::Relaxed).min(self.calls);
        self.dropped.load(Ordering::Relaxed) + (self.calls - taken)
    }
}

/// The whole of a positive figure.
fn whole(figure: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    let whole = figure as u32;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_due_at_even_distances() {
        let schedule = Schedule::patient(100.0, Duration::from_secs(1));
        let began = schedule.begin();
        let due: Vec<Duration> = std::iter::from_fn(|| schedule.take()).map(|due| due - began).collect();
        assert_eq!(due.len(), 100);
        assert_eq!(due[50], Duration::from_millis(500));
        assert_eq!(schedule.unsent(), 0);
    }
}
