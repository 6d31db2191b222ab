//! Scrubbing: verifying while the store is used what opening it did not wait for.
//!
//! All records are read in the order of their keys, a few at a time, and what is found is summed up. What is
//! committed meanwhile is added where it changes a record that has been read already, and found where it does not, so that
//! in the end what was found must be what the head says there is: a record that was lost, came back or is another
//! is noticed whatever was committed since. After that no further part may lie there that is of no record.
//!
//! Until then nothing damaged is served either, for each record is opened when it is read; that none is missing or
//! older than it was is told by the log, which was sound (see `log`), and of some tables by their sums (see `verify`).

use super::{
    head::Head,
    record::{self, Damage, Extent, HEAD, RECORD, record_key},
    verify::other_than,
    view::{View, unreadable},
};
use crate::store::Key;
use metrics::gauge;
use std::{
    ops::Bound,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// How many records are read in one go, for which a commit may have to wait.
const LOT: usize = 32;

/// How far it is, shared by the one who reads and the committer.
#[derive(Debug)]
pub(super) struct Scrub {
    state: Mutex<State>,
    /// How many records are still to be verified.
    left: AtomicU64,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    /// What the records that were read come to, as they are now.
    found: Head,
    /// What sled must hold.
    head: Head,
}

/// What has been read, up to a key or a place.
#[derive(Debug)]
enum Stage {
    Records { passed: Option<Key> },
    Parts { passed: Vec<u8> },
    Done,
}

impl Scrub {
    /// Begins where `head` is what there must be.
    pub(super) fn new(head: &Head) -> Self {
        let state =
            State { stage: Stage::Records { passed: None }, found: Head::default(), head: head.clone() };
        let scrub = Self { state: Mutex::new(state), left: AtomicU64::new(0) };
        scrub.tell(head.records());
        scrub
    }

    /// How many records are still to be verified.
    pub(super) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// Lets sled be changed to what `head` says, and counts in what changes of what has been read.
    pub(super) fn during<'a, Done>(
        &self,
        head: &Head,
        changes: impl Iterator<Item = (&'a Key, Option<Extent>, Option<Extent>)>,
        change: impl FnOnce() -> Done,
    ) -> Done {
        let mut state = self.lock();
        let State { stage, found, .. } = &mut *state;
        if let Stage::Records { passed: Some(passed) } = stage {
            for (key, before, after) in changes.filter(|(key, ..)| *key <= passed) {
                if let Some(before) = before {
                    found.subtract(key.table(), &before);
                }
                if let Some(after) = after {
                    found.add(key.table(), &after);
                }
            }
        }
        state.head.clone_from(head);
        change()
    }

    /// Reads a little more; true when there is no more.
    pub(super) fn step(&self, view: &View) -> Result<bool, Damage> {
        let mut state = self.lock();
        let done = state.step(view)?;
        let left = state.head.records().saturating_sub(state.found.records());
        self.tell(if done { 0 } else { left.max(1) });
        Ok(done)
    }

    fn tell(&self, left: u64) {
        self.left.store(left, Ordering::Relaxed);
        gauge!("portals_registry_unverified_records").set(f64::from(u32::try_from(left).unwrap_or(u32::MAX)));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn step(&mut self, view: &View) -> Result<bool, Damage> {
        match &mut self.stage {
            Stage::Records { passed } => {
                let read = read_records(view, passed, &mut self.found)?;
                if read < LOT {
                    if !self.head.covers(&self.found) {
                        return Err(other_than(&self.head, &self.found));
                    }
                    self.stage = Stage::Parts { passed: vec![RECORD + 1] };
                }
                Ok(false)
            }
            Stage::Parts { passed } => {
                if read_parts(view, passed)? < LOT {
                    nothing_foreign(view)?;
                    self.stage = Stage::Done;
                }
                Ok(false)
            }
            Stage::Done => Ok(true),
        }
    }
}

/// Reads the records after `passed`, and tells how many.
fn read_records(view: &View, passed: &mut Option<Key>, found: &mut Head) -> Result<usize, Damage> {
    let from = passed.as_ref().map_or(Bound::Included(vec![RECORD]), |key| Bound::Excluded(record_key(key)));
    let mut read = 0;
    for item in view.tree().range((from, Bound::Excluded(vec![RECORD + 1]))).take(LOT) {
        let (place, stored) = item.map_err(unreadable)?;
        let record = view.decode(record::key_at(&place)?, &stored)?;
        found.add(record.entry.key.table(), &record.extent);
        *passed = Some(record.entry.key);
        read += 1;
    }
    Ok(read)
}

/// Looks for the records of the parts after `passed`, and tells how many parts there were.
fn read_parts(view: &View, passed: &mut Vec<u8>) -> Result<usize, Damage> {
    let from = Bound::Excluded(std::mem::take(passed));
    let mut read = 0;
    for item in view.tree().range::<Vec<u8>, _>((from, Bound::Unbounded)).take(LOT) {
        let (place, _) = item.map_err(unreadable)?;
        let strange = || Damage(format!("the record at {} is no part of another", place.escape_ascii()));
        let (key, revision, number) = record::part_at(&place).ok_or_else(strange)?;
        let extent = view.load(&key)?.map(|record| record.extent).ok_or_else(strange)?;
        if extent.revision != revision || number >= extent.parts {
            return Err(strange());
        }
        *passed = place.to_vec();
        read += 1;
    }
    Ok(read)
}

/// Nothing may lie in sled but the head, records and their parts.
fn nothing_foreign(view: &View) -> Result<(), Damage> {
    for item in view.tree().range(..vec![RECORD]).take(LOT) {
        let (place, _) = item.map_err(unreadable)?;
        if place != HEAD {
            return Err(Damage(format!("there is a foreign record at {}", place.escape_ascii())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Failure, OpenError, Options, SledStore, open::open_sled, record::Codec, volume::Volume},
        *,
    };
    use crate::store::{Batch, Store};
    use model::{
        Secret,
        key::{Keyring, Purpose, PurposeKeys},
    };
    use std::{path::Path, sync::mpsc::sync_channel, time::Duration};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn keys() -> PurposeKeys {
        Keyring::parse(&Secret::new("cG9ydGFscyBwb3J0YWxzIHBvcnRhbHMgcG9ydGFscyE="))
            .unwrap()
            .keys(Purpose::Store)
    }

    fn key(name: &str) -> Key {
        Key::new(b'k', name)
    }

    fn commit(store: &SledStore, batch: Batch) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(store.commit(batch)).unwrap();
    }

    /// A store of short records and a long one, and what `tamper` makes of it behind its back.
    fn tampered(tamper: impl Fn(&sled::Db, &Codec)) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let store = SledStore::open(folder.path(), keys(), options()).unwrap();
        for number in 0..200 {
            commit(&store, Batch::new().put(key(&format!("{number:03}")), "a value"));
        }
        commit(&store, Batch::new().put(key("long"), vec![7; 10_000]).put(Key::new(b'x', "gone"), "a value"));
        drop(store);
        let volume = Volume::open(folder.path()).unwrap().unwrap();
        let tree = open_sled(&volume).unwrap();
        tamper(&tree, &Codec::new(keys()));
        tree.flush().unwrap();
        folder
    }

    fn options() -> Options {
        Options { minimum_free: 0, ballast: 0, ..Options::default() }
    }

    /// What the scrub ends with, if it finds damage, where the store is used after so many of its steps.
    fn scrubbed(folder: &Path, steps: usize, meanwhile: impl Fn(&SledStore)) -> Option<String> {
        let never = Duration::from_secs(3_600);
        let store =
            SledStore::open(folder, keys(), Options { scrub_from: 0, rest: never, ..options() }).unwrap();
        assert!(store.unverified() > 0, "all was verified before");
        let scrub = store.scrub.as_ref().unwrap();
        (0..steps).for_each(|_| assert_eq!(scrub.step(&store.view), Ok(false)));
        meanwhile(&store);
        loop {
            match scrub.step(&store.view) {
                Ok(false) => assert!(store.unverified() > 0),
                Ok(true) => break,
                Err(Damage(what)) => return Some(what),
            }
        }
        assert_eq!(store.unverified(), 0);
        None
    }

    /// What opening refuses the store with where all of it is verified before it is used.
    fn refused(folder: &Path) -> String {
        SledStore::open(folder, keys(), options()).unwrap_err().to_string()
    }

    #[test]
    fn a_store_that_is_whole_is_found_whole_whatever_is_committed_meanwhile() {
        for steps in 0..9 {
            let folder = tampered(|_, _| ());
            let changed = scrubbed(folder.path(), steps, |store| {
                let deleted = Batch::new().delete(key("long")).delete(key("050")).delete(key("missing"));
                commit(store, deleted.put(key("100"), vec![1; 9_000]));
                commit(store, Batch::new().put(key("long"), vec![2; 5_000]).put(key("zzz"), "new"));
            });
            assert_eq!(changed, None, "after {steps} steps");
            assert_eq!(scrubbed(folder.path(), 0, |_| ()), None);
            SledStore::open(folder.path(), keys(), options()).unwrap();
        }
    }

    #[test]
    fn a_record_that_is_missing_ends_with_the_words_of_a_start() {
        let folder = tampered(|tree, _| drop(tree.remove(record_key(&key("100"))).unwrap().unwrap()));
        let words = refused(folder.path());
        assert!(
            words.contains("201 records up to revision 201 were found, which are not the 202"),
            "{words}"
        );
        let (failures, failed) = sync_channel(1);
        let on_failure = Box::new(move |failure: Failure| failures.send(failure.to_string()).unwrap());
        let rest = Duration::from_millis(1);
        let options = Options { scrub_from: 0, rest, on_failure, ..options() };
        let store = SledStore::open(folder.path(), keys(), options).unwrap();
        assert_eq!(failed.recv_timeout(PATIENCE).unwrap(), words);
        assert!(store.unverified() > 0);
    }

    #[test]
    fn a_record_that_is_older_than_it_was_is_noticed() {
        let older = |tree: &sled::Db, codec: &Codec| {
            let (stored, _) = codec.encode(&key("100"), 1, b"what it once was");
            stored.into_iter().for_each(|(place, sealed)| drop(tree.insert(place, sealed).unwrap()));
        };
        let folder = tampered(older);
        let noticed = scrubbed(folder.path(), 0, |_| ()).unwrap();
        assert!(refused(folder.path()).ends_with(&noticed), "{noticed}");
    }

    #[test]
    fn what_is_committed_meanwhile_hides_no_damage() {
        for steps in 0..7 {
            let folder = tampered(|tree, _| drop(tree.remove(record_key(&key("100"))).unwrap().unwrap()));
            let put_back = |store: &SledStore| commit(store, Batch::new().put(key("100"), "a value"));
            let noticed = scrubbed(folder.path(), steps, put_back).unwrap();
            let words = "202 records up to revision 202 were found, which are not the 203 of revision 202";
            assert!(noticed.contains(words), "{noticed}");
        }
    }

    #[test]
    fn a_part_that_is_of_no_record_is_noticed() {
        let folder = tampered(|tree, codec| {
            let (stored, _) = codec.encode(&key("long"), 200, &[7; 10_000]);
            let (place, sealed) = stored.into_iter().next_back().unwrap();
            tree.insert(place, sealed).unwrap();
        });
        let noticed = scrubbed(folder.path(), 0, |_| ()).unwrap();
        assert!(noticed.ends_with("is no part of another"), "{noticed}");
    }

    #[test]
    fn a_foreign_record_is_noticed() {
        for place in [&[0][..], &[0, 9], &[3], b"foreign"] {
            let folder = tampered(|tree, _| drop(tree.insert(place, "x").unwrap()));
            let noticed = scrubbed(folder.path(), 0, |_| ()).unwrap();
            assert!(noticed.contains("the record at") || noticed.contains("a foreign record"), "{noticed}");
        }
    }

    #[test]
    fn tables_that_must_not_wait_are_verified_before_the_store_is_used() {
        let folder = tampered(|tree, _| drop(tree.remove(record_key(&Key::new(b'x', "gone"))).unwrap()));
        let open = |verified_first| {
            let rest = Duration::from_secs(3_600);
            let options = Options { scrub_from: 0, rest, verified_first, ..options() };
            SledStore::open(folder.path(), keys(), options).map(|store| store.unverified())
        };
        assert_eq!(open(b"k").unwrap(), 202);
        let refusal = open(b"kx").unwrap_err();
        let OpenError::Damaged { what, .. } = &refusal else { panic!("{refusal}") };
        assert!(
            what.starts_with("201 records up to revision 201 were found, which are not the 202"),
            "{what}"
        );
    }
}
