//! Chance, so that many edges do not do the same thing at the same moment.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// A number of 0 to 1, without 1.
pub(crate) fn fraction() -> f64 {
    let mut random = [0; 4];
    // Without randomness the middle is as good as any.
    match aws_lc_rs::rand::fill(&mut random) {
        Ok(()) => f64::from(u32::from_ne_bytes(random)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}

/// How long to wait before the next try: twice as long after each failure, 0.1 s to 5 s.
#[derive(Debug, Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    /// Says that it went well.
    pub(crate) fn reset(&mut self) {
        self.0 = 0;
    }

    /// The wait before the next try, half of it by chance.
    pub(crate) fn next(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.0.min(6)).min(LONGEST);
        self.0 = self.0.saturating_add(1);
        whole.mul_f64(0.5 + fraction() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_five_seconds_and_start_over() {
        let mut backoff = Backoff::default();
        let first = backoff.next();
        assert!(first >= FIRST / 2 && first <= FIRST);
        let last = (0..40).map(|_| backoff.next()).last().unwrap();
        assert!(last >= LONGEST / 2 && last <= LONGEST);
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
