//! Tells every edge, in the order of the commits, what was withdrawn, and knows when it holds everywhere.

use crate::{
    lease::{EdgeId, LEASE, Leases},
    store::{Change, Lagged, Revision, Store},
    table::{self, Mortal},
};
use metrics::{counter, gauge};
use proto::registry::v1::{
    AllWithdrawn, LeaseRenewed, WatchResponse, Withdrawn, watch_response::Event, withdrawn::Scope,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, timeout, timeout_at},
};
use tonic::Status;
use uuid::Uuid;

/// How many messages wait for a slow edge before its stream is ended.
const QUEUE: usize = 1_024;
/// How long a change waits until it holds everywhere: longer than any lease can keep it waiting.
const DEADLINE: Duration = Duration::from_secs(15);

/// What an edge hears.
pub(crate) type Heard = mpsc::Receiver<Result<WatchResponse, Status>>;

/// Tells edges what was withdrawn; shared by the streams, the changes and the one who follows the store.
pub(crate) struct Withdrawals {
    state: Mutex<State>,
    /// Something happened that a waiting change may have waited for.
    moved: Notify,
}

struct State {
    leases: Leases,
    edges: BTreeMap<EdgeId, mpsc::Sender<Result<WatchResponse, Status>>>,
    /// The commit up to which everybody was told.
    told: Revision,
    open: bool,
}

/// Why an edge is not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Closed {
    /// The registry is about to end.
    Closing,
    /// There are too many.
    TooMany,
}

/// A change is stored, but it cannot be said that it holds on every edge.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not every edge has answered within {} s", DEADLINE.as_secs())]
pub(crate) struct Unsettled;

impl Withdrawals {
    /// Begins after `revision`; edges of before may hold leases until `presumed`.
    pub(crate) fn new(revision: Revision, presumed: Option<Instant>) -> Self {
        let mut leases = Leases::default();
        if let Some(until) = presumed {
            leases.presume(until);
        }
        let state = State { leases, edges: BTreeMap::new(), told: revision, open: true };
        Self { state: Mutex::new(state), moved: Notify::new() }
    }

    /// Lets in an edge; the first thing it hears is to authorize everything anew.
    pub(crate) fn join(&self) -> Result<(EdgeId, Heard), Closed> {
        let mut state = self.lock();
        if !state.open {
            return Err(Closed::Closing);
        }
        let told = state.told;
        let edge = state.leases.join(told, Instant::now()).ok_or(Closed::TooMany)?;
        let (sender, heard) = mpsc::channel(QUEUE);
        sender.try_send(Ok(all_withdrawn(told))).expect("the queue of a new edge is empty");
        state.edges.insert(edge, sender);
        state.measure();
        Ok((edge, heard))
    }

    /// Renews an edge's lease and says so; false when the edge's stream has ended.
    pub(crate) fn renew(&self, edge: EdgeId, number: u64) -> bool {
        let mut state = self.lock();
        let now = Instant::now();
        if !state.edges.contains_key(&edge) {
            return false;
        }
        if state.leases.renew(edge, now) {
            let lease_ms = u32::try_from(LEASE.as_millis()).unwrap_or(u32::MAX);
            let renewed = message(Event::LeaseRenewed(LeaseRenewed { number, lease_ms }));
            state.send(edge, renewed, now);
        }
        true
    }

    /// Takes an edge's word that it has withdrawn everything up to `revision`.
    pub(crate) fn acknowledge(&self, edge: EdgeId, revision: Revision) {
        self.lock().leases.acknowledge(edge, revision);
        self.moved.notify_waiters();
    }

    /// Lets an edge go; its lease lasts all the same.
    pub(crate) fn leave(&self, edge: EdgeId) {
        self.lock().drop_edge(edge, Instant::now());
        self.moved.notify_waiters();
    }

    /// Waits until nobody can use any more what the commit `revision` withdrew.
    ///
    /// # Errors
    ///
    /// [`Unsettled`] after the deadline.
    pub(crate) async fn settled(&self, revision: Revision) -> Result<(), Unsettled> {
        timeout(DEADLINE, self.settle(revision)).await.map_err(|_| Unsettled)
    }

    async fn settle(&self, revision: Revision) {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            let held_until = {
                let state = self.lock();
                match state.leases.held_until(revision, Instant::now()) {
                    None if state.told >= revision => return,
                    held_until => held_until,
                }
            };
            match held_until {
                // Whether something moved or the time has come: look again.
                Some(until) => drop(timeout_at(until, moved).await),
                None => moved.await,
            }
        }
    }

    /// Follows the store and tells the edges, until the store is dropped by everybody else.
    pub(crate) async fn follow(self: Arc<Self>, store: Arc<dyn Store>, after: Revision) {
        let mut watch = store.watch(after);
        loop {
            match watch.next().await {
                Ok(change) => self.publish(&change),
                Err(Lagged { after }) => {
                    let revision = store.revision();
                    tracing::warn!(after, revision, "commits were missed, all grants are withdrawn");
                    self.tell(revision, || Some(all_withdrawn(revision)));
                    watch = store.watch(revision);
                }
            }
        }
    }

    fn publish(&self, change: &Change) {
        let revision = change.revision;
        self.tell(revision, || {
            let withdrawn = Withdrawn { store_revision: revision, scope: Some(scope(change)?) };
            counter!("portals_registry_withdrawals_total").increment(1);
            Some(message(Event::Withdrawn(withdrawn)))
        });
    }

    fn tell(&self, revision: Revision, what: impl FnOnce() -> Option<WatchResponse>) {
        let mut state = self.lock();
        if let Some(message) = what() {
            let now = Instant::now();
            let edges: Vec<EdgeId> = state.edges.keys().copied().collect();
            for edge in edges {
                if state.leases.told(edge, revision, now) {
                    state.send(edge, message.clone(), now);
                } else {
                    state.drop_edge(edge, now);
                }
            }
        }
        state.told = revision;
        drop(state);
        self.moved.notify_waiters();
    }

    /// Lets every edge go, and nobody in any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.open = false;
        let now = Instant::now();
        let edges: Vec<EdgeId> = state.edges.keys().copied().collect();
        edges.into_iter().for_each(|edge| state.drop_edge(edge, now));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Says something to an edge; one that does not keep up loses its stream.
    fn send(&mut self, edge: EdgeId, message: WatchResponse, now: Instant) {
        let Some(sender) = self.edges.get(&edge) else { return };
        if sender.try_send(Ok(message)).is_err() {
            counter!("portals_registry_edges_dropped_total").increment(1);
            self.drop_edge(edge, now);
        }
    }

    fn drop_edge(&mut self, edge: EdgeId, now: Instant) {
        self.edges.remove(&edge);
        self.leases.leave(edge, now);
        self.measure();
    }

    fn measure(&self) {
        let edges = u32::try_from(self.leases.connected()).unwrap_or(u32::MAX);
        gauge!("portals_registry_edges").set(f64::from(edges));
    }
}

/// What of grants a commit concerns; the widest where it is several things, for a commit is acknowledged once.
fn scope(change: &Change) -> Option<Scope> {
    let scopes = change.keys.iter().filter_map(|key| match key.table() {
        table::ORGANIZATIONS => uuid_at(key.name(), 0).map(|uuid| (2, Scope::OrganizationUuid(uuid))),
        table::PORTALS => uuid_at(key.name(), 16).map(|uuid| (1, Scope::PortalUuid(uuid))),
        // The tokens that members have for its portals.
        table::MEMBERSHIP_ENDS | table::MEMBER_CREDENTIALS => {
            uuid_at(key.name(), 0).map(|uuid| (2, Scope::OrganizationUuid(uuid)))
        }
        table::ENDS => match table::ended(key)? {
            (Mortal::Organization, uuid) => Some((2, Scope::OrganizationUuid(uuid.to_string()))),
            (Mortal::Portal, uuid) => Some((1, Scope::PortalUuid(uuid.to_string()))),
            (Mortal::Token, uuid) => Some((0, Scope::TokenUuid(uuid.to_string()))),
            // With these end tokens that are known by the portal alone.
            (Mortal::Secret, uuid) => owner(change, table::SECRET_ORDER, uuid),
            (Mortal::TrustedIssuer, uuid) => owner(change, table::TRUSTED_ISSUERS, uuid),
            (Mortal::AccessToken | Mortal::User, _) => None,
        },
        _ => None,
    });
    scopes.max_by_key(|(width, _)| *width).map(|(_, scope)| scope)
}

/// The portal that something belonged to which the commit removed from a table.
fn owner(change: &Change, table: u8, owned: Uuid) -> Option<(i32, Scope)> {
    let keys = change.keys.iter().filter(|key| key.table() == table);
    let mut owners = keys.filter_map(table::of_portal);
    owners.find(|(_, uuid)| *uuid == owned).map(|(portal, _)| (1, Scope::PortalUuid(portal.to_string())))
}

fn uuid_at(name: &[u8], offset: usize) -> Option<String> {
    Uuid::from_slice(name.get(offset..)?.get(..16)?).ok().map(|uuid| uuid.to_string())
}

fn all_withdrawn(store_revision: Revision) -> WatchResponse {
    message(Event::AllWithdrawn(AllWithdrawn { store_revision }))
}

fn message(event: Event) -> WatchResponse {
    WatchResponse { event: Some(event) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::GRACE;

    fn withdrawal(revision: Revision) -> Change {
        Change { revision, keys: [table::end(Mortal::Token, Uuid::nil())].into() }
    }

    /// The next thing that an edge hears, which must be there already.
    fn next(heard: &mut Heard) -> Event {
        heard.try_recv().unwrap().unwrap().event.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_edge_that_does_not_answer_is_waited_for_no_longer_than_its_lease() {
        let withdrawals = Withdrawals::new(1, None);
        let (edge, _heard) = withdrawals.join().unwrap();
        withdrawals.renew(edge, 1);
        let since = Instant::now();
        withdrawals.publish(&withdrawal(2));
        withdrawals.settled(2).await.unwrap();
        assert_eq!(since.elapsed().as_secs(), LEASE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn an_edge_that_renews_and_never_acknowledges_holds_up_a_change_for_seconds_alone() {
        let withdrawals = Arc::new(Withdrawals::new(1, None));
        let (edge, mut heard) = withdrawals.join().unwrap();
        let renewing = Arc::clone(&withdrawals);
        let renewals = tokio::spawn(async move {
            for number in 0.. {
                renewing.renew(edge, number);
                while heard.try_recv().is_ok() {}
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        withdrawals.publish(&withdrawal(2));
        let since = Instant::now();
        withdrawals.settled(2).await.unwrap();
        assert!(since.elapsed() <= GRACE + LEASE, "{:?}", since.elapsed());
        renewals.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_waits_until_it_has_been_told() {
        let withdrawals = Arc::new(Withdrawals::new(1, None));
        let waiting = Arc::clone(&withdrawals);
        let settled = tokio::spawn(async move { waiting.settled(2).await });
        tokio::task::yield_now().await;
        assert!(!settled.is_finished());
        withdrawals.publish(&withdrawal(2));
        settled.await.unwrap().unwrap();
        assert_eq!(withdrawals.settled(3).await, Err(Unsettled));
    }

    #[tokio::test(start_paused = true)]
    async fn an_edge_that_does_not_listen_loses_its_stream_and_nobody_else_does() {
        let withdrawals = Withdrawals::new(0, None);
        let (deaf, mut unheard) = withdrawals.join().unwrap();
        let (_, mut heard) = withdrawals.join().unwrap();
        assert!(matches!(next(&mut heard), Event::AllWithdrawn(_)));
        for revision in 1..=2_000 {
            withdrawals.publish(&withdrawal(revision));
            let Event::Withdrawn(withdrawn) = next(&mut heard) else { panic!("expected a withdrawal") };
            assert_eq!(withdrawn.store_revision, revision);
        }
        assert!(!withdrawals.renew(deaf, 1));
        let mut messages = 0;
        while unheard.recv().await.is_some() {
            messages += 1;
        }
        assert_eq!(messages, QUEUE);
    }

    #[test]
    fn what_ends_or_changes_is_told_as_what_grants_are_known_by() {
        let (organization, owned) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let of_organization = Some(Scope::OrganizationUuid(organization.to_string()));
        let of_portal = Some(Scope::PortalUuid(owned.to_string()));
        for (key, expected) in [
            (table::organization(organization), &of_organization),
            (table::membership_end(organization, owned), &of_organization),
            (table::member_credential(organization, owned), &of_organization),
            (table::end(Mortal::Organization, organization), &of_organization),
            (table::portal(organization, owned), &of_portal),
            (table::end(Mortal::Portal, owned), &of_portal),
            (table::end(Mortal::Token, owned), &Some(Scope::TokenUuid(owned.to_string()))),
            (table::membership(organization, owned), &None),
            (table::audit_event(organization, owned), &None),
        ] {
            assert_eq!(scope(&Change { revision: 1, keys: [key.clone()].into() }), *expected, "{key:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_concerns_no_grant_is_not_told() {
        let withdrawals = Withdrawals::new(1, None);
        let (_, mut heard) = withdrawals.join().unwrap();
        assert!(matches!(next(&mut heard), Event::AllWithdrawn(_)));
        let keys = [table::token_use(Uuid::nil()), table::operator(), table::tally(Uuid::nil())];
        withdrawals.publish(&Change { revision: 2, keys: keys.into() });
        assert!(heard.try_recv().is_err());
        withdrawals.settled(2).await.unwrap();
    }
}
