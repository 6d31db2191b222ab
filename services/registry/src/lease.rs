//! Who holds a lease and what they have acknowledged: the rules alone, without clocks, streams or a store.
//!
//! An edge may use its grants while its lease lasts. So a change holds everywhere once every edge has
//! acknowledged its withdrawal or is out of its lease; and an edge that leaves an acknowledgement owing gets no
//! more lease, so that nobody waits for it for ever.

use crate::store::Revision;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// How long a lease lasts from the registry's receipt of the renewal.
pub(crate) const LEASE: Duration = Duration::from_secs(5);
/// How long a withdrawal may stay unacknowledged before no lease is renewed.
pub(crate) const GRACE: Duration = Duration::from_secs(1);
/// How many withdrawals may stay unacknowledged at all.
const MAX_OWING: usize = 4_096;
/// How many edges are known, those included that have gone and whose lease has not.
pub(crate) const MAX_EDGES: usize = 4_096;

/// An edge, as long as it is connected.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct EdgeId(u64);

/// The leases of all edges.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    newest: u64,
    of: BTreeMap<EdgeId, Lease>,
}

#[derive(Debug)]
struct Lease {
    until: Option<Instant>,
    acknowledged: Revision,
    /// What was withdrawn and when, the oldest first.
    owing: VecDeque<(Revision, Instant)>,
    connected: bool,
}

impl Leases {
    /// Counts with an edge of before this start, which may hold a lease until then.
    pub(crate) fn presume(&mut self, until: Instant) {
        let id = self.next();
        let lease = Lease { until: Some(until), acknowledged: 0, owing: VecDeque::new(), connected: false };
        self.of.insert(id, lease);
    }

    /// Lets in an edge that begins with nothing from before `revision`; nothing when there are too many.
    pub(crate) fn join(&mut self, revision: Revision, now: Instant) -> Option<EdgeId> {
        self.forget(now);
        if self.of.len() >= MAX_EDGES {
            return None;
        }
        let id = self.next();
        let lease = Lease { until: None, acknowledged: revision, owing: VecDeque::new(), connected: true };
        self.of.insert(id, lease);
        Some(id)
    }

    /// Notes that an edge is no longer connected; its lease lasts all the same.
    pub(crate) fn leave(&mut self, edge: EdgeId, now: Instant) {
        if let Some(lease) = self.of.get_mut(&edge) {
            lease.connected = false;
        }
        self.forget(now);
    }

    /// Renews an edge's lease, unless it leaves an acknowledgement owing.
    pub(crate) fn renew(&mut self, edge: EdgeId, now: Instant) -> bool {
        let Some(lease) = self.of.get_mut(&edge).filter(|lease| lease.connected) else { return false };
        if lease.owing.front().is_some_and(|(_, since)| now.duration_since(*since) > GRACE) {
            return false;
        }
        lease.until = Some(now + LEASE);
        true
    }

    /// Notes that an edge was told of a withdrawal; false when it owes too many.
    pub(crate) fn told(&mut self, edge: EdgeId, revision: Revision, now: Instant) -> bool {
        let Some(lease) = self.of.get_mut(&edge) else { return false };
        lease.owing.push_back((revision, now));
        lease.owing.len() <= MAX_OWING
    }

    /// Notes what an edge has withdrawn; it can acknowledge only what it was told.
    pub(crate) fn acknowledge(&mut self, edge: EdgeId, revision: Revision) {
        let Some(lease) = self.of.get_mut(&edge) else { return };
        while let Some((told, _)) = lease.owing.pop_front_if(|(told, _)| *told <= revision) {
            lease.acknowledged = lease.acknowledged.max(told);
        }
    }

    /// Until when somebody may still use what `revision` withdrew; nothing when nobody can.
    pub(crate) fn held_until(&self, revision: Revision, now: Instant) -> Option<Instant> {
        let holds = |lease: &&Lease| !lease.has_settled(revision);
        let until = self.of.values().filter(holds).filter_map(|lease| lease.until).max();
        until.filter(|until| *until > now)
    }

    /// How many edges are connected.
    pub(crate) fn connected(&self) -> usize {
        self.of.values().filter(|lease| lease.connected).count()
    }

    fn next(&mut self) -> EdgeId {
        self.newest += 1;
        EdgeId(self.newest)
    }

    fn forget(&mut self, now: Instant) {
        self.of.retain(|_, lease| lease.connected || lease.until.is_some_and(|until| until > now));
    }
}

impl Lease {
    /// Whether nothing that `revision` withdrew is left: told and acknowledged, or not even owing.
    fn has_settled(&self, revision: Revision) -> bool {
        match self.owing.front() {
            Some((oldest, _)) => *oldest > revision,
            None => self.connected || self.acknowledged >= revision,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_holds_once_everybody_has_acknowledged_it() {
        let (mut leases, now) = (Leases::default(), Instant::now());
        let (one, other) = (leases.join(1, now).unwrap(), leases.join(1, now).unwrap());
        for edge in [one, other] {
            assert!(leases.renew(edge, now));
            assert!(leases.told(edge, 2, now));
        }
        leases.acknowledge(one, 2);
        assert_eq!(leases.held_until(2, now), Some(now + LEASE));
        leases.acknowledge(other, 1);
        assert_eq!(leases.held_until(2, now), Some(now + LEASE));
        leases.acknowledge(other, 2);
        assert_eq!(leases.held_until(2, now), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_outlives_its_connection() {
        let (mut leases, now) = (Leases::default(), Instant::now());
        let edge = leases.join(1, now).unwrap();
        leases.renew(edge, now);
        leases.leave(edge, now + seconds(1));
        assert_eq!(leases.held_until(2, now + seconds(1)), Some(now + LEASE));
        assert!(!leases.renew(edge, now + seconds(1)));
        assert_eq!(leases.held_until(2, now + LEASE), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_an_acknowledgement_owing_gets_no_more_lease() {
        let (mut leases, now) = (Leases::default(), Instant::now());
        let edge = leases.join(1, now).unwrap();
        leases.told(edge, 2, now);
        assert!(leases.renew(edge, now + GRACE));
        assert!(!leases.renew(edge, now + seconds(2)));
        assert_eq!(leases.held_until(2, now + seconds(2)), Some(now + GRACE + LEASE));
        leases.acknowledge(edge, 2);
        assert!(leases.renew(edge, now + seconds(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_acknowledges_what_he_was_not_told() {
        let (mut leases, now) = (Leases::default(), Instant::now());
        let edge = leases.join(1, now).unwrap();
        leases.renew(edge, now);
        leases.acknowledge(edge, 100);
        leases.told(edge, 2, now);
        assert!(leases.held_until(2, now).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_edge_of_before_the_start_is_waited_for() {
        let (mut leases, now) = (Leases::default(), Instant::now());
        leases.presume(now + LEASE);
        assert_eq!(leases.held_until(9, now), Some(now + LEASE));
        assert_eq!(leases.held_until(9, now + LEASE), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_edge_that_never_had_a_lease_is_not_waited_for() {
        let (mut leases, now) = (Leases::default(), Instant::now());
        let edge = leases.join(1, now).unwrap();
        leases.told(edge, 2, now);
        assert_eq!(leases.held_until(2, now), None);
    }
}
