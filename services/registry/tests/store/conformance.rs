//! What every store keeps, whatever it stands on: `conforms` takes an empty one.

use crate::fixture::{key, keys, options, put};
use bytes::Bytes;
use registry::store::{
    BATCH_BYTES, Batch, CommitError, Condition, Direction, Entry, KEY_BYTES, Key, KeyRange, Lagged, Options,
    Scan, SledStore, Store,
};
use std::time::Duration;

#[tokio::test]
async fn sled_keeps_what_every_store_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { counted: b"l", rest: Duration::from_millis(1), ..options() };
    conforms(&SledStore::open(folder.path(), keys(), options).unwrap()).await;
}

/// Runs all of the suite; each part has a table of its own.
async fn conforms(store: &dyn Store) {
    begins_empty(store).await;
    revisions_grow_by_one(store).await;
    a_batch_happens_wholly_or_not_at_all(store).await;
    conditions_hold_or_conflict(store).await;
    pages_are_sorted_and_can_be_skipped_into(store).await;
    late_pages_are_where_the_pages_before_them_end(store).await;
    values_of_every_size_come_back(store).await;
    what_is_too_large_is_refused(store).await;
    counts_follow_changes(store).await;
    watches_see_every_commit_in_order(store).await;
    watches_beyond_the_newest_commit_have_lagged(store).await;
}

async fn begins_empty(store: &dyn Store) {
    assert_eq!(store.revision(), 0);
    assert_eq!(store.get(&key("a")).unwrap(), None);
    assert!(store.scan(&Scan::first(10, KeyRange::table(b'k'))).unwrap().is_empty());
    assert_eq!(store.count(b'k'), 0);
}

async fn revisions_grow_by_one(store: &dyn Store) {
    for expected in store.revision() + 1..store.revision() + 4 {
        assert_eq!(store.commit(put("revision", "x")).await, Ok(expected));
        assert_eq!(store.revision(), expected);
        let entry = Entry { key: key("revision"), value: "x".into(), revision: expected };
        assert_eq!(store.get(&key("revision")).unwrap(), Some(entry));
    }
    let empty = store.commit(Batch::new()).await.unwrap();
    assert_eq!(empty, store.revision());
}

async fn a_batch_happens_wholly_or_not_at_all(store: &dyn Store) {
    let batch = put("whole-1", "1").put(key("whole-2"), "2");
    let revision = store.commit(batch.clone()).await.unwrap();
    for name in ["whole-1", "whole-2"] {
        assert_eq!(store.get(&key(name)).unwrap().unwrap().revision, revision);
    }
    let refused = put("whole-1", "changed").delete(key("whole-2")).require(Condition::Absent(key("whole-1")));
    assert_eq!(store.commit(refused).await, Err(CommitError::Conflict { key: key("whole-1") }));
    assert_eq!(store.get(&key("whole-1")).unwrap().unwrap().value, "1");
    assert_eq!(store.get(&key("whole-2")).unwrap().unwrap().value, "2");
    assert_eq!(store.revision(), revision);
}

async fn conditions_hold_or_conflict(store: &dyn Store) {
    let at = || key("condition");
    let conflict = Err(CommitError::Conflict { key: at() });
    let write = |condition| store.commit(put("condition", "x").require(condition));

    assert_eq!(write(Condition::Present(at())).await, conflict);
    assert_eq!(write(Condition::Revision(at(), store.revision())).await, conflict);
    let first = write(Condition::Absent(at())).await.unwrap();
    assert_eq!(write(Condition::Absent(at())).await, conflict);
    let second = write(Condition::Revision(at(), first)).await.unwrap();
    assert_eq!(write(Condition::Revision(at(), first)).await, conflict);
    write(Condition::Present(at())).await.unwrap();
    assert_eq!(write(Condition::Revision(at(), second)).await, conflict);
    store.commit(Batch::new().delete(at())).await.unwrap();
    assert_eq!(write(Condition::Present(at())).await, conflict);
    write(Condition::Absent(at())).await.unwrap();
}

async fn pages_are_sorted_and_can_be_skipped_into(store: &dyn Store) {
    let names = ["", "a", "a\0", "a\u{ff}", "b", "ba", "c"];
    for name in names.iter().rev() {
        store.commit(Batch::new().put(Key::new(b'p', name), *name)).await.unwrap();
    }
    store.commit(Batch::new().put(Key::new(b'o', "z"), "").put(Key::new(b'q', ""), "")).await.unwrap();
    let read = |scan: Scan| -> Vec<Vec<u8>> {
        let page = store.scan(&scan).unwrap();
        page.iter().for_each(|entry| assert_eq!(entry.value, entry.key.name()));
        page.iter().map(|entry| entry.key.name().to_vec()).collect()
    };
    let of = |names: &[&str]| -> Vec<Vec<u8>> { names.iter().map(|name| name.as_bytes().to_vec()).collect() };
    let table = KeyRange::table(b'p');

    assert_eq!(read(Scan::first(100, table.clone())), of(&names));
    assert_eq!(read(Scan::first(2, table.clone())), of(&names[..2]));
    assert_eq!(read(Scan::first(2, table.clone()).skip(3)), of(&names[3..5]));
    assert_eq!(read(Scan::first(2, table.clone()).skip(7)), of(&[]));
    assert_eq!(read(Scan::last(3, table.clone())), of(&["c", "ba", "b"]));
    assert_eq!(read(Scan::last(3, table.clone()).skip(1)), of(&["ba", "b", "a\u{ff}"]));
    assert_eq!(read(Scan::first(0, table.clone())), of(&[]));

    let prefixed = KeyRange::starting_with(&Key::new(b'p', "a"));
    assert_eq!(read(Scan::first(100, prefixed.clone())), of(&["a", "a\0", "a\u{ff}"]));
    assert_eq!(read(Scan::first(100, prefixed.clone().after(&Key::new(b'p', "a")))), of(&["a\0", "a\u{ff}"]));
    let before = prefixed.before(&Key::new(b'p', "a\u{ff}"));
    assert_eq!(read(Scan::last(100, before.clone())), of(&["a\0", "a"]));
    let none = before.after(&Key::new(b'p', "b"));
    for direction in [Direction::Forward, Direction::Backward] {
        assert_eq!(read(Scan { range: none.clone(), direction, skip: 0, limit: 1 }), of(&[]));
    }

    let last = KeyRange::table(u8::MAX);
    store.commit(Batch::new().put(Key::new(u8::MAX, [u8::MAX]), [u8::MAX].to_vec())).await.unwrap();
    assert_eq!(read(Scan::last(2, last.clone())), [[u8::MAX]]);
    assert_eq!(read(Scan::first(2, last)), [[u8::MAX]]);
}

async fn late_pages_are_where_the_pages_before_them_end(store: &dyn Store) {
    let name = |owner: &str, number: usize| Key::new(b'l', format!("{owner}-{number:04}"));
    for owner in ["a", "b", "c"] {
        let put = |batch: Batch, number| batch.put(name(owner, number), "x");
        store.commit((0..1_000).fold(Batch::new(), put)).await.unwrap();
    }
    let gone = (0..1_000).step_by(7);
    store.commit(gone.fold(Batch::new(), |batch, number| batch.delete(name("b", number)))).await.unwrap();
    for owner in ["a", "b", "c"] {
        let list = KeyRange::starting_with(&Key::new(b'l', owner));
        let whole = store.scan(&Scan::last(2_000, list.clone())).unwrap();
        for skip in [0, 63, 64, 65, 127, 128, 129, 500, 856, 857, 858, 999, 1_000, 5_000] {
            let page = store.scan(&Scan::last(30, list.clone()).skip(skip)).unwrap();
            assert_eq!(page, whole.iter().skip(skip).take(30).cloned().collect::<Vec<_>>(), "{owner} {skip}");
        }
    }
}

async fn values_of_every_size_come_back(store: &dyn Store) {
    let sizes = [0, 1, 3_999, 4_000, 4_001, 8_000, 8_001, 65_536, 1 << 20];
    for size in sizes {
        let value: Bytes =
            (0..size).map(|at: u32| at.to_le_bytes()[usize::from(at.is_multiple_of(3))]).collect();
        store.commit(Batch::new().put(Key::new(b'v', size.to_be_bytes()), value.clone())).await.unwrap();
        assert_eq!(store.get(&Key::new(b'v', size.to_be_bytes())).unwrap().unwrap().value, value);
    }
    let lengths = |store: &dyn Store| -> Vec<u32> {
        let page = store.scan(&Scan::first(100, KeyRange::table(b'v'))).unwrap();
        page.iter().map(|entry| u32::try_from(entry.value.len()).unwrap()).collect()
    };
    assert_eq!(lengths(store), sizes);
    let all = |value: &'static str| {
        sizes.iter().fold(Batch::new(), |batch, size| batch.put(Key::new(b'v', size.to_be_bytes()), value))
    };
    store.commit(all("short")).await.unwrap();
    assert_eq!(lengths(store), [5; 9]);
}

async fn what_is_too_large_is_refused(store: &dyn Store) {
    let longest = Key::new(b'l', vec![b'x'; KEY_BYTES - 1]);
    store.commit(Batch::new().put(longest.clone(), "")).await.unwrap();
    assert_eq!(store.get(&longest).unwrap().unwrap().key, longest);
    let longer = Key::new(b'l', vec![b'x'; KEY_BYTES]);
    assert_eq!(store.commit(Batch::new().put(longer.clone(), "")).await, Err(CommitError::TooLarge));
    let conditional = Batch::new().require(Condition::Absent(longer));
    assert_eq!(store.commit(conditional).await, Err(CommitError::TooLarge));
    let heavy = put("heavy", vec![0; BATCH_BYTES]);
    assert_eq!(store.commit(heavy).await, Err(CommitError::TooLarge));
}

async fn counts_follow_changes(store: &dyn Store) {
    let at = |name| Key::new(b'c', name);
    store.commit(Batch::new().put(at("1"), "").put(at("2"), vec![0; 10_000])).await.unwrap();
    assert_eq!(store.count(b'c'), 2);
    store.commit(Batch::new().put(at("1"), "again").delete(at("2")).delete(at("3"))).await.unwrap();
    assert_eq!(store.count(b'c'), 1);
    store.commit(Batch::new().delete(at("1"))).await.unwrap();
    assert_eq!(store.count(b'c'), 0);
}

async fn watches_see_every_commit_in_order(store: &dyn Store) {
    let start = store.revision();
    let mut early = store.watch(start);
    for _ in 0..3 {
        store.commit(put("watched", "x").delete(key("other"))).await.unwrap();
    }
    let mut late = store.watch(start);
    for expected in start + 1..start + 4 {
        for watch in [&mut early, &mut late] {
            let change = watch.next().await.unwrap();
            assert_eq!(change.revision, expected);
            assert_eq!(*change.keys, [key("other"), key("watched")]);
        }
    }
    let waiting = tokio::spawn(async move { early.next().await });
    let revision = store.commit(put("watched", "y")).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().revision, revision);
}

async fn watches_beyond_the_newest_commit_have_lagged(store: &dyn Store) {
    let after = store.revision() + 1;
    assert_eq!(store.watch(after).next().await, Err(Lagged { after }));
}
