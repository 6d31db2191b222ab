//! Until when the registry has promised to tell of every change.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// The lease, shared by all threads: read on each use of a grant, so a process that slept finds it over.
#[derive(Debug)]
pub(crate) struct Lease {
    base: Instant,
    /// Milliseconds since `base`, zero for never.
    until: AtomicU64,
}

impl Lease {
    pub(crate) fn new(base: Instant) -> Self {
        Self { base, until: AtomicU64::new(0) }
    }

    /// Lengthens the lease; it never becomes shorter.
    pub(crate) fn extend(&self, until: Instant) {
        let ms = until.saturating_duration_since(self.base).as_millis();
        self.until.fetch_max(u64::try_from(ms).unwrap_or(0), Ordering::AcqRel);
    }

    /// When it ends or ended; `None` if there never was one.
    pub(crate) fn until(&self) -> Option<Instant> {
        match self.until.load(Ordering::Acquire) {
            0 => None,
            ms => Some(self.base + Duration::from_millis(ms)),
        }
    }

    /// Whether it lasts.
    pub(crate) fn lasts(&self, now: Instant) -> bool {
        self.until().is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_by_itself_and_is_never_shortened() {
        let base = Instant::now();
        let lease = Lease::new(base);
        assert!(!lease.lasts(base));
        lease.extend(base + Duration::from_secs(5));
        lease.extend(base + Duration::from_secs(3));
        assert!(lease.lasts(base + Duration::from_millis(4_999)));
        assert!(!lease.lasts(base + Duration::from_secs(5)));
    }
}
