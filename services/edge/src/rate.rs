//! Rate limits: calls of one organization, and where they have limits of their own those of a portal and of a token, each
//! in a fixed window of one minute.
//!
//! A call counts for all of them or, refused by one, for none. So a token that has used up its own takes nothing of
//! what the others of its organization have.

mod window;

use crate::authorization::Subjects;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::Fault;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use window::{Window, Windows};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const SCOPE: HeaderName = HeaderName::from_static("ratelimit-scope");

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

impl Standing {
    /// The one that gives way first: it has the fewest left, or of as many the smaller limit.
    fn tighter(self, other: Self) -> Self {
        if (other.remaining, other.limit) < (self.remaining, self.limit) { other } else { self }
    }
}

/// Calls in a window, as the registry says it; 0 for no limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) organization: u32,
    pub(crate) portal: u32,
    pub(crate) token: u32,
}

/// What limits a caller; nothing where nothing does. Most have the organization's limit alone.
#[derive(Debug)]
pub(crate) struct Rates(Box<[Rate]>);

/// One limit, and where it is counted.
#[derive(Debug)]
struct Rate {
    of: &'static str,
    limit: u32,
    window: Arc<Window>,
}

/// Where all that is limited is counted.
#[derive(Debug)]
pub(crate) struct Counters {
    organizations: Windows,
    /// Of portals and tokens that have limits of their own.
    own: Windows,
}

impl Counters {
    pub(crate) fn new(base: Instant) -> Self {
        Self { organizations: Windows::new(base), own: Windows::new(base) }
    }

    /// What limits the caller whom a grant concerns.
    pub(crate) fn rates(&self, subjects: &Subjects, limits: Limits, now: Instant) -> Rates {
        // What is narrowest comes first: whoever floods it is refused there, and disturbs nothing else.
        let all = [
            ("token", limits.token, &self.own, subjects.token),
            ("portal", limits.portal, &self.own, subjects.portal),
            ("organization", limits.organization, &self.organizations, subjects.organization),
        ];
        let limited = all.into_iter().filter(|(_, limit, ..)| *limit != 0);
        Rates(
            limited
                .map(|(of, limit, windows, uuid)| Rate { of, limit, window: windows.of(uuid, now) })
                .collect(),
        )
    }
}

impl Rates {
    /// How the caller stands with the tightest limit, without counting a call; nothing without a limit.
    pub(crate) fn peek(&self, now: Instant) -> Option<Standing> {
        let standings = self.0.iter().map(|rate| rate.window.peek(rate.limit, now));
        standings.reduce(Standing::tighter)
    }

    /// Counts a call, everywhere or nowhere, and says how the caller stands with the tightest limit then.
    ///
    /// # Errors
    ///
    /// `RateLimited` when one of them has none left, and how the caller stands.
    pub(crate) fn count(&self, now: Instant) -> Result<Option<Standing>, (Fault, Standing)> {
        let mut tightest = None;
        for (at, rate) in self.0.iter().enumerate() {
            match rate.window.count(rate.limit, now) {
                Ok(standing) => tightest = Some(tightest.map_or(standing, |other| standing.tighter(other))),
                Err(standing) => return Err(self.refuse(at, standing, now)),
            }
        }
        Ok(tightest)
    }

    /// Gives back what was counted before the limit at `at` refused, and says what the caller is told.
    #[cold]
    fn refuse(&self, at: usize, refused: Standing, now: Instant) -> (Fault, Standing) {
        let (mut tightest, mut of, mut wait) = (refused, "", refused.reset_seconds);
        for (place, rate) in self.0.iter().enumerate() {
            if place < at {
                rate.window.give_back(now);
            }
            let standing = if place == at { refused } else { rate.window.peek(rate.limit, now) };
            if standing.remaining == 0 {
                // Until the last of those has begun anew, there is no use in another try.
                wait = wait.max(standing.reset_seconds);
            }
            tightest = tightest.tighter(standing);
            if tightest == standing {
                of = rate.of;
            }
        }
        let message = format!("the {of} has used up its {} requests of this minute", tightest.limit);
        let fault = Fault::new(model::Reason::RateLimited, message).retry_after(Duration::from_secs(wait));
        (fault, tightest)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn subjects(token: u128, portal: u128) -> Subjects {
        let [organization, portal, token] = [1, 100 + portal, 200 + token].map(Uuid::from_u128);
        Subjects { organization, portal, token }
    }

    fn limits(token: u32, portal: u32, organization: u32) -> Limits {
        Limits { organization, portal, token }
    }

    /// Limit and what is left.
    fn told(standing: Standing) -> (u32, u32) {
        (standing.limit, standing.remaining)
    }

    #[test]
    fn the_tightest_limit_is_told() {
        let base = Instant::now();
        for (limits, expected) in [
            (limits(0, 0, 0), None),
            (limits(0, 0, 9), Some((9, 8))),
            (limits(0, 5, 9), Some((5, 4))),
            (limits(7, 5, 9), Some((5, 4))),
            (limits(9, 0, 3), Some((3, 2))),
            (limits(4, 0, 0), Some((4, 3))),
        ] {
            let rates = Counters::new(base).rates(&subjects(0, 0), limits, base);
            assert_eq!(rates.count(base).unwrap().map(told), expected, "{limits:?}");
            assert_eq!(rates.peek(base).map(told), expected, "{limits:?}");
        }
    }

    #[test]
    fn of_as_many_left_the_smaller_limit_is_told() {
        let base = Instant::now();
        let counters = Counters::new(base);
        let of = |token, limit| counters.rates(&subjects(token, 0), limits(limit, 0, 4), base);
        of(0, 0).count(base).unwrap();
        assert_eq!(of(1, 3).peek(base).map(told), Some((3, 3)));
        assert_eq!(of(2, 5).peek(base).map(told), Some((4, 3)));
    }

    #[test]
    fn who_is_refused_by_one_limit_takes_nothing_of_the_others() {
        let base = Instant::now();
        let counters = Counters::new(base);
        let of = |token, portal, limits| counters.rates(&subjects(token, portal), limits, base);
        let flooding = of(0, 0, limits(2, 6, 7));
        let outcomes: Vec<_> = (0..50).map(|_| flooding.count(base).is_ok()).collect();
        assert_eq!(outcomes.iter().filter(|let_in| **let_in).count(), 2);
        let calm = of(1, 0, limits(0, 6, 7));
        assert_eq!((0..50).filter(|_| calm.count(base).is_ok()).count(), 4, "the rest of the portal's");
        let own = of(2, 0, limits(3, 6, 7));
        let (fault, standing) = own.count(base).unwrap_err();
        assert_eq!(fault.message(), "the portal has used up its 6 requests of this minute");
        assert_eq!(told(standing), (6, 0));
        assert_eq!(of(2, 1, limits(3, 0, 7)).count(base).unwrap().map(told), Some((7, 0)), "the seventh");
        assert_eq!(own.0.first().unwrap().window.peek(3, base).remaining, 2, "its own was given back");
        let (fault, _) = of(3, 1, limits(0, 0, 7)).count(base).unwrap_err();
        assert_eq!(fault.message(), "the organization has used up its 7 requests of this minute");
    }

    #[test]
    fn the_wait_is_until_the_last_of_those_that_are_used_up_begins_anew() {
        let base = Instant::now();
        let at = |seconds| base + Duration::from_secs(seconds);
        let counters = Counters::new(base);
        counters.rates(&subjects(0, 0), limits(0, 0, 2), base).count(at(0)).unwrap();
        let rates = counters.rates(&subjects(1, 0), limits(1, 0, 2), base);
        rates.count(at(20)).unwrap();
        let (fault, standing) = rates.count(at(30)).unwrap_err();
        assert_eq!((told(standing), standing.reset_seconds), ((1, 0), 50));
        assert_eq!(fault.wait(), Some(Duration::from_secs(50)));
        let third = counters.rates(&subjects(2, 0), limits(9, 0, 2), base);
        assert_eq!(third.count(at(30)).unwrap_err().0.wait(), Some(Duration::from_secs(30)));
        assert_eq!(third.count(at(60)).unwrap().map(told), Some((2, 1)));
        assert!(rates.count(at(60)).is_err(), "its own minute is longer");
    }

    #[test]
    fn threads_together_get_no_more_than_each_limit() {
        let base = Instant::now();
        let counters = Counters::new(base);
        let run = |token: u128, limit: u32| {
            let rates = counters.rates(&subjects(token, 0), limits(limit, 500, 700), base);
            (0..1_000).filter(|_| rates.count(base).is_ok()).count()
        };
        let let_in: Vec<usize> = std::thread::scope(|scope| {
            let runs: Vec<_> = [(0, 50), (0, 50), (1, 0), (1, 0)]
                .map(|(token, limit)| scope.spawn(move || run(token, limit)))
                .into_iter()
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert!(let_in[0] + let_in[1] <= 50, "{let_in:?}");
        assert_eq!(let_in.iter().sum::<usize>(), 500, "{let_in:?}");
    }

    proptest! {
        #[test]
        fn each_limit_counts_those_that_were_let_in_and_nothing_else(
            calls in prop::collection::vec((0..3_u128, 0..2_u128, 0..20_000_u64), 1..200),
        ) {
            let base = Instant::now();
            let counters = Counters::new(base);
            let (mut now, mut let_in) = (base, Vec::new());
            // When the window of each began that has one.
            let mut began = std::collections::HashMap::new();
            for (token, portal, pause) in calls {
                now += Duration::from_millis(pause);
                let subjects = subjects(token + 3 * portal, portal);
                let all = [(subjects.token, 4), (subjects.portal, 7), (subjects.organization, 11)];
                began.retain(|_, start| now.duration_since(*start) < Duration::from_secs(60));
                let used = |uuid, let_in: &[(Subjects, Instant)], began: &std::collections::HashMap<Uuid, Instant>| {
                    let since = began.get(&uuid).copied();
                    let counts = |(of, at): &&(Subjects, Instant)| {
                        [of.token, of.portal, of.organization].contains(&uuid) && since.is_some_and(|since| *at >= since)
                    };
                    let_in.iter().filter(counts).count()
                };
                let expected = all.iter().all(|(uuid, limit)| used(*uuid, &let_in, &began) < *limit);
                let outcome = counters.rates(&subjects, limits(4, 7, 11), now).count(now);
                prop_assert_eq!(outcome.is_ok(), expected);
                if expected {
                    all.iter().for_each(|(uuid, _)| { began.entry(*uuid).or_insert(now); });
                    let_in.push((subjects, now));
                }
            }
        }
    }
}
