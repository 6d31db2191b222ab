//! Opening: alone, whole, no older than it was, and fast.

use crate::fixture::{PATIENCE, commit, contents, copy_folder, key, open, put, runtime, setting, try_open};
use model::key::{Keyring, Purpose};
use registry::store::{Batch, Key, OpenError, Options, SledStore, Store};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

fn refusal(folder: &Path) -> String {
    match try_open(folder) {
        Err(OpenError::Damaged { what, .. }) => what,
        other => panic!("not refused as damaged: {other:?}"),
    }
}

#[test]
fn a_second_opener_is_told_that_the_store_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let second = try_open(folder.path());
    assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
    drop(first);
    open(folder.path());
}

#[test]
fn another_secret_key_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    commit(&open(folder.path()), put("a", "x")).unwrap();
    let other = Keyring::parse(&Keyring::generate()).unwrap().keys(Purpose::Store);
    let refused = SledStore::open(folder.path(), other, Options::default()).unwrap_err().to_string();
    assert!(refused.contains("another secret key"), "{refused}");
    assert_eq!(open(folder.path()).revision(), 1);
}

#[test]
fn nothing_of_a_value_lies_on_the_disk_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit(&store, put("a", "canary".repeat(2_000))).unwrap();
    drop(store);
    for file in ["db/db", "db/conf", "anchor"] {
        let bytes = fs::read(folder.path().join(file)).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"), "{file}");
    }
}

#[test]
fn a_log_that_went_back_in_time_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    commit(&open(folder.path()), put("a", "x")).unwrap();
    let older = tempfile::tempdir().unwrap();
    copy_folder(&folder.path().join("db"), older.path());
    commit(&open(folder.path()), put("a", "y")).unwrap();
    fs::remove_dir_all(folder.path().join("db")).unwrap();
    copy_folder(older.path(), &folder.path().join("db"));
    assert_eq!(refusal(folder.path()), "it ends at revision 1, but revision 2 had been made durable");
}

#[test]
fn an_idle_store_anchors_its_last_commit() {
    let folder = tempfile::tempdir().unwrap();
    let older = tempfile::tempdir().unwrap();
    commit(&open(folder.path()), put("a", "x")).unwrap();
    copy_folder(folder.path(), older.path());
    let store = open(folder.path());
    commit(&store, put("a", "y")).unwrap();
    let synced = store.syncs();
    let deadline = Instant::now() + PATIENCE;
    runtime().block_on(async {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while store.syncs() == synced {
            assert!(Instant::now() < deadline, "it never settled");
            tick.tick().await;
        }
    });
    fs::copy(folder.path().join("anchor"), older.path().join("anchor")).unwrap();
    assert_eq!(refusal(older.path()), "it ends at revision 1, but revision 2 had been made durable");
}

#[test]
fn missing_files_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    commit(&open(folder.path()), put("a", "x")).unwrap();
    let anchor = fs::read(folder.path().join("anchor")).unwrap();

    fs::remove_file(folder.path().join("anchor")).unwrap();
    assert_eq!(refusal(folder.path()), "the file `anchor` is missing or empty");
    fs::write(folder.path().join("anchor"), "nonsense").unwrap();
    assert_eq!(refusal(folder.path()), "the file `anchor` is damaged or was sealed with another secret key");
    fs::write(folder.path().join("anchor"), anchor).unwrap();
    assert_eq!(open(folder.path()).revision(), 1);

    fs::remove_dir_all(folder.path().join("db")).unwrap();
    assert_eq!(refusal(folder.path()), "the folder `db` is missing");
    fs::create_dir(folder.path().join("db")).unwrap();
    assert_eq!(refusal(folder.path()), "it is empty, but revision 1 had been made durable");
}

#[test]
fn a_folder_of_which_only_the_first_start_was_cut_short_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    fs::remove_file(folder.path().join("anchor")).unwrap();
    assert_eq!(open(folder.path()).revision(), 0);
    assert_eq!(open(folder.path()).revision(), 0);
}

/// With `PORTALS_TEST_RECORDS=100000` it tells how long a full store takes to open.
#[test]
fn a_full_store_opens_with_all_that_it_holds() {
    let records = setting("PORTALS_TEST_RECORDS", 2_000);
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let numbers: Vec<u64> = (0..records).collect();
    let values = |revision: u64| -> Vec<u8> { revision.to_be_bytes().repeat(128) };
    for numbers in numbers.chunks(500) {
        let batch = numbers.iter().fold(Batch::new(), |batch, number| {
            batch.put(Key::new(b'k', number.to_be_bytes()), values(*number))
        });
        commit(&store, batch).unwrap();
    }
    drop(store);
    let start = Instant::now();
    let store = open(folder.path());
    eprintln!("opening {records} records took {:?}", start.elapsed());
    assert_eq!(store.count(b'k'), records);
    let found = contents(&store, b"k");
    assert!(found.iter().zip(&numbers).all(|((_, value, _), number)| *value == values(*number)));
    assert_eq!(store.get(&key("missing")).unwrap(), None);
}
