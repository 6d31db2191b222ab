//! The watchdog: sled has been seen to wait for ever in a flush, after an I/O error on a thread of its own.
//!
//! It watches sled alone: the kernel may take its time to make a busy volume durable, but it will answer.

use std::{
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

/// How long sled may take for one group.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// What the committer is at, for the watchdog to see.
#[derive(Debug)]
pub(super) struct Watched {
    start: Instant,
    /// Milliseconds after `start`, from 1; 0 while there is nothing to watch.
    since: AtomicU64,
}

impl Watched {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), since: AtomicU64::new(0) }
    }

    /// Does `work` under the eye of the watchdog.
    pub(super) fn during<Done>(&self, work: impl FnOnce() -> Done) -> Done {
        self.since.store(self.now(), Ordering::Relaxed);
        let done = work();
        self.since.store(0, Ordering::Relaxed);
        done
    }

    /// Waits until the work has taken longer than `limit`, or until `open` is closed; true if it is late.
    pub(super) fn is_late(&self, limit: Duration, open: &Receiver<()>) -> bool {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        while let Err(RecvTimeoutError::Timeout) = open.recv_timeout(limit / 4) {
            let since = self.since.load(Ordering::Relaxed);
            if since > 0 && self.now().saturating_sub(since) > limit_ms {
                return true;
            }
        }
        false
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc::sync_channel, thread};

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn work_that_does_not_end_is_late() {
        let watched = Watched::new();
        let (_opened, open) = sync_channel(0);
        let (end, ended) = sync_channel::<()>(0);
        thread::scope(|scope| {
            scope.spawn(|| watched.during(move || ended.recv().is_ok()));
            assert!(watched.is_late(SHORT, &open));
            drop(end);
        });
    }

    #[test]
    fn idleness_is_never_late() {
        let watched = &Watched::new();
        watched.during(|| ());
        let (opened, open) = sync_channel::<()>(0);
        let (done, waits) = sync_channel::<()>(0);
        thread::scope(|scope| {
            let watching = scope.spawn(move || watched.is_late(SHORT, &open));
            // Long enough for the watchdog to have looked several times.
            assert_eq!(waits.recv_timeout(SHORT * 5), Err(RecvTimeoutError::Timeout));
            drop((opened, done));
            assert!(!watching.join().unwrap());
        });
    }
}
