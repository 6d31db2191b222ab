//! Opening: alone, whole, no older than it was, and fast.

use crate::fixture::{
    Dice, commit, contents, copy_folder, key, keys, open, open_and_scrub, options, put, setting, try_open,
    unverified, wait_until,
};
use model::key::{Keyring, Purpose};
use registry::store::{Batch, Key, OpenError, Options, SledStore, Store};
use std::{
    fs,
    path::Path,
    sync::mpsc,
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
    wait_until("it settles", || store.syncs() > synced);
    fs::copy(folder.path().join("anchor"), older.path().join("anchor")).unwrap();
    assert_eq!(refusal(older.path()), "it ends at revision 1, but revision 2 had been made durable");
}

/// sled passes over the rest of a segment in which a message cannot be read.
#[test]
fn what_sled_would_pass_over_is_noticed_before_anything_is_served() {
    const SEGMENT: usize = 512 << 10;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for turn in 0..400_u64 {
        let batch = (0..10).fold(Batch::new(), |batch, number| {
            batch.put(key(&format!("{}", (turn * 10 + number) * 7_919 % 1_500)), vec![7; 1_000])
        });
        commit(&store, batch).unwrap();
    }
    drop(store);
    let log = fs::read(folder.path().join("db/db")).unwrap();
    let segments = log.len() / SEGMENT;
    let (mut passed_over, mut verdicts) = (0, Vec::new());
    for segment in 0..segments {
        let damaged = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), damaged.path());
        let mut log = log.clone();
        log[segment * SEGMENT + SEGMENT / 2] ^= 1;
        fs::write(damaged.path().join("db/db"), log).unwrap();
        match SledStore::open(damaged.path(), keys(), unverified()) {
            Err(OpenError::Damaged { what, .. }) => {
                passed_over += u64::from(what.contains("which are not the 1500 of revision 400"));
                verdicts.push(what);
            }
            // Nothing that counts stood there.
            Ok(store) => {
                assert_eq!(store.count(b'k'), 1_500);
                assert!(contents(&store, b"k").iter().all(|(.., revision)| *revision > 250));
            }
            other => panic!("segment {segment}: {other:?}"),
        }
    }
    assert!(passed_over > 0, "of {segments} segments: {verdicts:#?}");
}

/// sled takes it for its snapshot, though it is none yet.
#[test]
fn a_start_that_was_killed_while_sled_wrote_its_snapshot_keeps_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    commit(&open(folder.path()), put("a", "x")).unwrap();
    drop(open(folder.path()));
    fs::write(folder.path().join("db/snap.00000000FFFFFFFF.generating"), "half a snap").unwrap();
    assert_eq!(open(folder.path()).revision(), 1);
}

#[test]
fn a_store_that_was_verified_while_it_was_used_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..300 {
        commit(&store, put(&format!("{number}"), vec![7; 1 + number * 30])).unwrap();
    }
    let expected = contents(&store, b"k");
    drop(store);
    let (store, scrubbed) = open_and_scrub(folder.path());
    assert!(scrubbed);
    assert_eq!(contents(&store, b"k"), expected);
}

/// Commits and the scrub count together what there is, whoever comes first to a record.
#[tokio::test]
async fn a_scrub_counts_what_is_committed_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for turn in 0..20 {
        store.commit(random_batch(&mut Dice(turn), 100)).await.unwrap();
    }
    drop(store);
    let mut dice = Dice::new("scrubs");
    for _ in 0..5 {
        let (failures, failed) = mpsc::sync_channel(1);
        let on_failure = Box::new(move |failure| failures.send(failure).unwrap());
        let rest = Duration::from_millis(2);
        let options = Options { scrub_from: 0, rest, on_failure, ..options() };
        let store = SledStore::open(folder.path(), keys(), options).unwrap();
        let mut commits = 0;
        while store.unverified() > 0 {
            store.commit(random_batch(&mut dice, 5)).await.unwrap();
            commits += 1;
            assert!(failed.try_recv().is_err(), "after {commits} commits: {:?}", failed.try_recv());
        }
        assert!(commits > 0);
    }
    drop(open(folder.path()));
}

/// Puts and deletes short records and long ones, of a thousand in all.
fn random_batch(dice: &mut Dice, changes: usize) -> Batch {
    (0..changes).fold(Batch::new(), |batch, _| {
        let key = key(&format!("{}", dice.below(1_000)));
        let length = if dice.below(8) == 0 { dice.index(20_000) } else { dice.index(600) };
        if dice.below(4) == 0 { batch.delete(key) } else { batch.put(key, vec![7; length]) }
    })
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
