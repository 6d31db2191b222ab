//! What readers see: the durable state, even while the next one is being written.
//!
//! While a group is on its way to the disk its keys are shown as they were before; sled already holds
//! them as they will be. The committer alone changes a view.

use super::{
    head::Head,
    ranks::{self, Ranks},
    record::{Codec, Damage, RECORD, Record, key_at, record_key},
};
use crate::store::{Direction, Entry, Key, KeyRange, Revision, Scan, StoreError, history::History};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
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
    ranks: Ranks,
    /// Keys on their way to the disk, as they were before.
    before: BTreeMap<Key, Option<Entry>>,
}

/// Records as they were before the group on its way to the disk.
pub(super) type Before = BTreeMap<Key, Option<Entry>>;

impl View {
    /// Shows what sled holds, which `head` sums up; the records of the tables `counted` are to be counted yet.
    pub(super) fn new(tree: sled::Db, codec: Codec, head: &Head, counted: &[u8]) -> Self {
        let durable = Durable { head: head.clone(), ranks: Ranks::of(counted), before: BTreeMap::new() };
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
        guarded(|| {
            let Scan { range, direction, skip, limit } = self.nearer(&durable, scan)?;
            let held = self.held(&durable, &range, direction).skip(skip).take(limit);
            held.map(|held| self.open(held?)).collect()
        })
    }

    /// The same page, reached over fewer records where many are to be passed over.
    fn nearer(&self, durable: &Durable, scan: &Scan) -> Result<Scan, Damage> {
        if scan.direction == Direction::Forward || scan.skip < ranks::BLOCK {
            return Ok(scan.clone());
        }
        let Some(last) = durable.ranks.last_start(&scan.range) else { return Ok(scan.clone()) };
        // How much of the last block lies in the range is not known.
        let rest = self.keys(durable, &scan.range.clone().from(last), usize::MAX)?.len();
        let Some(skip) = scan.skip.checked_sub(rest) else { return Ok(scan.clone()) };
        let (start, skip) = durable.ranks.back(&scan.range, last, skip);
        Ok(Scan { range: scan.range.clone().before(&start), skip, ..scan.clone() })
    }

    /// Counts a few more records of the counted tables; true when there are no more.
    pub(super) fn count_some(&self) -> Result<bool, Damage> {
        let mut durable = self.write();
        let Some(range) = durable.ranks.next() else { return Ok(true) };
        let keys = self.keys(&durable, &range, ranks::BLOCK)?;
        durable.ranks.count(&keys);
        Ok(false)
    }

    /// The first keys of a range.
    fn keys(&self, durable: &Durable, range: &KeyRange, limit: usize) -> Result<Vec<Key>, Damage> {
        self.held(durable, range, Direction::Forward).take(limit).map(|held| Ok(held?.0)).collect()
    }

    /// The records of a range as they are durably, not opened yet.
    fn held<'a>(
        &self,
        durable: &'a Durable,
        range: &KeyRange,
        direction: Direction,
    ) -> Box<dyn Iterator<Item = Result<(Key, Held<'a>), Damage>> + 'a> {
        let before = durable.before.range((range.from.clone(), range.to.clone()));
        let stored = self.tree.range(bounds(range));
        match direction {
            Direction::Forward => Box::new(merge(stored, before, direction)),
            Direction::Backward => Box::new(merge(stored.rev(), before.rev(), direction)),
        }
    }

    fn open(&self, (key, held): (Key, Held<'_>)) -> Result<Entry, Damage> {
        match held {
            Held::Before(entry) => Ok(entry.clone()),
            Held::Stored(stored) => Ok(self.decode(key, &stored)?.entry),
        }
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

    /// Shows all that sled holds, which is durable and what `head` says; of what changed, whether it was there before
    /// and whether it is after.
    pub(super) fn show<'a>(
        &self,
        head: &Head,
        changes: impl Iterator<Item = (&'a Key, bool, bool)>,
    ) -> Result<(), Damage> {
        let mut durable = self.write();
        durable.head.clone_from(head);
        durable.before.clear();
        let mut long = BTreeSet::new();
        for (key, before, after) in changes {
            match (before, after) {
                (false, true) => long.extend(durable.ranks.insert(key)),
                (true, false) => durable.ranks.remove(key),
                (true, true) | (false, false) => {}
            }
        }
        // When all is counted: what lies in a block is what lies in sled.
        for start in long {
            let keys = self.keys(&durable, &durable.ranks.range(&start), usize::MAX)?;
            durable.ranks.divide(&start, &keys);
        }
        Ok(())
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

/// A record that a range has.
enum Held<'a> {
    /// As sled holds it.
    Stored(sled::IVec),
    /// As it was before the group on its way to the disk.
    Before(&'a Entry),
}

/// Merges what sled holds with what was there before; where there are both, the latter counts.
fn merge<'a>(
    stored: impl Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>>,
    before: impl Iterator<Item = (&'a Key, &'a Option<Entry>)>,
    direction: Direction,
) -> impl Iterator<Item = Result<(Key, Held<'a>), Damage>> {
    let stored = stored.map(|item| {
        let (place, stored) = item.map_err(unreadable)?;
        Ok((key_at(&place)?, Held::Stored(stored)))
    });
    let (mut stored, mut before) = (stored.peekable(), before.peekable());
    std::iter::from_fn(move || {
        loop {
            match order(&mut stored, &mut before, direction) {
                Ok(None) => return None,
                Ok(Some(Ordering::Less)) => return stored.next(),
                Ok(Some(order)) => {
                    if order == Ordering::Equal {
                        stored.next();
                    }
                    if let (key, Some(entry)) = before.next()? {
                        return Some(Ok((key.clone(), Held::Before(entry))));
                    }
                }
                Err(damage) => return Some(Err(damage)),
            }
        }
    })
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
    use super::{
        super::{Options, SledStore, record::part_key},
        *,
    };
    use crate::store::{Batch, Store};
    use model::{
        Secret,
        key::{Keyring, Purpose},
    };
    use std::time::Duration;

    fn damaged(key: &Key, damage: impl Fn(&sled::Db, &Codec)) -> (StoreError, StoreError) {
        let keyring = Keyring::parse(&Secret::new("cG9ydGFscyBwb3J0YWxzIHBvcnRhbHMgcG9ydGFscyE=")).unwrap();
        let codec = Codec::new(keyring.keys(Purpose::Store));
        let tree = sled::Config::new().temporary(true).open().unwrap();
        for (place, sealed) in codec.encode(key, 1, &[7; 10_000]).0 {
            tree.insert(place, sealed).unwrap();
        }
        damage(&tree, &codec);
        let view = View::new(tree, codec, &Head::default(), &[]);
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

    /// Many lists, which grow at their ends and lose records anywhere, counted while they do.
    #[test]
    fn a_late_page_is_the_one_that_walking_would_reach() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Keyring::parse(&Secret::new("cG9ydGFscyBwb3J0YWxzIHBvcnRhbHMgcG9ydGFscyE=")).unwrap();
        let rest = Duration::from_secs(3_600);
        let options = Options { minimum_free: 0, ballast: 0, counted: b"bd", rest, ..Options::default() };
        let store = SledStore::open(folder.path(), keyring.keys(Purpose::Store), options).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut seed = 7_u64;
        let mut below = move |bound: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % bound
        };
        let mut there = BTreeSet::new();
        for turn in 0..60_u64 {
            let mut batch = Batch::new();
            for number in 0..100 {
                let (table, owner) = (*b"abcde".get(below(5)).unwrap(), below(3));
                let key = Key::new(table, format!("{owner}-{turn:03}-{number:03}"));
                batch = batch.put(key.clone(), "");
                there.insert(key);
            }
            for _ in 0..below(120) {
                let Some(key) = there.iter().nth(below(there.len().max(1))).cloned() else {
                    break;
                };
                batch = batch.delete(key.clone());
                there.remove(&key);
            }
            runtime.block_on(store.commit(batch)).unwrap();
            // Begun in the midst, and done before the end.
            if turn >= 10 {
                store.view.count_some().unwrap();
            }
            let ranges = [KeyRange::table(b'b'), KeyRange::table(b'd'), KeyRange::table(b'c')].into_iter();
            let ranges = ranges
                .chain((0..3).map(|owner| KeyRange::starting_with(&Key::new(b'b', format!("{owner}")))));
            for range in ranges {
                let within: Vec<_> = there.iter().rev().filter(|key| range.contains(key)).collect();
                let skip = below(within.len() + 20);
                let page = store.scan(&Scan::last(5, range).skip(skip)).unwrap();
                let found: Vec<_> = page.iter().map(|entry| &entry.key).collect();
                assert_eq!(found, within.into_iter().skip(skip).take(5).collect::<Vec<_>>(), "turn {turn}");
            }
        }
        assert_eq!(store.view.count_some(), Ok(true));
        let durable = store.view.read();
        let whole = KeyRange::table(b'd');
        let last = durable.ranks.last_start(&whole).unwrap();
        let (_, left) = durable.ranks.back(&whole, last, usize::MAX);
        let before = there.range(Key::new(b'd', "")..last.clone()).count();
        assert_eq!(usize::MAX - left, before, "records of the blocks before the last");
        assert!(before > 100, "only {before}");
    }

    #[test]
    fn a_read_that_panics_is_damage() {
        let read = guarded(|| -> Result<(), Damage> { panic!("as sled does") });
        assert_eq!(read, Err(StoreError::Damaged { what: "sled panicked".to_owned() }));
    }
}
