//! Reading what there is and comparing it with what the head says there must be, before anything is served.
//!
//! One thread reads sled, which is half of the work; the others open what it has read.

use super::{
    head::{Head, OldHead, Sum},
    record::{self, Codec, Damage, HEAD, OLD_HEAD, PART, RECORD},
    view::unreadable,
};
use crate::store::Revision;
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
pub(super) fn everything(codec: &Codec, tree: &sled::Tree) -> Result<Option<Head>, Damage> {
    let head = read(tree, HEAD)?.map(|stored| Head::decode(codec, &stored)).transpose()?;
    let old = read(tree, OLD_HEAD)?.map(|stored| OldHead::decode(codec, &stored)).transpose()?;
    let found = survey(codec, tree.iter())?;
    match (head, old) {
        (None, None) if found == Head::default() => Ok(None),
        (None, None) => Err(Damage("the head record is missing".to_owned())),
        (Some(_), Some(_)) => Err(Damage("there are two head records".to_owned())),
        (Some(head), None) if head.covers(&found) => Ok(Some(head)),
        (Some(head), None) => Err(other_than(&head, &found)),
        (None, Some(old)) => match old.renewed(found.clone()) {
            Some(head) => Ok(Some(head)),
            None => Err(mismatch(&found, old.records(), old.revision)),
        },
    }
}

/// Reads the head and opens every record of `tables`: the head, if they are what it says.
///
/// Nothing where there is no head, or one that says nothing of single tables.
pub(super) fn tables(codec: &Codec, tree: &sled::Tree, tables: &[u8]) -> Result<Option<Head>, Damage> {
    let Some(stored) = read(tree, HEAD)? else { return Ok(None) };
    let head = Head::decode(codec, &stored)?;
    let places = tables.iter().flat_map(|table| [[RECORD, *table], [PART, *table]]);
    let found = survey(codec, places.flat_map(|place| tree.scan_prefix(place)))?;
    if head.only(tables).covers(&found) {
        Ok(Some(head))
    } else {
        Err(other_than(&head.only(tables), &found))
    }
}

fn read(tree: &sled::Tree, place: &[u8]) -> Result<Option<sled::IVec>, Damage> {
    tree.get(place).map_err(unreadable)
}

/// What was found is not what the head says.
pub(super) fn other_than(head: &Head, found: &Head) -> Damage {
    mismatch(found, head.records(), head.revision)
}

fn mismatch(found: &Head, records: u64, revision: Revision) -> Damage {
    Damage(format!(
        "{} records up to revision {} were found, which are not the {records} of revision {revision} that were written",
        found.records(),
        found.revision,
    ))
}

/// The head that these records together would have.
fn survey(codec: &Codec, mut records: impl Iterator<Item = sled::Result<Stored>>) -> Result<Head, Damage> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    let (lots, waiting) = sync_channel(LOTS);
    let waiting = Mutex::new(waiting);
    thread::scope(|scope| {
        let openers: Vec<_> = (0..threads).map(|_| scope.spawn(|| open_lots(codec, &waiting))).collect();
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
            whole.merge(&part);
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
    for (place, stored) in lot.iter().filter(|(place, _)| *place != HEAD && *place != OLD_HEAD) {
        let (revision, _) = codec.open(place, stored)?;
        found.revision = found.revision.max(revision);
        let (table, records) = match **place {
            [RECORD, table, ..] => (table, 1),
            [PART, table, ..] => (table, 0),
            _ => return Err(Damage(format!("there is a foreign record at {}", place.escape_ascii()))),
        };
        found.sum_mut(table).merge(Sum { records, tags: record::tag(stored) });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Key;
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
        let mut head = Head::default();
        for (name, revision, length) in [("a", 1, 5), ("b", 2, 10_000)] {
            let (stored, extent) = codec.encode(&Key::new(b'k', name), revision, &vec![7; length]);
            stored.into_iter().for_each(|(place, sealed)| drop(tree.insert(place, sealed).unwrap()));
            head.add(b'k', &extent);
        }
        tree.insert(HEAD, head.encode(&codec)).unwrap();
        tamper(&tree, &codec);
        everything(&codec, &tree)
            .map(|head| head.map(|head| head.revision))
            .map_err(|damage| damage.to_string())
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
    fn a_head_of_before_tables_were_summed_up_apart_is_still_read() {
        let tags = |tree: &sled::Db| {
            let records = tree.iter().map(Result::unwrap).filter(|(place, _)| *place != HEAD);
            records.fold(0, |tags: u128, (_, stored)| tags.wrapping_add(record::tag(&stored)))
        };
        let old = |count: u64| {
            move |tree: &sled::Db, codec: &Codec| {
                tree.remove(HEAD).unwrap();
                let plain = [&tags(tree).to_be_bytes()[..], b"k", &count.to_be_bytes()].concat();
                tree.insert(OLD_HEAD, codec.seal(OLD_HEAD, 2, &plain)).unwrap();
            }
        };
        assert_eq!(verified(old(2)), Ok(Some(2)));
        let three =
            "2 records up to revision 2 were found, which are not the 3 of revision 2 that were written";
        assert_eq!(verified(old(3)), Err(three.to_owned()));
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
