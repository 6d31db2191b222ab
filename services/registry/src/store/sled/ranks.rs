//! Ranks: how many records lie between some keys, so that a late page of a list is found without walking to it.
//!
//! The records of each counted table are divided into blocks of neighbours, and for each block its first key and its
//! length are kept in memory: about a sixty-fourth of the keys. They follow the durable state. It does not read the
//! store: who counts tells it what there is (see `View::count_some`), and until a table is counted its pages are
//! walked to.

use crate::store::{Key, KeyRange};
use std::{collections::BTreeMap, ops::Bound};

/// How many records a block begins with; one of twice as many is divided.
pub(super) const BLOCK: usize = 64;

/// Blocks of counted tables.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    /// How many records there are from a key up to that of the next block of its table.
    blocks: BTreeMap<Key, usize>,
    done: Vec<u8>,
    /// The tables that are not counted as a whole; of the last one, what lies up to `passed`.
    left: Vec<u8>,
    passed: Option<Key>,
}

impl Ranks {
    /// Nothing of these tables has been counted yet.
    pub(super) fn of(tables: &[u8]) -> Self {
        Self { left: tables.to_vec(), ..Self::default() }
    }

    /// What is to be counted next; nothing when all is.
    pub(super) fn next(&self) -> Option<KeyRange> {
        let table = KeyRange::table(*self.left.last()?);
        Some(self.passed.iter().fold(table, KeyRange::after))
    }

    /// Takes the next block: up to [`BLOCK`] keys, of which there are fewer only at the end of the table.
    pub(super) fn count(&mut self, keys: &[Key]) {
        if let Some(first) = keys.first() {
            self.blocks.insert(first.clone(), keys.len());
        }
        self.passed = keys.last().cloned();
        if keys.len() < BLOCK {
            self.done.extend(self.left.pop());
            self.passed = None;
        }
    }

    fn has_counted(&self, key: &Key) -> bool {
        let passed = || self.left.last() == Some(&key.table()) && self.passed.as_ref() >= Some(key);
        self.done.contains(&key.table()) || passed()
    }

    /// Counts a record in; where its block begins, if that has become too long.
    pub(super) fn insert(&mut self, key: &Key) -> Option<Key> {
        if !self.has_counted(key) {
            return None;
        }
        let Some((start, length)) = self.block_mut(key) else {
            self.blocks.insert(key.clone(), 1);
            return None;
        };
        *length += 1;
        (*length >= 2 * BLOCK).then(|| start.clone())
    }

    /// Counts a record out.
    pub(super) fn remove(&mut self, key: &Key) {
        if !self.has_counted(key) {
            return;
        }
        if let Some((start, length)) = self.block_mut(key) {
            *length = length.saturating_sub(1);
            if *length == 0 {
                let start = start.clone();
                self.blocks.remove(&start);
            }
        }
    }

    /// Divides the block that begins with `start` and has these keys.
    pub(super) fn divide(&mut self, start: &Key, keys: &[Key]) {
        self.blocks.remove(start);
        for block in keys.chunks(BLOCK) {
            self.blocks.extend(block.first().map(|first| (first.clone(), block.len())));
        }
    }

    /// The block that `key` lies in or would.
    fn block_mut(&mut self, key: &Key) -> Option<(&Key, &mut usize)> {
        let (start, length) = self.blocks.range_mut(..=key).next_back()?;
        (start.table() == key.table()).then_some((start, length))
    }

    /// The keys of the block that begins with `start`.
    pub(super) fn range(&self, start: &Key) -> KeyRange {
        let table = KeyRange::table(start.table()).from(start);
        let next = self.blocks.range((Bound::Excluded(start), Bound::Unbounded)).next();
        next.into_iter().fold(table, |range, (next, _)| range.before(next))
    }

    /// Where the last block begins of those that begin in `range`; nothing where not all of it is counted.
    pub(super) fn last_start(&self, range: &KeyRange) -> Option<&Key> {
        self.done.contains(&range.table_of()?).then_some(())?;
        let (start, _) = self.blocks.range((range.from.clone(), range.to.clone())).next_back()?;
        Some(start)
    }

    /// Goes back from `start`, where a block of `range` begins, over all blocks that lie in the range as a whole and
    /// have no more than `skip` records together: where the last of them begins, and what is left of `skip`.
    pub(super) fn back(&self, range: &KeyRange, start: &Key, mut skip: usize) -> (Key, usize) {
        let mut reached = start;
        for (start, length) in self.blocks.range((range.from.clone(), Bound::Excluded(start.clone()))).rev() {
            match skip.checked_sub(*length) {
                Some(rest) => (reached, skip) = (start, rest),
                None => break,
            }
        }
        (reached.clone(), skip)
    }
}
