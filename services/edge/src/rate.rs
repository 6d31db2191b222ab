//! The rate limit: calls of one organization in a fixed window of one minute.
//!
//! A window starts with the first call after the last one ended. Counters live in this process alone.

use http::{HeaderMap, HeaderName, HeaderValue};
use model::Fault;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

/// How long a window lasts, in milliseconds.
const WINDOW_MS: u64 = 60_000;
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const SCOPE: HeaderName = HeaderName::from_static("ratelimit-scope");
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// Windows that are kept; beyond it, those that ended and that no grant refers to are dropped.
const MAX_WINDOWS: usize = 100_000;

/// How a caller stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Standing {
    /// Requests in a window.
    pub(crate) limit: u32,
    /// Requests that are left in this one.
    pub(crate) remaining: u32,
    /// Seconds until the next.
    pub(crate) reset_seconds: u64,
}

/// One organization's window, shared by all threads: when it began and how many calls it has seen, in one word.
#[derive(Debug)]
pub(crate) struct Window {
    base: Instant,
    /// Milliseconds since `base` plus one, zero for never; then the count.
    state: AtomicU64,
}

impl Window {
    fn new(base: Instant) -> Self {
        Self { base, state: AtomicU64::new(0) }
    }

    fn clock(&self, now: Instant) -> u64 {
        let ms = now.saturating_duration_since(self.base).as_millis();
        // 40 bits of milliseconds are 34 years of uptime.
        u64::try_from(ms).unwrap_or(u64::MAX >> COUNT_BITS).saturating_add(1)
    }

    fn running(state: u64, now: u64) -> Option<(u64, u64)> {
        let (start, count) = (state >> COUNT_BITS, state & COUNT_MASK);
        (start != 0 && now.saturating_sub(start) < WINDOW_MS).then_some((start, count))
    }

    fn standing(limit: u32, start: u64, count: u64, now: u64) -> Standing {
        let left = WINDOW_MS.saturating_sub(now.saturating_sub(start));
        let used = u32::try_from(count).unwrap_or(u32::MAX);
        Standing { limit, remaining: limit.saturating_sub(used), reset_seconds: left.div_ceil(1_000) }
    }

    /// How the organization stands, without counting a call.
    pub(crate) fn peek(&self, limit: u32, now: Instant) -> Standing {
        let now = self.clock(now);
        let (start, count) = Self::running(self.state.load(Ordering::Relaxed), now).unwrap_or((now, 0));
        Self::standing(limit, start, count, now)
    }

    /// Counts a call; `Err` when there are none left.
    pub(crate) fn count(&self, limit: u32, now: Instant) -> Result<Standing, Standing> {
        let now = self.clock(now);
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let (start, count) = Self::running(state, now).unwrap_or((now, 0));
            if count >= u64::from(limit).min(COUNT_MASK) {
                return Err(Self::standing(limit, start, count, now));
            }
            let next = (start << COUNT_BITS) | (count + 1);
            match self.state.compare_exchange_weak(state, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(Self::standing(limit, start, count + 1, now)),
                Err(other) => state = other,
            }
        }
    }
}

/// Writes how a caller stands with what is limited as `scope`; nothing but that where there is no limit.
pub(crate) fn write(headers: &mut HeaderMap, scope: &'static str, standing: Option<Standing>) {
    headers.insert(SCOPE, HeaderValue::from_static(scope));
    if let Some(Standing { limit, remaining, reset_seconds }) = standing {
        headers.insert(LIMIT, HeaderValue::from(limit));
        headers.insert(REMAINING, HeaderValue::from(remaining));
        headers.insert(RESET, HeaderValue::from(reset_seconds));
    }
}

/// What a caller is told who has none left.
pub(crate) fn exceeded(standing: Standing) -> Fault {
    Fault::new(
        model::Reason::RateLimited,
        format!("the organization has used up its {} requests of this minute", standing.limit),
    )
    .retry_after(Duration::from_secs(standing.reset_seconds))
}

/// Every organization's window; asked only when a grant is taken in.
#[derive(Debug)]
pub(crate) struct Windows {
    base: Instant,
    windows: Mutex<HashMap<Uuid, Arc<Window>>>,
}

impl Windows {
    pub(crate) fn new(base: Instant) -> Self {
        Self { base, windows: Mutex::default() }
    }

    /// The organization's window.
    pub(crate) fn of(&self, organization: Uuid, now: Instant) -> Arc<Window> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= MAX_WINDOWS && !windows.contains_key(&organization) {
            windows.retain(|_, window| {
                let state = window.state.load(Ordering::Relaxed);
                Arc::strong_count(window) > 1 || Window::running(state, window.clock(now)).is_some()
            });
        }
        Arc::clone(windows.entry(organization).or_insert_with(|| Arc::new(Window::new(self.base))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_starts_with_the_first_call_after_the_last_one_ended() {
        let base = Instant::now();
        let window = Window::new(base);
        let at = |seconds| base + Duration::from_secs(seconds);
        assert_eq!(window.count(2, at(10)).unwrap().remaining, 1);
        assert_eq!(window.count(2, at(30)).unwrap().remaining, 0);
        assert_eq!(window.count(2, at(69)).unwrap_err().reset_seconds, 1);
        assert_eq!(window.peek(2, at(70)), Standing { limit: 2, remaining: 2, reset_seconds: 60 });
        assert_eq!(window.count(2, at(75)).unwrap().remaining, 1);
        assert_eq!(window.count(2, at(134)).unwrap().remaining, 0);
        assert!(window.count(2, at(134)).is_err());
    }

    #[test]
    fn threads_together_get_no_more_than_the_limit() {
        let base = Instant::now();
        let window = Window::new(base);
        let hits: usize = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..500).filter(|_| window.count(777, base).is_ok()).count()))
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).sum()
        });
        assert_eq!(hits, 777);
    }

    #[test]
    fn an_organization_keeps_its_window() {
        let base = Instant::now();
        let windows = Windows::new(base);
        let organization = Uuid::new_v4();
        windows.of(organization, base).count(5, base).unwrap();
        assert_eq!(windows.of(organization, base).peek(5, base).remaining, 4);
        assert_eq!(windows.of(Uuid::new_v4(), base).peek(5, base).remaining, 5);
    }
}
