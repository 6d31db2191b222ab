//! Reading all that there is and comparing it with what the head says there must be.
//!
//! One thread reads sled, which is half of the work; the others open what it has read.

use super::{
    head::Head,
    record::{self, Codec, Damage, HEAD, PART, RECORD},
};
use std::{
    num::NonZero,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

/// How many records a thread opens at a time, and how many such lots may wait for one.
const LOT: usize = 256;
const LOTS: usize = 8;

/// The most threads that open records.
const THREADS: usize = 4;

type Stored = (sled::IVec, sled::IVec);

/// Reads the head and opens every record: the head, if they are what it says, or nothing where there is nothing.
pub(super) fn verify(codec: &Codec, tree: &sled::Tree) -> Result<Option<Head>, Damage> {
    let claimed =
        tree.get(HEAD).map_err(unreadable)?.map(|stored| Head::decode(codec, &stored)).transpose()?;
    let found = survey(codec, tree)?;
    match claimed {
        None if found == Head::default() => Ok(None),
        None => Err(Damage("the head record is missing".to_owned())),
        Some(claimed) if agree(&claimed, &found) => Ok(Some(claimed)),
        Some(claimed) => {
            let records = |head: &Head| head.counts.values().sum::<u64>();
            Err(Damage(format!(
                "{} records up to revision {} were found, which are not the {} of revision {} that were written",
                records(&found),
                found.revision,
                records(&claimed),
                claimed.revision,
            )))
        }
    }
}

/// A commit may leave no record of its own, so the newest record may be older than the head.
fn agree(claimed: &Head, found: &Head) -> bool {
    claimed.counts == found.counts && claimed.sum == found.sum && claimed.revision >= found.revision
}

/// The head that all records together would have.
fn survey(codec: &Codec, tree: &sled::Tree) -> Result<Head, Damage> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    let (lots, waiting) = sync_channel(LOTS);
    let waiting = Mutex::new(waiting);
    thread::scope(|scope| {
        let openers: Vec<_> = (0..threads).map(|_| scope.spawn(|| open_lots(codec, &waiting))).collect();
        let mut records = tree.iter();
        loop {
            let lot = records.by_ref().take(LOT).collect::<Result<Vec<Stored>, _>>().map_err(unreadable)?;
            if lot.is_empty() || lots.send(lot).is_err() {
                break;
            }
        }
        drop(lots);
        let mut whole = Head::default();
        for opener in openers {
            let part =
                opener.join().unwrap_or_else(|_| Err(Damage("opening a record panicked".to_owned())))?;
            whole.revision = whole.revision.max(part.revision);
            whole.sum = whole.sum.wrapping_add(part.sum);
            part.counts
                .into_iter()
                .for_each(|(table, count)| *whole.counts.entry(table).or_default() += count);
        }
        Ok(whole)
    })
}

/// Takes lots until there are no more; after damage it opens none, so that the reader never waits in vain.
fn open_lots(codec: &Codec, waiting: &Mutex<Receiver<Vec<Stored>>>) -> Result<Head, Damage> {
    let mut found = Ok(Head::default());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(lot) = next() {
        found = found.and_then(|found| open_lot(codec, &lot, found));
    }
    found
}

fn open_lot(codec: &Codec, lot: &[Stored], mut found: Head) -> Result<Head, Damage> {
    for (place, stored) in lot.iter().filter(|(place, _)| *place != HEAD) {
        let (revision, _) = codec.open(place, stored)?;
        found.revision = found.revision.max(revision);
        found.sum = found.sum.wrapping_add(record::tag(stored));
        match **place {
            [RECORD, table, ..] => *found.counts.entry(table).or_default() += 1,
            [PART, _, ..] => {}
            _ => return Err(Damage(format!("there is a foreign record at {}", place.escape_ascii()))),
        }
    }
    Ok(found)
}

fn unreadable(error: sled::Error) -> Damage {
    Damage(format!("sled cannot read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Key, Revision};
    use model::{
        Secret,
        key::{Keyring, Purpose},
    };

    fn codec() -> Codec {
        let keyring = Keyring::parse(&Secret::new("cG9ydGFscyBwb3J0YWxzIHBvcnRhbHMgcG9ydGFscyE=")).unwrap();
        Codec::new(keyring.keys(Purpose::Store))
    }

    /// A store of two records, `a` of revision 1 and `b` in parts of revision 2, and what `tamper` makes of it.
    fn verified(tamper: impl Fn(&sled::Db, &Codec)) -> Result<Option<Revision>, String> {
        let (codec, tree) = (codec(), sled::Config::new().temporary(true).open().unwrap());
        let mut head = Head { revision: 2, ..Head::default() };
        for (name, revision, length) in [("a", 1, 5), ("b", 2, 10_000)] {
            let (stored, extent) = codec.encode(&Key::new(b'k', name), revision, &vec![7; length]);
            stored.into_iter().for_each(|(place, sealed)| drop(tree.insert(place, sealed).unwrap()));
            head.add(b'k', &extent);
        }
        tree.insert(HEAD, head.encode(&codec)).unwrap();
        tamper(&tree, &codec);
        verify(&codec, &tree).map(|head| head.map(|head| head.revision)).map_err(|damage| damage.to_string())
    }

    fn refused(records: u64) -> Result<Option<Revision>, String> {
        Err(format!(
            "{records} records up to revision 2 were found, which are not the 2 of revision 2 that were written"
        ))
    }

    #[test]
    fn what_was_written_is_found_whole() {
        assert_eq!(verified(|_, _| ()), Ok(Some(2)));
        assert_eq!(verified(|tree, _| tree.clear().unwrap()), Ok(None));
    }

    #[test]
    fn a_record_that_was_put_back_or_taken_away_is_noticed() {
        let a = Key::new(b'k', "a");
        let other = |tree: &sled::Db, codec: &Codec| {
            codec
                .encode(&a, 1, b"other")
                .0
                .into_iter()
                .for_each(|(at, sealed)| drop(tree.insert(at, sealed)));
        };
        assert_eq!(verified(other), refused(2));
        assert_eq!(verified(|tree, _| drop(tree.remove(record::record_key(&a)))), refused(1));
        assert_eq!(verified(|tree, _| drop(tree.pop_max())), refused(2));
        let headless = Err("the head record is missing".to_owned());
        assert_eq!(verified(|tree, _| drop(tree.remove(HEAD))), headless);
    }

    #[test]
    fn a_record_that_was_moved_or_is_foreign_cannot_be_opened() {
        let moved = verified(|tree, _| {
            let sealed = tree.remove(b"\x01ka").unwrap().unwrap();
            tree.insert(b"\x01kc", sealed).unwrap();
        });
        assert_eq!(moved, Err("the record at \\x01kc cannot be opened".to_owned()));
        let foreign = verified(|tree, _| drop(tree.insert("foreign", "x")));
        assert_eq!(foreign, Err("the record at foreign cannot be opened".to_owned()));
        let sealed = verified(|tree, codec| drop(tree.insert([9], codec.seal(&[9], 1, b"x"))));
        assert_eq!(sealed, Err("there is a foreign record at \\t".to_owned()));
    }
}
