//! Windows of one minute, in which calls are counted.
//!
//! A window starts with the first call after the last one ended. Counters live in this process alone.

use super::Standing;
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
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// Windows that are kept.
const MAX_WINDOWS: usize = 100_000;
/// The least time between two looks at all of them for want of room.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A window, shared by all threads: when it began and how many calls it has seen, in one word.
#[derive(Debug)]
pub(super) struct Window {
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

    /// How it stands, without counting a call.
    pub(super) fn peek(&self, limit: u32, now: Instant) -> Standing {
        let now = self.clock(now);
        let (start, count) = Self::running(self.state.load(Ordering::Relaxed), now).unwrap_or((now, 0));
        Self::standing(limit, start, count, now)
    }

    /// Counts a call; `Err` when there are none left.
    pub(super) fn count(&self, limit: u32, now: Instant) -> Result<Standing, Standing> {
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

    /// Gives back a call that was counted and not made, if its window still runs.
    pub(super) fn give_back(&self, now: Instant) {
        let now = self.clock(now);
        let given_back = |state| {
            let (start, count) = Self::running(state, now)?;
            let left = count.checked_sub(1)?;
            // Of a window that no call was made in, nothing is left.
            Some(if left == 0 { 0 } else { (start << COUNT_BITS) | left })
        };
        let _nothing_to_give_back = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, given_back);
    }
}

/// Windows by what is limited; asked only when a grant is taken in.
///
/// One that has ended and that no grant refers to is dropped within a minute.
#[derive(Debug)]
pub(super) struct Windows {
    base: Instant,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    windows: HashMap<Uuid, Arc<Window>>,
    looked: Instant,
}

impl Windows {
    pub(super) fn new(base: Instant) -> Self {
        Self { base, kept: Mutex::new(Kept { windows: HashMap::new(), looked: base }) }
    }

    /// The window of what is limited.
    pub(super) fn of(&self, uuid: Uuid, now: Instant) -> Arc<Window> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = kept.windows.get(&uuid) {
            return Arc::clone(window);
        }
        let full = kept.windows.len() >= MAX_WINDOWS;
        let pause = if full { LOOK_AGAIN } else { Duration::from_millis(WINDOW_MS) };
        if now.saturating_duration_since(kept.looked) >= pause {
            kept.drop_ended(now);
        }
        let window = Arc::new(Window::new(self.base));
        if kept.windows.len() < MAX_WINDOWS {
            kept.windows.insert(uuid, Arc::clone(&window));
        }
        // Without room it counts for its grant alone: a limit that holds less is better than memory without end.
        window
    }
}

impl Kept {
    fn drop_ended(&mut self, now: Instant) {
        self.looked = now;
        self.windows.retain(|_, window| {
            let state = window.state.load(Ordering::Relaxed);
            Arc::strong_count(window) > 1 || Window::running(state, window.clock(now)).is_some()
        });
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
    fn what_is_given_back_is_there_again_and_an_empty_window_has_not_begun() {
        let base = Instant::now();
        let window = Window::new(base);
        let at = |seconds| base + Duration::from_secs(seconds);
        window.count(2, at(1)).unwrap();
        window.count(2, at(2)).unwrap();
        window.give_back(at(2));
        assert_eq!(window.count(2, at(3)).unwrap(), Standing { limit: 2, remaining: 0, reset_seconds: 58 });
        window.give_back(at(3));
        window.give_back(at(3));
        assert_eq!(window.peek(2, at(30)), Standing { limit: 2, remaining: 2, reset_seconds: 60 });
        window.give_back(at(30));
        window.count(2, at(31)).unwrap();
        window.give_back(at(91));
        assert_eq!(window.peek(2, at(90)).remaining, 1, "of a window that has ended nothing is given back");
    }

    #[test]
    fn whoever_has_a_window_keeps_it() {
        let base = Instant::now();
        let windows = Windows::new(base);
        let uuid = Uuid::new_v4();
        windows.of(uuid, base).count(5, base).unwrap();
        assert_eq!(windows.of(uuid, base).peek(5, base).remaining, 4);
        assert_eq!(windows.of(Uuid::new_v4(), base).peek(5, base).remaining, 5);
    }

    #[test]
    fn what_has_ended_is_dropped_within_a_minute_and_what_is_in_use_is_kept() {
        let base = Instant::now();
        let at = |seconds| base + Duration::from_secs(seconds);
        let windows = Windows::new(base);
        let (held, running, ended) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let in_hand = windows.of(held, base);
        windows.of(ended, base).count(9, at(1)).unwrap();
        windows.of(running, base).count(9, at(50)).unwrap();
        windows.of(Uuid::from_u128(4), at(61));
        in_hand.count(9, at(61)).unwrap();
        let kept = windows.kept.lock().unwrap().windows.len();
        assert_eq!(kept, 3, "the new one, the one in hand and the one that runs");
        assert_eq!(windows.of(held, at(61)).peek(9, at(61)).remaining, 8);
        assert_eq!(windows.of(running, at(61)).peek(9, at(61)).remaining, 8);
    }

    #[test]
    fn windows_have_a_bound_whatever_is_in_use() {
        let base = Instant::now();
        let windows = Windows::new(base);
        let of = |number: usize, now| windows.of(Uuid::from_u128(u128::try_from(number).unwrap()), now);
        let in_hand: Vec<_> = (0..MAX_WINDOWS).map(|number| of(number, base)).collect();
        let beyond = of(MAX_WINDOWS, base + LOOK_AGAIN);
        beyond.count(1, base).unwrap();
        assert!(beyond.count(1, base).is_err(), "it limits its grant");
        assert_eq!(windows.kept.lock().unwrap().windows.len(), MAX_WINDOWS);
        drop(in_hand);
        let later = base + LOOK_AGAIN + LOOK_AGAIN;
        of(MAX_WINDOWS, later).count(1, later).unwrap();
        assert_eq!(windows.kept.lock().unwrap().windows.len(), 1);
        assert!(of(MAX_WINDOWS, later).count(1, later).is_err(), "it is kept, now that there is room");
    }
}
