//! Random histories, against a sorted map that cannot fail.

use crate::fixture::{commit, contents, open};
use bytes::Bytes;
use proptest::prelude::*;
use registry::store::{Batch, CommitError, Condition, Direction, Key, KeyRange, Scan, SledStore, Store};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Commit(Batch),
    Scan(Scan),
    Reopen,
}

type Expected = BTreeMap<Key, (Bytes, u64)>;

fn a_key() -> impl Strategy<Value = Key> {
    (0..2_u8, prop::collection::vec(prop::sample::select(vec![0, b'a', u8::MAX]), 0..3))
        .prop_map(|(table, name)| Key::new(table, name))
}

fn a_value() -> impl Strategy<Value = Vec<u8>> {
    (any::<u8>(), prop_oneof![4 => 0..20_usize, 1 => 3_990..4_010_usize, 1 => 7_990..20_000_usize])
        .prop_map(|(byte, length)| vec![byte; length])
}

fn a_condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        a_key().prop_map(Condition::Absent),
        a_key().prop_map(Condition::Present),
        (a_key(), 0..20_u64).prop_map(|(key, revision)| Condition::Revision(key, revision)),
    ]
}

fn a_batch() -> impl Strategy<Value = Batch> {
    let changes = prop::collection::vec((a_key(), prop::option::weighted(0.7, a_value())), 0..5);
    let conditions = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(a_condition(), 1..3)];
    (changes, conditions).prop_map(|(changes, conditions)| {
        let batch = conditions.into_iter().fold(Batch::new(), Batch::require);
        changes.into_iter().fold(batch, |batch, (key, value)| match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        })
    })
}

fn a_scan() -> impl Strategy<Value = Scan> {
    let direction = prop_oneof![Just(Direction::Forward), Just(Direction::Backward)];
    let bounds = (a_key(), prop::option::of(a_key()), prop::option::of(a_key()));
    (bounds, direction, 0..4_usize, 0..6_usize).prop_map(
        |((prefix, after, before), direction, skip, limit)| {
            let mut range = KeyRange::starting_with(&prefix);
            if let Some(key) = after {
                range = range.after(&key);
            }
            if let Some(key) = before {
                range = range.before(&key);
            }
            Scan { range, direction, skip, limit }
        },
    )
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => a_batch().prop_map(Step::Commit),
        4 => a_scan().prop_map(Step::Scan),
        1 => Just(Step::Reopen),
    ]
}

fn commit_both(store: &SledStore, expected: &mut Expected, revision: &mut u64, batch: Batch) {
    let found = |key: &Key| expected.get(key).map(|(_, revision)| *revision);
    let broken = batch.conditions().iter().find(|condition| !condition.holds(found(condition.key())));
    let verdict = commit(store, batch.clone());
    if let Some(condition) = broken {
        assert_eq!(verdict, Err(CommitError::Conflict { key: condition.key().clone() }));
        return;
    }
    *revision += 1;
    assert_eq!(verdict, Ok(*revision));
    for (key, value) in batch.changes() {
        match value {
            Some(value) => expected.insert(key.clone(), (value.clone(), *revision)),
            None => expected.remove(key),
        };
    }
}

fn scan_both(store: &SledStore, expected: &Expected, scan: &Scan) {
    let found = store.scan(scan).unwrap();
    let found: Vec<_> = found.into_iter().map(|entry| (entry.key, (entry.value, entry.revision))).collect();
    let mut within: Vec<_> = expected.iter().filter(|(key, _)| scan.range.contains(key)).collect();
    if scan.direction == Direction::Backward {
        within.reverse();
    }
    let within = within.into_iter().skip(scan.skip).take(scan.limit);
    assert_eq!(found, within.map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn a_store_is_a_sorted_map_that_survives_being_closed(steps in prop::collection::vec(a_step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let (mut expected, mut revision) = (Expected::new(), 0);
        for step in steps {
            match step {
                Step::Commit(batch) => commit_both(&store, &mut expected, &mut revision, batch),
                Step::Scan(scan) => scan_both(&store, &expected, &scan),
                Step::Reopen => {
                    drop(store);
                    store = open(folder.path());
                }
            }
            prop_assert_eq!(store.revision(), revision);
        }
        let all: Vec<_> = expected.iter().map(|(key, (value, at))| (key.clone(), value.clone(), *at)).collect();
        prop_assert_eq!(contents(&store, &[0, 1]), all);
        for table in [0, 1] {
            let count = expected.keys().filter(|key| key.table() == table).count();
            prop_assert_eq!(store.count(table), count as u64);
        }
    }
}
