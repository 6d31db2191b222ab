//! Wrong secrets, passwords and codes, counted by where they come from and at whom they are aimed or by whom they are
//! sent: who has guessed too often is not listened to for a while.
//!
//! The time is handed in. A stranger costs an entry of a bounded map; whoever guesses from elsewhere keeps nobody away.

use metrics::counter;
use model::{Fault, Fingerprint, Reason};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How many wrong ones are listened to within a window.
const MAX_WRONG: u32 = 10;
/// How long a window lasts from the first wrong one on.
const WINDOW: Duration = Duration::from_secs(60);
/// The most places that are counted apart; beyond them, guesses from new ones are not counted.
const MAX_PLACES: usize = 100_000;

/// Counts wrong guesses of one kind; shared by all calls.
pub(crate) struct Guesses {
    guessed: Guessed,
    places: Mutex<Places>,
}

/// What is guessed at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Guessed {
    /// Secrets of portals, and codes of devices.
    Secrets,
    /// Passwords of users, and invitations.
    Passwords,
    /// Codes that members type.
    Codes,
}

#[derive(Default)]
struct Places {
    counted: HashMap<Place, Window>,
    /// When those whose window has ended were last forgotten.
    cleared: Option<Instant>,
}

/// From where something comes: an IPv4 address, the /64 of an IPv6 address (of which one person has all), or nowhere
/// that is known.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(crate) enum Place {
    Known(Ipv6Addr),
    Unknown,
    /// At whom guesses are aimed, or who sends them: there are more places to guess from than one can count.
    One(Fingerprint),
}

/// A guess that is under way, and counted as wrong until it is found to be right: many at once are no more than one
/// after the other.
pub(crate) struct Guess<'a> {
    guesses: &'a Guesses,
    places: [Place; 2],
}

/// What has come from a place.
struct Window {
    began: Instant,
    wrong: u32,
}

impl Place {
    pub(crate) fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Unknown,
            Some(IpAddr::V4(address)) => Self::Known(address.to_ipv6_mapped()),
            Some(IpAddr::V6(address)) => Self::Known((u128::from(address) >> 64 << 64).into()),
        }
    }

    fn one(name: &str) -> Self {
        Self::One(Fingerprint::of(name.to_ascii_lowercase().as_bytes()))
    }
}

impl Window {
    /// How much is left of it.
    fn left(&self, now: Instant) -> Option<Duration> {
        WINDOW.checked_sub(now.saturating_duration_since(self.began)).filter(|left| !left.is_zero())
    }
}

impl Guessed {
    /// Why nobody is listened to.
    fn too_many(self, place: Place) -> &'static str {
        match (self, place) {
            (Self::Secrets, _) => "too many wrong secrets came from this address",
            (Self::Passwords, Place::Known(_) | Place::Unknown) => {
                "too many wrong passwords came from this address"
            }
            (Self::Passwords, Place::One(_)) => "too many wrong passwords were tried for this user",
            (Self::Codes, Place::Known(_) | Place::Unknown) => "too many wrong codes came from this address",
            (Self::Codes, Place::One(_)) => "too many wrong codes were tried with this access token",
        }
    }
}

impl Guesses {
    pub(crate) fn new(guessed: Guessed) -> Self {
        Self { guessed, places: Mutex::default() }
    }

    /// Lets in who has not guessed too often.
    ///
    /// # Errors
    ///
    /// RATE_LIMITED until the window ends, right or wrong: else the right one would still be found.
    pub(crate) fn admit(&self, address: Option<IpAddr>, now: Instant) -> Result<(), Fault> {
        self.lock().admit(self.guessed, Place::of(address), now)
    }

    /// Lets in who has guessed too often neither from an address nor at or as somebody, and counts it as wrong for now.
    ///
    /// # Errors
    ///
    /// RATE_LIMITED until the window ends, right or wrong.
    pub(crate) fn begin(
        &self,
        address: Option<IpAddr>,
        name: &str,
        now: Instant,
    ) -> Result<Guess<'_>, Fault> {
        let places = [Place::of(address), Place::one(name)];
        let mut counted = self.lock();
        for place in places {
            counted.admit(self.guessed, place, now)?;
        }
        for place in places {
            counted.wrong(place, now);
        }
        Ok(Guess { guesses: self, places })
    }

    /// Counts a wrong guess.
    pub(crate) fn wrong(&self, address: Option<IpAddr>, now: Instant) {
        self.lock().wrong(Place::of(address), now);
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guess<'_> {
    /// It was right, or could not be judged: it does not count.
    pub(crate) fn forget(self) {
        let mut counted = self.guesses.lock();
        for place in self.places {
            if let Some(window) = counted.counted.get_mut(&place) {
                window.wrong = window.wrong.saturating_sub(1);
            }
        }
    }
}

impl Places {
    fn admit(&self, guessed: Guessed, place: Place, now: Instant) -> Result<(), Fault> {
        let window = self.counted.get(&place).filter(|window| window.wrong >= MAX_WRONG);
        match window.and_then(|window| window.left(now)) {
            None => Ok(()),
            Some(left) => Err(Fault::new(Reason::RateLimited, guessed.too_many(place)).retry_after(left)),
        }
    }

    fn wrong(&mut self, place: Place, now: Instant) {
        if self.counted.len() >= MAX_PLACES && !self.counted.contains_key(&place) {
            self.clear(now);
            if self.counted.len() >= MAX_PLACES {
                counter!("portals_registry_guesses_not_counted_total").increment(1);
                return;
            }
        }
        let window = self.counted.entry(place).or_insert(Window { began: now, wrong: 0 });
        if window.left(now).is_none() {
            *window = Window { began: now, wrong: 0 };
        }
        window.wrong = window.wrong.saturating_add(1);
    }

    /// Forgets the windows that have ended; once a second, for it looks at all of them.
    fn clear(&mut self, now: Instant) {
        let lately = |cleared: Instant| now.saturating_duration_since(cleared) < Duration::from_secs(1);
        if !self.cleared.is_some_and(lately) {
            self.counted.retain(|_, window| window.left(now).is_some());
            self.cleared = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn ten_wrong_ones_a_minute_are_listened_to_and_nobody_elsewhere_is_kept_away() {
        let guesses = Guesses::new(Guessed::Secrets);
        let (bad, good) = (address("192.0.2.1"), address("192.0.2.2"));
        let start = Instant::now();
        for guess in 0..MAX_WRONG {
            guesses.admit(bad, start).unwrap_or_else(|fault| panic!("guess {guess}: {fault}"));
            guesses.wrong(bad, start);
        }
        let fault = guesses.admit(bad, start + Duration::from_secs(20)).unwrap_err();
        assert_eq!((fault.reason(), fault.wait()), (Reason::RateLimited, Some(Duration::from_secs(40))));
        assert!(guesses.admit(address("::ffff:192.0.2.1"), start).is_err(), "it is the same address");
        for other in [good, None, address("2001:db8::1")] {
            assert!(guesses.admit(other, start).is_ok(), "{other:?}");
        }
        assert!(guesses.admit(bad, start + WINDOW).is_ok());
        guesses.wrong(bad, start + WINDOW);
        assert!(guesses.admit(bad, start + WINDOW).is_ok(), "a new window begins with the first wrong one");
    }

    #[test]
    fn who_has_a_network_of_ipv6_has_no_more_guesses_than_who_has_an_address() {
        let guesses = Guesses::new(Guessed::Secrets);
        let now = Instant::now();
        for host in 0..MAX_WRONG {
            guesses.wrong(address(&format!("2001:db8:0:1::{host:x}")), now);
        }
        assert!(guesses.admit(address("2001:db8:0:1:ffff::1"), now).is_err());
        assert!(guesses.admit(address("2001:db8:0:2::1"), now).is_ok());
    }

    #[test]
    fn guesses_at_one_user_are_counted_wherever_they_come_from_and_right_ones_are_not() {
        let guesses = Guesses::new(Guessed::Passwords);
        let now = Instant::now();
        for guess in 0..MAX_WRONG {
            let from = address(&format!("192.0.2.{guess}"));
            guesses.begin(from, "ada@example.com", now).unwrap().forget();
            let Ok(_counted) = guesses.begin(from, "Ada@example.com", now) else { panic!("guess {guess}") };
        }
        let fresh = address("198.51.100.1");
        let Err(fault) = guesses.begin(fresh, "ada@example.com", now) else { panic!("it was the eleventh") };
        assert_eq!((fault.reason(), fault.wait()), (Reason::RateLimited, Some(WINDOW)));
        assert!(guesses.begin(fresh, "bob@example.com", now).is_ok());
        assert!(guesses.begin(fresh, "ada@example.com", now + WINDOW).is_ok());
    }

    #[test]
    fn memory_is_bounded_and_places_of_before_make_room() {
        let guesses = Guesses::new(Guessed::Secrets);
        let start = Instant::now();
        let place = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
        for number in 0..110_000 {
            guesses.wrong(place(number), start);
        }
        assert_eq!(guesses.lock().counted.len(), MAX_PLACES);
        guesses.wrong(place(200_000), start + WINDOW);
        assert_eq!(guesses.lock().counted.len(), 1);
    }
}
