//! How often one access token may ask in a minute, and one address with tokens that nobody knows.
//!
//! A token counts by itself from its first good answer on: whoever guesses uses up what their address has, and nothing
//! of what those have who are known. Counters live in this process alone.

use crate::rate::Standing;
use http::StatusCode;
use model::{Fault, Fingerprint, Reason};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_secs(60);
/// Tokens and addresses that are counted one by one.
const MAX_COUNTED: usize = 50_000;
/// The part of an IPv6 address that one customer of a network commonly has for themselves.
const NETWORK_BITS: u32 = 64;

/// What is left to whom, shared by all threads.
#[derive(Debug)]
pub(crate) struct Quotas {
    /// Requests in a window; 0 for no limit.
    limit: u32,
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    /// Tokens that were good within this window or the last one.
    tokens: HashMap<Fingerprint, u32>,
    /// Requests whose token was not; under `None` those of all addresses for which there is no room.
    addresses: HashMap<Option<IpAddr>, u32>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    token: Fingerprint,
    source: Option<IpAddr>,
}

impl Caller {
    /// Whoever presents `token` from `address`.
    pub(super) fn new(token: Fingerprint, address: Option<IpAddr>) -> Self {
        let source = address.map(|address| match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => {
                Ipv6Addr::from_bits(address.to_bits() >> NETWORK_BITS << NETWORK_BITS).into()
            }
        });
        Self { token, source }
    }
}

impl Quotas {
    /// Counts from `now` on.
    pub(crate) fn new(limit: u32, now: Instant) -> Self {
        let window = Window { began: now, tokens: HashMap::new(), addresses: HashMap::new() };
        Self { limit, window: Mutex::new(window) }
    }

    /// Counts a request.
    ///
    /// # Errors
    ///
    /// `RateLimited` where there is none left, and how a known token stands.
    pub(super) fn enter(&self, caller: &Caller, now: Instant) -> Result<(), (Fault, Option<Standing>)> {
        if self.limit == 0 {
            return Ok(());
        }
        let mut window = self.window(now);
        let reset_seconds = window.reset_seconds(now);
        let refused = |message: String| {
            Fault::new(Reason::RateLimited, message).retry_after(Duration::from_secs(reset_seconds))
        };
        if let Some(count) = window.tokens.get_mut(&caller.token) {
            if *count < self.limit {
                *count += 1;
                return Ok(());
            }
            let standing = Standing { limit: self.limit, remaining: 0, reset_seconds };
            let message = format!("the access token has used up its {} requests of this minute", self.limit);
            return Err((refused(message), Some(standing)));
        }
        let count = window.source(caller.source);
        if *count >= self.limit {
            return Err((
                refused("too many requests with unknown access tokens from this address".to_owned()),
                None,
            ));
        }
        *count += 1;
        Ok(())
    }

    /// Takes note of how a request ended, and tells how its token stands if that is a good one.
    pub(super) fn leave(&self, caller: &Caller, status: StatusCode, now: Instant) -> Option<Standing> {
        if self.limit == 0 {
            return None;
        }
        let mut window = self.window(now);
        if status == StatusCode::UNAUTHORIZED {
            window.tokens.remove(&caller.token);
            return None;
        }
        if !window.tokens.contains_key(&caller.token) {
            if !is_good(status) || window.tokens.len() >= MAX_COUNTED {
                return None;
            }
            let count = window.source(caller.source);
            *count = count.saturating_sub(1);
            window.tokens.insert(caller.token, 1);
        }
        let used = window.tokens.get(&caller.token).copied().unwrap_or_default();
        let reset_seconds = window.reset_seconds(now);
        Some(Standing { limit: self.limit, remaining: self.limit.saturating_sub(used), reset_seconds })
    }

    /// The window that `now` is in.
    fn window(&self, now: Instant) -> MutexGuard<'_, Window> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(window.began);
        if passed >= WINDOW {
            let into = Duration::from_nanos(
                u64::try_from(passed.as_nanos() % WINDOW.as_nanos()).unwrap_or_default(),
            );
            window.began = now.checked_sub(into).unwrap_or(now);
            window.tokens.retain(|_, count| std::mem::take(count) > 0);
            window.addresses.clear();
        }
        window
    }
}

impl Window {
    fn reset_seconds(&self, now: Instant) -> u64 {
        let left = WINDOW.saturating_sub(now.saturating_duration_since(self.began));
        left.as_secs() + u64::from(left.subsec_nanos() > 0)
    }

    /// The count of an address, or of all for which there is no room.
    fn source(&mut self, source: Option<IpAddr>) -> &mut u32 {
        let room = self.addresses.len() < MAX_COUNTED || self.addresses.contains_key(&source);
        self.addresses.entry(source.filter(|_| room)).or_default()
    }
}

/// Whether an answer is one that nobody gets before the registry has known their token.
fn is_good(status: StatusCode) -> bool {
    let known =
        [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::CONFLICT, StatusCode::PRECONDITION_FAILED];
    status.is_success() || known.contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: StatusCode = StatusCode::OK;

    fn caller(token: &str, address: &str) -> Caller {
        Caller::new(Fingerprint::of(token.as_bytes()), Some(address.parse().unwrap()))
    }

    /// How one request goes: what is left, nothing where that is not told, or seconds to wait.
    fn ask(quotas: &Quotas, caller: &Caller, status: StatusCode, now: Instant) -> Result<Option<u32>, u64> {
        match quotas.enter(caller, now) {
            Ok(()) => Ok(quotas.leave(caller, status, now).map(|standing| standing.remaining)),
            Err((fault, _)) => Err(fault.wait().unwrap().as_secs()),
        }
    }

    #[test]
    fn a_token_has_its_requests_of_a_minute_and_then_those_of_the_next() {
        let began = Instant::now();
        let (quotas, at) = (Quotas::new(3, began), |seconds| began + Duration::from_secs(seconds));
        let (one, other) = (caller("one", "192.0.2.1"), caller("other", "192.0.2.1"));
        for left in [2, 1, 0] {
            assert_eq!(ask(&quotas, &one, OK, at(10)), Ok(Some(left)));
        }
        assert_eq!(ask(&quotas, &one, OK, at(20)), Err(40));
        let (_, standing) = quotas.enter(&one, at(59)).unwrap_err();
        assert_eq!(standing, Some(Standing { limit: 3, remaining: 0, reset_seconds: 1 }));
        assert_eq!(ask(&quotas, &other, OK, at(59)), Ok(Some(2)), "each has its own");
        assert_eq!(ask(&quotas, &one, StatusCode::FORBIDDEN, at(60)), Ok(Some(2)), "refusals count too");
        assert_eq!(ask(&quotas, &one, OK, at(130)), Ok(Some(2)), "the second window after");
        let (_, standing) = (ask(&quotas, &one, OK, at(131)), quotas.leave(&one, OK, at(131)));
        assert_eq!(standing.unwrap().reset_seconds, 49);
    }

    #[test]
    fn whoever_guesses_uses_up_their_address_and_not_those_who_are_known() {
        let now = Instant::now();
        let quotas = Quotas::new(3, now);
        let known = caller("known", "192.0.2.1");
        assert_eq!(ask(&quotas, &known, OK, now), Ok(Some(2)));
        for (guess, status) in [("a", 401), ("b", 401), ("c", 422)] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(ask(&quotas, &caller(guess, "192.0.2.1"), status, now), Ok(None));
        }
        for guess in ["a", "d", "new"] {
            assert_eq!(ask(&quotas, &caller(guess, "192.0.2.1"), OK, now), Err(60), "{guess}");
        }
        assert_eq!(ask(&quotas, &known, OK, now), Ok(Some(1)));
        assert_eq!(ask(&quotas, &caller("new", "192.0.2.2"), OK, now), Ok(Some(2)));
        let later = now + WINDOW;
        assert_eq!(ask(&quotas, &caller("new", "192.0.2.1"), OK, later), Ok(Some(2)));
    }

    #[test]
    fn a_token_that_has_died_is_a_guess() {
        let now = Instant::now();
        let quotas = Quotas::new(2, now);
        let caller = caller("dies", "192.0.2.1");
        assert_eq!(ask(&quotas, &caller, OK, now), Ok(Some(1)));
        for _ in 0..3 {
            assert_eq!(ask(&quotas, &caller, StatusCode::UNAUTHORIZED, now), Ok(None));
        }
        assert_eq!(ask(&quotas, &caller, StatusCode::UNAUTHORIZED, now), Err(60));
    }

    #[test]
    fn the_addresses_of_one_network_are_one() {
        let now = Instant::now();
        let quotas = Quotas::new(1, now);
        let guess = |address| ask(&quotas, &caller(address, address), StatusCode::UNAUTHORIZED, now);
        assert_eq!(guess("2001:db8::1"), Ok(None));
        assert_eq!(guess("2001:db8::ffff:2"), Err(60));
        assert_eq!(guess("2001:db8:0:1::1"), Ok(None));
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let now = Instant::now();
        let quotas = Quotas::new(1, now);
        for number in 0..u32::try_from(MAX_COUNTED).unwrap() + 10 {
            let address = IpAddr::V4(number.into());
            let guess = Caller::new(Fingerprint::of(&number.to_be_bytes()), Some(address));
            let _refused_at_last = quotas.enter(&guess, now);
            let _standing = quotas.leave(&guess, StatusCode::UNAUTHORIZED, now);
            let good = Caller::new(Fingerprint::of(&number.to_le_bytes()), None);
            let _standing = quotas.leave(&good, OK, now);
        }
        let window = quotas.window(now);
        assert!(window.addresses.len() <= MAX_COUNTED + 1 && window.tokens.len() <= MAX_COUNTED);
        drop(window);
        assert_eq!(quotas.window(now + WINDOW + WINDOW).addresses.len(), 0);
        assert_eq!(quotas.window(now + WINDOW + WINDOW + WINDOW).tokens.len(), 0);
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let now = Instant::now();
        let quotas = Quotas::new(0, now);
        for _ in 0..10 {
            assert_eq!(ask(&quotas, &caller("a", "192.0.2.1"), StatusCode::UNAUTHORIZED, now), Ok(None));
        }
        assert!(quotas.window(now).addresses.is_empty());
    }
}
