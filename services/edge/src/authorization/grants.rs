//! Grants in memory: found by key, used while the lease lasts, dropped when withdrawn.
//!
//! Knows no network: answers, withdrawals and the time are handed in.

use super::{Authorization, Key, Scope, lease::Lease, withdrawals::Withdrawals};
use crate::config::Config;
use model::{Prehashed, Reason};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

const SHARDS: usize = 16;
/// How long a refusal is remembered.
const REFUSAL_LIFE: Duration = Duration::from_secs(1);
const MAX_REFUSALS_OF_SHARD: usize = 1_024;
/// The least time between two questions about one grant that is good enough for now.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// What an entry takes beside its grant.
const ENTRY_BYTES: usize = 512;

/// What is known about a caller.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// It may.
    Use(Arc<Authorization>),
    /// It may, and whoever looked is to ask the registry anew without waiting.
    UseAndAsk(Arc<Authorization>),
    /// It was refused a moment ago.
    Refused(Reason),
    /// Nothing that can be used.
    Ask,
}

/// An answer that was overtaken by a withdrawal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Outdated;

/// The grants of this process, shared by all threads.
#[derive(Debug)]
pub(crate) struct Grants {
    shards: [Mutex<Shard>; SHARDS],
    withdrawals: Mutex<Withdrawals>,
    lease: Lease,
    max_staleness: Duration,
    max_entries_of_shard: usize,
    max_bytes_of_shard: usize,
}

#[derive(Debug, Default)]
struct Shard {
    entries: HashMap<Key, Entry, Prehashed>,
    refusals: HashMap<Key, (Instant, Reason), Prehashed>,
    /// Keys in the order in which they are looked at when room is needed.
    queue: VecDeque<Key>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    authorization: Arc<Authorization>,
    renew_from: Instant,
    asked_again: Instant,
    /// Set when changes may have been missed: until when the edge was told of all.
    told_until: Option<Instant>,
    used: bool,
}

impl Grants {
    pub(crate) fn new(config: &Config, base: Instant) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            withdrawals: Mutex::default(),
            lease: Lease::new(base),
            max_staleness: config.max_staleness,
            max_entries_of_shard: config.max_grants.div_ceil(SHARDS).max(1),
            max_bytes_of_shard: config.max_grant_bytes.div_ceil(SHARDS),
        }
    }

    /// The registry's promise.
    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Whether calls can be served: there is a lease, or was one a moment ago.
    pub(crate) fn serve(&self, now: Instant) -> bool {
        self.lease.until().is_some_and(|until| now < until + self.max_staleness)
    }

    /// What is known about the caller of `key`.
    pub(crate) fn look_up(&self, key: &Key, now: Instant) -> Lookup {
        let mut shard = self.shard(key);
        let leased = self.lease.lasts(now);
        let Some(entry) = shard.entries.get_mut(key).filter(|entry| now < entry.authorization.expires) else {
            return match shard.refusals.get(key) {
                Some((until, reason)) if now < *until => Lookup::Refused(*reason),
                _ => Lookup::Ask,
            };
        };
        let told = leased && entry.told_until.is_none();
        if !told && (leased || now >= self.stale_at(entry)) {
            return Lookup::Ask;
        }
        entry.used = true;
        let authorization = Arc::clone(&entry.authorization);
        let wanted = !leased || now >= entry.renew_from;
        if wanted && now.saturating_duration_since(entry.asked_again) >= ASK_AGAIN {
            entry.asked_again = now;
            return Lookup::UseAndAsk(authorization);
        }
        Lookup::Use(authorization)
    }

    /// What may be used although the registry could not be asked.
    pub(crate) fn fallback(&self, key: &Key, now: Instant) -> Option<Arc<Authorization>> {
        let shard = self.shard(key);
        let entry = shard.entries.get(key)?;
        let usable = now < entry.authorization.expires && now < self.stale_at(entry);
        usable.then(|| Arc::clone(&entry.authorization))
    }

    /// Whether what a call has in hand is still as good as when it was looked up.
    pub(crate) fn hold(&self, authorization: &Authorization, now: Instant) -> bool {
        !authorization.is_withdrawn() && self.lease.lasts(now) && now < authorization.expires
    }

    /// To be noted before the registry is asked, and handed in with its answer.
    pub(crate) fn generation(&self) -> u64 {
        lock(&self.withdrawals).generation()
    }

    /// Takes in what the registry said; `renew_after` is the share of its life after which it is asked anew.
    pub(crate) fn insert(
        &self,
        key: Key,
        authorization: Arc<Authorization>,
        generation: u64,
        renew_after: f64,
        now: Instant,
    ) -> Result<(), Outdated> {
        let mut shard = self.shard(&key);
        // Under the shard's lock: a withdrawal is noted before the shards are swept, so it is seen here or there.
        let admitted =
            lock(&self.withdrawals).admit(generation, authorization.store_revision, &authorization.subjects);
        if !admitted {
            return Err(Outdated);
        }
        shard.refusals.remove(&key);
        let newer = |entry: &Entry| entry.authorization.store_revision > authorization.store_revision;
        if shard.entries.get(&key).is_some_and(newer) {
            return Ok(());
        }
        let life = authorization.expires.saturating_duration_since(now);
        let (renew_from, asked_again) = (now + life.mul_f64(renew_after), authorization.asked);
        let bytes = cost(&authorization);
        let entry = Entry { authorization, renew_from, asked_again, told_until: None, used: false };
        match shard.entries.insert(key, entry) {
            Some(old) => shard.bytes = shard.bytes.saturating_sub(cost(&old.authorization)),
            None => shard.queue.push_back(key),
        }
        shard.bytes = shard.bytes.saturating_add(bytes);
        shard.make_room(self.max_entries_of_shard, self.max_bytes_of_shard, now);
        Ok(())
    }

    /// Takes in that the registry refused.
    pub(crate) fn refuse(&self, key: Key, reason: Reason, now: Instant) {
        let mut shard = self.shard(&key);
        shard.remove(&key);
        if shard.refusals.len() >= MAX_REFUSALS_OF_SHARD {
            shard.refusals.retain(|_, (until, _)| now < *until);
        }
        if shard.refusals.len() < MAX_REFUSALS_OF_SHARD {
            shard.refusals.insert(key, (now + REFUSAL_LIFE, reason));
        }
    }

    /// Drops what the executor no longer takes.
    pub(crate) fn forget(&self, key: &Key) {
        self.shard(key).remove(key);
    }

    /// Carries out a withdrawal: when this returns, nothing of it is used for a call that begins now.
    pub(crate) fn withdraw(&self, revision: u64, scope: Scope) {
        lock(&self.withdrawals).note(revision, scope);
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.refusals.clear();
            shard.drop_where(|authorization| {
                authorization.store_revision < revision && scope.covers(&authorization.subjects)
            });
        }
    }

    /// Carries out that changes before `revision` may have been missed.
    pub(crate) fn withdraw_all(&self, revision: u64) {
        let another = lock(&self.withdrawals).note_all(revision);
        let until = self.lease.until();
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.refusals.clear();
            if another {
                shard.drop_where(|_| true);
            }
            for entry in shard.entries.values_mut() {
                if entry.authorization.store_revision < revision && entry.told_until.is_none() {
                    let asked = entry.authorization.asked;
                    entry.told_until = Some(until.map_or(asked, |until| until.max(asked)));
                }
            }
        }
    }

    /// When an entry is too old to be used without the registry's word.
    fn stale_at(&self, entry: &Entry) -> Instant {
        let asked = entry.authorization.asked;
        let told = entry.told_until.or_else(|| self.lease.until().map(|until| until.max(asked)));
        told.unwrap_or(asked) + self.max_staleness
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let shard = self.shards.get(key.below(SHARDS)).expect("the number is below that of the shards");
        lock(shard)
    }
}

impl Shard {
    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            entry.authorization.withdraw();
            self.bytes = self.bytes.saturating_sub(cost(&entry.authorization));
            self.queue.retain(|queued| queued != key);
        }
    }

    fn drop_where(&mut self, condition: impl Fn(&Authorization) -> bool) {
        let mut freed: usize = 0;
        self.entries.retain(|_, entry| {
            let drop = condition(&entry.authorization);
            if drop {
                entry.authorization.withdraw();
                freed = freed.saturating_add(cost(&entry.authorization));
            }
            !drop
        });
        if freed > 0 {
            self.bytes = self.bytes.saturating_sub(freed);
            let entries = &self.entries;
            self.queue.retain(|key| entries.contains_key(key));
        }
    }

    /// Drops what has expired or was not used since it was last looked at, until the rest fits.
    fn make_room(&mut self, max_entries: usize, max_bytes: usize, now: Instant) {
        let mut second_chances = self.queue.len();
        while self.entries.len() > max_entries || self.bytes > max_bytes {
            let Some(key) = self.queue.pop_front() else { return };
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            if entry.used && now < entry.authorization.expires && second_chances > 0 {
                second_chances -= 1;
                entry.used = false;
                self.queue.push_back(key);
            } else if let Some(entry) = self.entries.remove(&key) {
                self.bytes = self.bytes.saturating_sub(cost(&entry.authorization));
            }
        }
    }
}

fn cost(authorization: &Authorization) -> usize {
    authorization.grant.jwt.expose().len().saturating_add(ENTRY_BYTES)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind it is whole between any two statements: a panic elsewhere changes nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
