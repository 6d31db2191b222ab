//! Damaged files: the store opens as it was, or says that it is damaged; it never answers wrongly.

use crate::{
    child::{lines, this_test},
    fixture::{Dice, PATIENCE, commit, contents, copy_folder, keys, open, options, put, setting, unverified},
};
use bytes::Bytes;
use registry::store::{Batch, Key, KeyRange, Scan, SledStore, Store, StoreError};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

const FOLDER: &str = "PORTALS_TEST_DAMAGE_FOLDER";
const SEED: &str = "PORTALS_TEST_DAMAGE_SEED";
const FIRST: &str = "PORTALS_TEST_DAMAGE_FIRST";
const DAMAGES: &str = "PORTALS_TEST_DAMAGES";
const UNVERIFIED: &str = "PORTALS_TEST_DAMAGE_UNVERIFIED";

#[test]
fn a_damaged_store_is_refused_or_is_as_it_was() {
    damaged_stores_are_refused_or_as_they_were(false);
}

/// What opening alone must notice, for verifying the records does not begin.
#[test]
fn a_damaged_store_that_is_not_verified_yet_is_refused_or_is_as_it_was() {
    damaged_stores_are_refused_or_as_they_were(true);
}

fn damaged_stores_are_refused_or_as_they_were(unverified: bool) {
    let folder = tempfile::tempdir().unwrap();
    // The more there is, the more of it stands before the end of the log, which shows whatever is verified.
    let (turns, damages) = if unverified { (1_500, 100) } else { (300, 200) };
    fill(folder.path(), turns);
    // As much again, so that of the log a part is replayed and another is not.
    fill(folder.path(), turns);
    let damages = setting(DAMAGES, damages);
    let seed = Dice::new("damages").below(1 << 32);
    let (mut first, mut same, mut early, mut refused, mut crashes) = (0, 0, 0, 0, Vec::new());
    while first < damages {
        let mut command = this_test("damage::a_child_opens_damaged_stores");
        command.env(FOLDER, folder.path()).env(SEED, seed.to_string()).env(FIRST, first.to_string());
        command.env(UNVERIFIED, u64::from(unverified).to_string());
        let mut process = command.env(DAMAGES, damages.to_string()).spawn().unwrap();
        let lines = lines(process.stdout.take().unwrap());
        let (mut current, before) = ("before the first".to_owned(), first);
        while let Ok(line) = lines.recv_timeout(PATIENCE) {
            match line.split_once(": ") {
                Some(("damage", what)) => {
                    current = what.to_owned();
                    first += 1;
                }
                Some(("same", how)) => {
                    same += 1;
                    early += u64::from(how == "not verified yet");
                }
                Some(("refused", why)) => {
                    refused += 1;
                    if std::env::var("PORTALS_TEST_VERBOSE").is_ok() {
                        eprintln!("{current}: {why}");
                    }
                }
                Some(("wrong", what)) => panic!("{current}: {what}"),
                _ => {}
            }
        }
        process.kill().unwrap();
        let status = process.wait().unwrap();
        if !status.success() {
            assert!(first > before, "the child cannot start: {status}");
            crashes.push(format!("{current}: {status}"));
        }
    }
    eprintln!("damages: {same} changed nothing ({early} were not verified yet), {refused} were refused");
    assert_eq!(early > 0, unverified);
    assert!(crashes.is_empty(), "{} crashes or hangs: {crashes:#?}", crashes.len());
}

/// Records short and long, some replaced, some deleted.
fn fill(folder: &Path, turns: u64) {
    let store = open(folder);
    let mut dice = Dice(store.revision());
    for turn in 0..turns {
        let length = if turn % 20 == 0 { dice.index(50_000) } else { dice.index(1_500) };
        commit(&store, put(&format!("{}", dice.below(200)), dice.bytes(length))).unwrap();
        if turn % 10 == 0 {
            commit(&store, Batch::new().delete(Key::new(b'k', format!("{}", dice.below(200))))).unwrap();
        }
    }
}

#[test]
fn a_child_opens_damaged_stores() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let work = tempfile::tempdir().unwrap();
    let pristine = work.path().join("pristine");
    copy_folder(Path::new(&folder), &pristine);
    let expected = contents(&open(&pristine), b"k");
    for number in setting(FIRST, 0)..setting(DAMAGES, 0) {
        let damaged = work.path().join("damaged");
        copy_folder(Path::new(&folder), &damaged);
        let mut dice = Dice(setting(SEED, 0) + number);
        say(&format!("damage: {number}, {}", damage(&damaged, &mut dice)));
        let options = if setting(UNVERIFIED, 0) == 1 { unverified() } else { options() };
        match SledStore::open(&damaged, keys(), options) {
            Err(refusal) => say(&format!("refused: {refusal}")),
            Ok(store) => match read(&store) {
                Err(damage) => say(&format!("refused: {damage}")),
                Ok(found) if found == expected && store.unverified() > 0 => say("same: not verified yet"),
                Ok(found) if found == expected => say("same: as it was"),
                Ok(found) => say(&format!("wrong: {} records, not {}", found.len(), expected.len())),
            },
        }
        fs::remove_dir_all(&damaged).unwrap();
    }
}

fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}

fn read(store: &dyn Store) -> Result<Vec<(Key, Bytes, u64)>, StoreError> {
    let page = store.scan(&Scan::first(1_000, KeyRange::table(b'k')))?;
    Ok(page.into_iter().map(|entry| (entry.key, entry.value, entry.revision)).collect())
}

/// Damages one file in one way, and tells which.
fn damage(folder: &Path, dice: &mut Dice) -> String {
    let mut files = Vec::new();
    list(folder, &mut files);
    files.sort();
    // Most bytes are in the log, so most damages are too.
    let log = folder.join("db/db");
    let file = if dice.below(4) == 0 { files.swap_remove(dice.index(files.len())) } else { log };
    let mut bytes = fs::read(&file).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if used == 0 {
        return "nothing".to_owned();
    }
    let at = dice.index(used);
    let how = match dice.below(8) {
        0 => {
            bytes.truncate(at);
            "truncated"
        }
        1 => {
            bytes.iter_mut().skip(at).take(512).for_each(|byte| *byte = 0);
            "a sector zeroed"
        }
        2 => {
            let from = dice.index(used);
            let sector: Vec<u8> = bytes.iter().skip(from).take(512).copied().collect();
            bytes.iter_mut().skip(at).zip(sector).for_each(|(byte, other)| *byte = other);
            "a sector overwritten by another"
        }
        3 => {
            bytes.iter_mut().skip(at).for_each(|byte| *byte = 0);
            "the rest zeroed"
        }
        _ => {
            bytes[at] ^= 1 << dice.below(8);
            "a bit flipped"
        }
    };
    fs::write(&file, bytes).unwrap();
    format!("{how} at {at} of {}", file.strip_prefix(folder).unwrap().display())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}
