//! Fetches under way that identical calls share. Who asks first has one begun, whoever asks while it runs waits for the
//! same, and it runs for as long as anybody waits: nothing is kept of what has ended.

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use model::{Fingerprint, Prehashed};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The most fetches of a portal that are shared at a time: as many as one upstream is called at once. A call that finds
/// no place goes alone.
const MAX_FLIGHTS: usize = 256;
/// The most calls that wait for one fetch.
const MAX_WAITING: usize = 1024;

/// The fetches under way, by what is asked and by whom.
pub(crate) struct Flights<T: Clone> {
    flights: HashMap<Fingerprint, Entry<T>, Prehashed>,
}

type Fetch<T> = BoxFuture<'static, T>;

struct Entry<T: Clone> {
    fetch: WeakShared<Fetch<T>>,
    overdue: Overdue,
}

/// A call's place at a fetch. Dropping it leaves the fetch to the others, and ends it with the last.
pub(crate) struct Seat<T: Clone> {
    pub(crate) fetch: Shared<Fetch<T>>,
    pub(crate) overdue: Overdue,
    /// Whether it was this call that had the fetch begun.
    pub(crate) leads: bool,
}

/// Whether somebody has waited for a fetch in vain. A fetch that is dropped cannot tell otherwise whether its callers
/// lost interest or ran out of time.
#[derive(Clone, Default)]
pub(crate) struct Overdue(Arc<AtomicBool>);

impl Overdue {
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<T: Clone> Default for Flights<T> {
    fn default() -> Self {
        Self { flights: HashMap::default() }
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// A place at the fetch of `asked` that is under way, or else at the one that `begin` gives; none where all are
    /// taken.
    pub(crate) fn join(
        &mut self,
        asked: Fingerprint,
        begin: impl FnOnce(Overdue) -> Fetch<T>,
    ) -> Option<Seat<T>> {
        if let Some(seat) = self.flights.get(&asked).and_then(Entry::seat) {
            return Some(seat).filter(|seat| seat.waiting() <= MAX_WAITING);
        }
        self.flights.remove(&asked);
        if self.flights.len() >= MAX_FLIGHTS {
            self.flights.retain(|_, entry| entry.seat().is_some());
        }
        if self.flights.len() >= MAX_FLIGHTS {
            return None;
        }
        let overdue = Overdue::default();
        let fetch = begin(overdue.clone()).shared();
        let entry = Entry { fetch: fetch.downgrade()?, overdue: overdue.clone() };
        self.flights.insert(asked, entry);
        Some(Seat { fetch, overdue, leads: true })
    }
}

impl<T: Clone> Entry<T> {
    /// One more place, unless the fetch has ended: an answer that is there already may be out of date for who asks now.
    fn seat(&self) -> Option<Seat<T>> {
        let fetch = self.fetch.upgrade().filter(|fetch| fetch.peek().is_none())?;
        Some(Seat { fetch, overdue: self.overdue.clone(), leads: false })
    }
}

impl<T: Clone> Seat<T> {
    fn waiting(&self) -> usize {
        self.fetch.strong_count().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::sync::oneshot;

    type Answer = oneshot::Sender<u32>;

    fn asked(what: u32) -> Fingerprint {
        Fingerprint::of(&what.to_le_bytes())
    }

    /// Joins, and gives the end by which a fetch that was begun is answered.
    fn join(flights: &mut Flights<u32>, what: u32) -> (Option<Seat<u32>>, Option<Answer>) {
        let mut begun = None;
        let seat = flights.join(asked(what), |_| {
            let (answer, fetch) = oneshot::channel();
            begun = Some(answer);
            Box::pin(async move { fetch.await.unwrap() })
        });
        (seat, begun)
    }

    fn answer(seat: &mut Seat<u32>) -> Option<u32> {
        (&mut seat.fetch).now_or_never()
    }

    #[test]
    fn the_same_asked_twice_is_fetched_once_and_something_else_by_itself() {
        let mut flights = Flights::default();
        let (first, fetch) = join(&mut flights, 1);
        let (second, none) = join(&mut flights, 1);
        let (other, another) = join(&mut flights, 2);
        assert!(none.is_none() && another.is_some());
        let [mut first, mut second, mut other] = [first, second, other].map(Option::unwrap);
        assert!(first.leads && !second.leads && other.leads);
        assert_eq!(answer(&mut first), None);
        fetch.unwrap().send(7).unwrap();
        assert_eq!((answer(&mut second), answer(&mut first), answer(&mut other)), (Some(7), Some(7), None));
    }

    #[test]
    fn what_was_answered_is_fetched_anew_even_where_somebody_still_has_the_answer() {
        let mut flights = Flights::default();
        let (seat, fetch) = join(&mut flights, 1);
        let mut seat = seat.unwrap();
        let kept = seat.fetch.clone();
        fetch.unwrap().send(7).unwrap();
        assert_eq!(answer(&mut seat), Some(7));
        assert_eq!(kept.peek(), Some(&7));
        let (again, fetch) = join(&mut flights, 1);
        assert!(again.unwrap().leads && fetch.is_some());
    }

    #[test]
    fn that_a_call_ran_out_of_time_is_told_to_the_fetch() {
        let mut flights = Flights::default();
        let mut told = None;
        let lead = flights.join(asked(1), |overdue| {
            told = Some(overdue);
            Box::pin(std::future::pending::<u32>())
        });
        let (follower, _) = join(&mut flights, 1);
        assert!(!told.as_ref().unwrap().noted());
        follower.unwrap().overdue.note();
        assert!(told.unwrap().noted() && lead.unwrap().overdue.noted());
    }

    #[test]
    fn where_all_places_are_taken_a_call_goes_alone_until_one_is_free() {
        let mut flights = Flights::default();
        let held: Vec<_> = (0..256).map(|what| join(&mut flights, what)).collect();
        assert!(held.iter().all(|(seat, _)| seat.is_some()));
        assert!(join(&mut flights, 1_000).0.is_none());
        assert!(join(&mut flights, 3).0.is_some());
        drop(held);
        assert!(join(&mut flights, 1_000).0.is_some());
        assert!(flights.flights.len() <= 2);
    }

    #[test]
    fn no_more_than_so_many_wait_for_one_fetch() {
        let mut flights = Flights::default();
        let seats: Vec<_> = (0..MAX_WAITING).map(|_| join(&mut flights, 1).0.unwrap()).collect();
        let (refused, fetch) = join(&mut flights, 1);
        assert!(refused.is_none() && fetch.is_none());
        drop(seats);
    }

    proptest! {
        #[test]
        fn in_whatever_order_calls_come_look_leave_and_are_answered_each_that_stays_hears(
            steps in prop::collection::vec((0_u8..4, any::<prop::sample::Index>()), 1..80),
        ) {
            let mut flights = Flights::default();
            let mut fetch: Option<Answer> = None;
            let mut waiting: Vec<Seat<u32>> = Vec::new();
            let mut sent = 0;
            for (step, which) in steps {
                match step {
                    0 => {
                        let (seat, begun) = join(&mut flights, 1);
                        // One is begun where nobody waits, and never beside one that somebody waits for.
                        prop_assert_eq!(begun.is_some(), waiting.is_empty());
                        fetch = begun.or(fetch);
                        waiting.push(seat.unwrap());
                    }
                    1 if !waiting.is_empty() => {
                        let at = which.index(waiting.len());
                        prop_assert_eq!(answer(&mut waiting[at]), None);
                    }
                    2 if !waiting.is_empty() => {
                        waiting.remove(which.index(waiting.len()));
                        // Whether anybody still fetches.
                        prop_assert_eq!(fetch.as_ref().unwrap().is_closed(), waiting.is_empty());
                    }
                    3 if !waiting.is_empty() => {
                        sent += 1;
                        fetch.take().unwrap().send(sent).unwrap();
                        for mut seat in waiting.drain(..) {
                            prop_assert_eq!(answer(&mut seat), Some(sent));
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}
