//! Stores in temporary folders, and what the tests put into them.

use bytes::Bytes;
use model::{
    Secret,
    key::{Keyring, Purpose, PurposeKeys},
};
use registry::store::{
    Batch, CommitError, Failure, Key, KeyRange, OpenError, Options, Scan, SledStore, Store,
};
use std::{
    fs,
    path::Path,
    sync::mpsc::{self, TryRecvError},
    time::{Duration, Instant},
};

/// A key of the tests: nothing is sealed to it that anybody keeps.
const SECRET: &str = "cG9ydGFscyBwb3J0YWxzIHBvcnRhbHMgcG9ydGFscyE=";

pub(crate) fn keys() -> PurposeKeys {
    Keyring::parse(&Secret::new(SECRET)).unwrap().keys(Purpose::Store)
}

/// What the tests open stores with.
pub(crate) fn options() -> Options {
    Options { minimum_free: 0, ballast: 0, ..Options::default() }
}

/// Verifies even a small store while it is used, and never begins with it.
pub(crate) fn unverified() -> Options {
    Options { scrub_from: 0, rest: Duration::from_secs(3_600), ..options() }
}

/// Opens the store in `folder` without verifying all of it, and verifies it then; tells whether there was need to.
pub(crate) fn open_and_scrub(folder: &Path) -> (SledStore, bool) {
    let (failures, observed) = mpsc::sync_channel(1);
    let on_failure = Box::new(move |failure| failures.send(failure).unwrap());
    let options = Options { rest: Duration::from_millis(1), on_failure, ..unverified() };
    let store = SledStore::open(folder, keys(), options).unwrap();
    let scrubbed = store.unverified() > 0;
    wait_until("it is verified", || {
        assert_eq!(observed.try_recv().map(|failure| failure.to_string()), Err(TryRecvError::Empty));
        store.unverified() == 0
    });
    (store, scrubbed)
}

/// Waits for what must happen.
pub(crate) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    runtime().block_on(async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while !happened() {
            assert!(Instant::now() < deadline, "too late: {what}");
            tick.tick().await;
        }
    });
}

/// Opens the store in `folder`; a failure ends the test's process, as it ends the registry's.
pub(crate) fn try_open(folder: &Path) -> Result<SledStore, OpenError> {
    SledStore::open(folder, keys(), options())
}

pub(crate) fn open(folder: &Path) -> SledStore {
    try_open(folder).unwrap()
}

/// Opens the store in `folder`; the receiver gets what its committer fails with.
pub(crate) fn open_observed(folder: &Path) -> (SledStore, mpsc::Receiver<Failure>) {
    let (failures, observed) = mpsc::sync_channel(1);
    let on_failure = Box::new(move |failure| failures.send(failure).unwrap());
    (SledStore::open(folder, keys(), Options { on_failure, ..options() }).unwrap(), observed)
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(b'k', name)
}

pub(crate) fn put(name: &str, value: impl Into<Bytes>) -> Batch {
    Batch::new().put(key(name), value)
}

/// Commits and waits, with a deadline, where there is no runtime.
pub(crate) fn commit(store: &dyn Store, batch: Batch) -> Result<u64, CommitError> {
    runtime().block_on(store.commit(batch))
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// All that a store holds in `tables`, with revisions.
pub(crate) fn contents(store: &dyn Store, tables: &[u8]) -> Vec<(Key, Bytes, u64)> {
    let mut all = Vec::new();
    for table in tables {
        let mut range = KeyRange::table(*table);
        loop {
            let page = store.scan(&Scan::first(100, range.clone())).unwrap();
            let Some(last) = page.last() else { break };
            range = range.after(&last.key);
            all.extend(page.into_iter().map(|entry| (entry.key, entry.value, entry.revision)));
        }
    }
    all
}

/// Copies a folder and what is in it, but for lock files.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A sequence of numbers that a seed determines (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Dice with a seed of their own, which is printed: a test that fails can be run again with it.
    pub(crate) fn new(what: &str) -> Self {
        let nanoseconds = std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
        let seed = setting("PORTALS_TEST_SEED", u64::from(nanoseconds));
        eprintln!("{what}: PORTALS_TEST_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(crate) fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.below(256).to_le_bytes()[0]).collect()
    }
}

/// A number from the environment: how long the long form of a test is.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
