//! What readers see: the durable state, even while the next one is being written.
//!
//! While a group is on its way to the disk its keys are shown as they were before; sled already holds
//! them as they will be. The committer alone changes a view.

use super::{
    head::Head,
    record::{Codec, Damage, RECORD, Record, key_at, record_key},
};
use crate::store::{Direction, Entry, Key, KeyRange, Revision, Scan, StoreError, history::History};
use std::{
    cmp::Ordering,
    collections::BTreeMap,
    iter::Peekable,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// The durable state, shared by readers and the committer.
#[derive(Debug)]
pub(super) struct View {
    tree: sled::Db,
    codec: Codec,
    durable: RwLock<Durable>,
    history: Arc<History>,
}

/// How what sled holds differs from what is durable.
#[derive(Debug)]
struct Durable {
    head: Head,
    /// Keys on their way to the disk, as they were before.
    before: BTreeMap<Key, Option<Entry>>,
}

/// Records as they were before the group on its way to the disk.
pub(super) type Before = BTreeMap<Key, Option<Entry>>;

impl View {
    pub(super) fn new(tree: sled::Db, codec: Codec, head: &Head) -> Self {
        let durable = Durable { head: head.clone(), before: BTreeMap::new() };
        let history = Arc::new(History::after(head.revision));
        Self { tree, codec, durable: RwLock::new(durable), history }
    }

    pub(super) fn tree(&self) -> &sled::Db {
        &self.tree
    }

    pub(super) fn codec(&self) -> &Codec {
        &self.codec
    }

    pub(super) fn history(&self) -> &Arc<History> {
        &self.history
    }

    pub(super) fn revision(&self) -> Revision {
        self.read().head.revision
    }

    pub(super) fn count(&self, table: u8) -> u64 {
        self.read().head.sum(table).records
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let durable = self.read();
        if let Some(before) = durable.before.get(key) {
            return Ok(before.clone());
        }
        let record = guarded(|| self.load(key))?;
        Ok(record.map(|record| record.entry))
    }

    pub(super) fn scan(&self, scan: &Scan) -> Result<Vec<Entry>, StoreError> {
        if scan.range.is_empty() {
            return Ok(Vec::new());
        }
        let durable = self.read();
        let before = durable.before.range((scan.range.from.clone(), scan.range.to.clone()));
        let stored = self.tree.range(bounds(&scan.range));
        guarded(|| match scan.direction {
            Direction::Forward => self.page(scan, stored, before),
            Direction::Backward => self.page(scan, stored.rev(), before.rev()),
        })
    }

    /// Merges what sled holds with what was there before; where there are both, the latter counts.
    fn page<'a>(
        &self,
        scan: &Scan,
        stored: impl Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>>,
        before: impl Iterator<Item = (&'a Key, &'a Option<Entry>)>,
    ) -> Result<Vec<Entry>, Damage> {
        let mut stored = stored
            .map(|item| {
                let (place, stored) = item.map_err(unreadable)?;
                Ok((key_at(&place)?, stored))
            })
            .peekable();
        let mut before = before.peekable();
        let (mut skip, mut page) = (scan.skip, Vec::new());
        while page.len() < scan.limit {
            let found = match order(&mut stored, &mut before, scan.direction)? {
                None => break,
                Some(Ordering::Less) => stored.next().transpose()?.map(|(key, stored)| (key, Err(stored))),
                Some(order) => {
                    if order == Ordering::Equal {
                        stored.next();
                    }
                    before.next().and_then(|(key, entry)| Some((key.clone(), Ok(entry.as_ref()?))))
                }
            };
            match found {
                None => {}
                Some(_) if skip > 0 => skip -= 1,
                Some((_, Ok(entry))) => page.push(entry.clone()),
                Some((key, Err(stored))) => page.push(self.decode(key, &stored)?.entry),
            }
        }
        Ok(page)
    }

    /// The record under `key` as sled holds it.
    pub(super) fn load(&self, key: &Key) -> Result<Option<Record>, Damage> {
        let Some(stored) = self.tree.get(record_key(key)).map_err(unreadable)? else { return Ok(None) };
        self.decode(key.clone(), &stored).map(Some)
    }

    /// The record under `key`, of which `stored` is the first part.
    pub(super) fn decode(&self, key: Key, stored: &[u8]) -> Result<Record, Damage> {
        self.codec.decode(key, stored, |place| self.tree.get(place).map_err(unreadable))
    }

    /// Shows these keys as they were, from now on until [`View::show`].
    pub(super) fn hide(&self, before: Before) {
        self.write().before = before;
    }

    /// Shows all that sled holds, which is durable and what `head` says.
    pub(super) fn show(&self, head: &Head) {
        let mut durable = self.write();
        durable.head.clone_from(head);
        durable.before.clear();
    }

    fn read(&self) -> RwLockReadGuard<'_, Durable> {
        self.durable.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Durable> {
        self.durable.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a read of sled, which panics on some damage.
pub(super) fn guarded<Read>(read: impl FnOnce() -> Result<Read, Damage>) -> Result<Read, StoreError> {
    let read =
        catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(Damage("sled panicked".to_owned())));
    read.map_err(|damage| StoreError::Damaged { what: damage.to_string() })
}

/// What sled says of what it cannot read.
pub(super) fn unreadable(error: sled::Error) -> Damage {
    Damage(format!("sled cannot read: {error}"))
}

/// The range of keys in sled.
fn bounds(range: &KeyRange) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let to = match range.to.as_ref().map(record_key) {
        Bound::Unbounded => Bound::Excluded(vec![RECORD + 1]),
        bounded => bounded,
    };
    (range.from.as_ref().map(record_key), to)
}

/// Which of two sorted iterators has the next key: less is the first.
fn order<'a, Stored>(
    stored: &mut Peekable<impl Iterator<Item = Result<(Key, Stored), Damage>>>,
    before: &mut Peekable<impl Iterator<Item = (&'a Key, &'a Option<Entry>)>>,
    direction: Direction,
) -> Result<Option<Ordering>, Damage> {
    Ok(match (stored.peek(), before.peek()) {
        (None, None) => None,
        (Some(Err(damage)), _) => return Err(damage.clone()),
        (Some(Ok(_)), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(Ok((stored, _))), Some((before, _))) => Some(match direction {
            Direction::Forward => stored.cmp(before),
            Direction::Backward => (*before).cmp(stored),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::{super::record::part_key, *};
    use model::{
        Secret,
        key::{Keyring, Purpose},
    };

    fn damaged(key: &Key, damage: impl Fn(&sled::Db, &Codec)) -> (StoreError, StoreError) {
        let keyring = Keyring::parse(&Secret::new("cG9ydGFscyBwb3J0YWxzIHBvcnRhbHMgcG9ydGFscyE=")).unwrap();
        let codec = Codec::new(keyring.keys(Purpose::Store));
        let tree = sled::Config::new().temporary(true).open().unwrap();
        for (place, sealed) in codec.encode(key, 1, &[7; 10_000]).0 {
            tree.insert(place, sealed).unwrap();
        }
        damage(&tree, &codec);
        let view = View::new(tree, codec, &Head::default());
        let scan = Scan::first(1, KeyRange::table(key.table()));
        (view.get(key).unwrap_err(), view.scan(&scan).unwrap_err())
    }

    #[test]
    fn a_damaged_record_is_read_as_damaged_and_not_as_something_else() {
        let key = Key::new(b'k', "a");
        let place = record_key(&key);
        let part = part_key(&key, 1, 1);
        let unreadable = |place: &[u8]| {
            let what = format!("the record at {} cannot be opened", place.escape_ascii());
            (StoreError::Damaged { what: what.clone() }, StoreError::Damaged { what })
        };
        for length in [0, 1, 9, 100] {
            let cut = damaged(&key, |tree, _| drop(tree.insert(place.clone(), vec![1; length]).unwrap()));
            assert_eq!(cut, unreadable(&place), "{length} bytes");
        }
        let moved = damaged(&key, |tree, codec| {
            drop(tree.insert(part.clone(), codec.seal(&record_key(&Key::new(b'k', "b")), 1, &[7])).unwrap());
        });
        assert_eq!(moved, unreadable(&part));
        let (got, scanned) = damaged(&key, |tree, _| drop(tree.remove(part.clone()).unwrap()));
        assert_eq!(got, StoreError::Damaged { what: "part 1 of 107:a is missing".to_owned() });
        assert_eq!(got, scanned);
    }

    #[test]
    fn a_read_that_panics_is_damage() {
        let read = guarded(|| -> Result<(), Damage> { panic!("as sled does") });
        assert_eq!(read, Err(StoreError::Damaged { what: "sled panicked".to_owned() }));
    }
}
