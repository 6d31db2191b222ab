//! Many who commit and read at once.

use crate::fixture::{PATIENCE, key, open, open_observed, put, setting};
use registry::store::{Batch, CommitError, Condition, KeyRange, Lagged, Options, Scan, SledStore, Store};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tokio::task::JoinSet;

#[tokio::test]
async fn writers_at_once_are_all_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let (turns, before, start) = (setting("PORTALS_TEST_TURNS", 10), store.syncs(), Instant::now());
    let mut writers = JoinSet::new();
    for writer in 0..64 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for turn in 0..turns {
                store.commit(put(&format!("{writer}-{turn}"), vec![0; 1_000])).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let syncs = store.syncs() - before;
    eprintln!("{} commits of 64 writers took {:?} and {syncs} syncs", 64 * turns, start.elapsed());
    assert_eq!(store.revision(), 64 * turns);
    assert_eq!(store.count(b'k'), 64 * turns);
}

#[tokio::test]
async fn all_that_waits_becomes_durable_with_one_sync() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let before = store.syncs();
    let slow = store.commit(put("slow", vec![0; 6 << 20]));
    let waiting: Vec<_> = (0..200).map(|writer| store.commit(put(&format!("{writer}"), "x"))).collect();
    assert_eq!(slow.await, Ok(1));
    for (commit, revision) in waiting.into_iter().zip(2..) {
        assert_eq!(commit.await, Ok(revision));
    }
    let syncs = store.syncs() - before;
    assert!(syncs <= 3, "{syncs} syncs");
}

#[tokio::test]
async fn more_than_can_be_queued_is_refused_and_the_rest_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let slow = store.commit(put("slow", vec![0; 6 << 20]));
    let commits: Vec<_> = (0..3_000).map(|writer| store.commit(put(&format!("{writer}"), "x"))).collect();
    slow.await.unwrap();
    let mut acknowledged = 1;
    for commit in commits {
        match commit.await {
            Ok(_) => acknowledged += 1,
            refused => assert_eq!(refused, Err(CommitError::Busy)),
        }
    }
    assert!(acknowledged >= 1_024, "{acknowledged} were acknowledged");
    assert_eq!(store.count(b'k'), acknowledged);
    assert_eq!(store.revision(), acknowledged);
}

#[tokio::test]
async fn of_those_who_change_the_same_record_at_once_one_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let mut expected = store.commit(put("one", "x")).await.unwrap();
    for _ in 0..5 {
        let mut writers = JoinSet::new();
        for _ in 0..32 {
            writers.spawn(store.commit(put("one", "y").require(Condition::Revision(key("one"), expected))));
        }
        let verdicts = writers.join_all().await;
        let mut winners = verdicts.iter().flatten();
        expected = *winners.next().unwrap();
        assert_eq!(winners.next(), None);
        let conflict = Err(CommitError::Conflict { key: key("one") });
        assert_eq!(verdicts.iter().filter(|verdict| **verdict == conflict).count(), 31);
    }
    assert_eq!(store.revision(), 6);
}

#[tokio::test]
async fn a_watch_under_concurrency_is_ordered_and_complete_and_reads_are_as_new_as_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let mut watch = store.watch(0);
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for turn in 0..20 {
                store.commit(put(&format!("{writer}"), format!("{turn}"))).await.unwrap();
            }
        });
    }
    for expected in 1..=320 {
        let change = watch.next().await.unwrap();
        assert_eq!(change.revision, expected);
        let [changed] = &*change.keys else { panic!("{change:?}") };
        assert!(store.get(changed).unwrap().unwrap().revision >= expected);
        assert!(store.revision() >= expected);
    }
    writers.join_all().await;
}

#[tokio::test]
async fn a_reader_sees_nothing_that_is_not_durable_and_no_half_batch() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        std::thread::spawn(move || {
            let mut reads = 0;
            while reads == 0 || !done.load(Ordering::Relaxed) {
                let page = store.scan(&Scan::last(10, KeyRange::table(b'k'))).unwrap();
                let newest = store.revision();
                assert!(page.iter().all(|entry| entry.revision <= newest), "{page:?} at {newest}");
                let values: Vec<_> = page.iter().map(|entry| &entry.value).collect();
                assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "{values:?}");
                assert!(matches!(values.len(), 0 | 3), "{values:?}");
                reads += 1;
            }
        })
    };
    for turn in 0..100 {
        let batch = if turn % 10 == 9 {
            Batch::new().delete(key("a")).delete(key("b")).delete(key("c"))
        } else {
            let value = format!("{turn}");
            put("a", value.clone()).put(key("b"), value.clone()).put(key("c"), value)
        };
        store.commit(batch).await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    reader.join().unwrap();
}

#[tokio::test]
async fn a_watch_that_is_too_far_behind_has_lagged() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.commit(put("first", "x")).await.unwrap();
    let mut behind = store.watch(0);
    let wide = |turn: usize| {
        (0..10_000).fold(Batch::new(), |batch, name| batch.delete(key(&format!("{turn}-{name}"))))
    };
    for turn in 0..7 {
        store.commit(wide(turn)).await.unwrap();
    }
    assert_eq!(behind.next().await, Err(Lagged { after: 0 }));
    assert_eq!(behind.next().await, Err(Lagged { after: 0 }));
    let mut near = store.watch(store.revision() - 1);
    assert_eq!(near.next().await.unwrap().revision, store.revision());
}

#[tokio::test]
async fn a_full_volume_refuses_writes_and_serves_reads() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).commit(put("a", "x")).await.unwrap();
    let options = Options { minimum_free: u64::MAX, ..Options::default() };
    let store = SledStore::open(folder.path(), crate::fixture::keys(), options).unwrap();
    assert_eq!(store.commit(put("b", "x")).await, Err(CommitError::Full));
    assert_eq!(store.get(&key("a")).unwrap().unwrap().value, "x");
    assert_eq!(store.revision(), 1);
}

#[tokio::test]
async fn a_ballast_is_kept_until_the_volume_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let open = |minimum_free| {
        let options = Options { minimum_free, ballast: 1 << 20, ..Options::default() };
        SledStore::open(folder.path(), crate::fixture::keys(), options).unwrap()
    };
    let ballast = || std::fs::metadata(folder.path().join("ballast")).map_or(0, |file| file.len());
    drop(open(0));
    assert_eq!(ballast(), 1 << 20);
    drop(open(u64::MAX));
    assert_eq!(ballast(), 0);
    drop(open(0));
    assert_eq!(ballast(), 1 << 20);
}

#[tokio::test]
async fn after_a_failure_nothing_is_acknowledged_and_reads_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (store, failures) = open_observed(folder.path());
    store.commit(put("a", "x")).await.unwrap();
    std::fs::create_dir_all(folder.path().join("db/blobs/0")).unwrap();
    assert_eq!(store.commit(put("a", "y")).await, Err(CommitError::Unavailable));
    let failure = failures.recv_timeout(PATIENCE).unwrap();
    assert_eq!(failure.to_string(), "the store failed keeping its pages small");
    assert_eq!(store.commit(put("a", "z")).await, Err(CommitError::Unavailable));
    assert_eq!(store.get(&key("a")).unwrap().unwrap().value, "x");
    assert_eq!(store.revision(), 1);
}
