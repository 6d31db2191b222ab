//! How connections are divided among the threads that serve: each goes to the one that has the fewest.
//!
//! The kernel deals them out by chance. Two long ones that carry many calls, on one thread, would leave another thread
//! idle for as long as they live. This knows nothing of what is handed over.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::sync::mpsc;

/// What may be on its way to one thread.
const HANDED: usize = 1_024;

/// One thread's part in it.
#[derive(Debug)]
pub(crate) struct Share<T> {
    own: usize,
    counts: Arc<[AtomicUsize]>,
    /// The ways to all threads; that to itself keeps its own open.
    ways: Vec<mpsc::Sender<T>>,
    handed: mpsc::Receiver<T>,
}

/// A connection counts for the thread that has it until this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    thread: usize,
    counts: Arc<[AtomicUsize]>,
}

impl<T> Share<T> {
    /// The parts of so many threads.
    pub(crate) fn among(threads: usize) -> Vec<Self> {
        let counts: Arc<[AtomicUsize]> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
        let (ways, inboxes): (Vec<_>, Vec<_>) = (0..threads).map(|_| mpsc::channel(HANDED)).unzip();
        inboxes
            .into_iter()
            .enumerate()
            .map(|(own, handed)| Self { own, counts: Arc::clone(&counts), ways: ways.clone(), handed })
            .collect()
    }

    /// The part of a thread that serves alone.
    pub(crate) fn alone() -> Self {
        let (way, handed) = mpsc::channel(1);
        Self { own: 0, counts: Arc::new([AtomicUsize::new(0)]), ways: vec![way], handed }
    }

    /// Takes a seat with the thread that has the fewest connections: this one, where no other has fewer.
    pub(crate) fn seat(&self) -> Seat {
        let count = |thread: usize| self.counts.get(thread).map_or(usize::MAX, |count| count.load(Relaxed));
        let fewest = (0..self.counts.len()).min_by_key(|thread| (count(*thread), *thread != self.own));
        let thread = fewest.unwrap_or(self.own);
        if let Some(count) = self.counts.get(thread) {
            count.fetch_add(1, Relaxed);
        }
        Seat { thread, counts: Arc::clone(&self.counts) }
    }

    /// Whether a seat is with this thread.
    pub(crate) fn is_own(&self, seat: &Seat) -> bool {
        seat.thread == self.own
    }

    /// Hands something to another thread.
    ///
    /// # Errors
    ///
    /// What was to be handed, where that thread takes nothing more.
    pub(crate) fn hand(&self, thread: usize, what: T) -> Result<(), T> {
        match self.ways.get(thread) {
            Some(way) => way.try_send(what).map_err(mpsc::error::TrySendError::into_inner),
            None => Err(what),
        }
    }

    /// What another thread hands to this one.
    pub(crate) async fn next(&mut self) -> Option<T> {
        self.handed.recv().await
    }

    /// Hands over nothing more: what is still to come is over when the others have said so too.
    pub(crate) fn close(&mut self) {
        self.ways.clear();
    }
}

impl Seat {
    /// Which thread it is with.
    pub(crate) fn thread(&self) -> usize {
        self.thread
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(count) = self.counts.get(self.thread) {
            count.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_fewest_gets_the_next_and_else_who_was_asked() {
        let shares = Share::<()>::among(3);
        let [first, second, _] = shares.as_slice() else { panic!("three were asked for") };
        let seats: Vec<_> = [first, first, second, second].map(Share::seat).into();
        assert_eq!(seats.iter().map(Seat::thread).collect::<Vec<_>>(), [0, 1, 2, 1]);
        drop(seats);
        assert!(second.is_own(&second.seat()));
        assert!(Share::<()>::alone().seat().thread() == 0);
    }

    #[tokio::test]
    async fn what_is_handed_over_comes_even_when_the_receiver_accepts_no_more() {
        let mut shares = Share::among(2);
        let (mut second, mut first) = (shares.pop().unwrap(), shares.pop().unwrap());
        second.close();
        first.hand(1, "late").unwrap();
        assert_eq!(second.next().await, Some("late"));
        first.close();
        assert_eq!(second.next().await, None);
        assert_eq!(first.hand(1, "later"), Err("later"));
    }
}
