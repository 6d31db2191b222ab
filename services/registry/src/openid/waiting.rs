//! What waits for somebody to come back: a bounded number of things, each for a while, each taken once.

use crate::exchange::Place;
use model::{Bearer, BearerKind, Fault, Fingerprint, Reason};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The most things that wait: in all, and for those of one place.
const MAX: usize = 10_000;
const MAX_OF_PLACE: usize = 100;

/// Things that wait, by what whoever comes back presents; shared by all calls.
pub(super) struct Waiting<Thing> {
    life: Duration,
    things: Mutex<Things<Thing>>,
}

struct Things<Thing> {
    waiting: HashMap<Fingerprint, (Place, Instant, Thing)>,
    /// All that were put there, the oldest first; some have been taken.
    order: VecDeque<(Instant, Fingerprint)>,
}

impl<Thing> Waiting<Thing> {
    pub(super) fn new(life: Duration) -> Self {
        let things = Things { waiting: HashMap::new(), order: VecDeque::new() };
        Self { life, things: Mutex::new(things) }
    }

    /// Has `thing` wait for whoever presents what is returned.
    ///
    /// # Errors
    ///
    /// RATE_LIMITED where too many wait for that place, OVERLOADED where too many do.
    pub(super) fn put(&self, place: Place, thing: Thing, now: Instant) -> Result<Bearer, Fault> {
        let mut things = self.things.lock().unwrap_or_else(PoisonError::into_inner);
        things.forget(self.life, now);
        let message = "too many sign-ins are under way";
        if things.waiting.values().filter(|(other, ..)| *other == place).count() >= MAX_OF_PLACE {
            return Err(Fault::new(Reason::RateLimited, message).retry_after(self.life));
        }
        // What was taken stands in the order until its time is over, so that is what is bounded.
        if things.order.len() >= MAX {
            return Err(Fault::new(Reason::Overloaded, message).retry_after(self.life));
        }
        let bearer = Bearer::generate(BearerKind::SignIn);
        things.order.push_back((now, bearer.fingerprint()));
        things.waiting.insert(bearer.fingerprint(), (place, now, thing));
        Ok(bearer)
    }

    /// Takes what waits for whoever presents that, if its time is not over.
    pub(super) fn take(&self, presented: &str, now: Instant) -> Option<Thing> {
        let fingerprint = Bearer::parse(presented).ok()?.fingerprint();
        let mut things = self.things.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, since, thing) = things.waiting.remove(&fingerprint)?;
        (now.saturating_duration_since(since) < self.life).then_some(thing)
    }
}

impl<Thing> Things<Thing> {
    fn forget(&mut self, life: Duration, now: Instant) {
        while let Some((since, fingerprint)) = self.order.front().copied() {
            if now.saturating_duration_since(since) < life {
                break;
            }
            self.order.pop_front();
            self.waiting.remove(&fingerprint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_taken_once_while_it_waits_and_there_is_an_end_to_how_many_do() {
        let waiting = Waiting::new(Duration::from_secs(60));
        let (here, now) = (Place::of(Some([192, 0, 2, 1].into())), Instant::now());
        let bearer = waiting.put(here, 1, now).unwrap();
        assert_eq!(waiting.take("ptn_other", now), None);
        assert_eq!(waiting.take(bearer.expose(), now), Some(1));
        assert_eq!(waiting.take(bearer.expose(), now), None);
        let bearer = waiting.put(here, 2, now).unwrap();
        assert_eq!(waiting.take(bearer.expose(), now + waiting.life), None);
        for thing in 0..MAX_OF_PLACE {
            waiting.put(here, thing, now).unwrap();
        }
        let fault = waiting.put(here, 0, now).unwrap_err();
        assert_eq!(fault.reason(), Reason::RateLimited);
        let mut refused = None;
        for place in 0..u32::MAX {
            let place = Place::of(Some(place.to_be_bytes().into()));
            refused = waiting.put(place, 0, now).err();
            if refused.is_some() {
                break;
            }
        }
        assert_eq!(refused.map(|fault| fault.reason()), Some(Reason::Overloaded));
        waiting.put(here, 0, now + waiting.life).unwrap();
        assert_eq!(waiting.things.lock().unwrap().order.len(), 1);
    }
}
