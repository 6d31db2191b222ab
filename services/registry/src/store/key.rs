//! Keys, ranges of keys and pages of them.

use bytes::Bytes;
use std::{
    fmt,
    ops::{Bound, RangeBounds},
};

/// A table and a name within it. Keys sort as their bytes do, the table first.
///
/// Keys lie on the disk in the clear: nothing secret belongs into one.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key(Bytes);

impl Key {
    /// The key of `name` in `table`.
    pub fn new(table: u8, name: impl AsRef<[u8]>) -> Self {
        let name = name.as_ref();
        let mut bytes = Vec::with_capacity(1 + name.len());
        bytes.push(table);
        bytes.extend_from_slice(name);
        Self(bytes.into())
    }

    /// The table.
    pub fn table(&self) -> u8 {
        *self.0.first().expect("a key begins with its table")
    }

    /// The name within the table.
    pub fn name(&self) -> &[u8] {
        self.0.get(1..).unwrap_or_default()
    }

    /// Table and name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads what [`Key::as_bytes`] gave; nothing without a table is a key.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self(Bytes::copy_from_slice(bytes)))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.table(), self.name().escape_ascii())
    }
}

/// Neighbouring keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyRange {
    pub(super) from: Bound<Key>,
    pub(super) to: Bound<Key>,
}

impl KeyRange {
    /// All keys of a table.
    pub fn table(table: u8) -> Self {
        Self::starting_with(&Key::new(table, []))
    }

    /// All keys that begin as `prefix` does, itself included.
    pub fn starting_with(prefix: &Key) -> Self {
        Self {
            from: Bound::Included(prefix.clone()),
            to: next(prefix).map_or(Bound::Unbounded, Bound::Excluded),
        }
    }

    /// What of it comes from `key` on.
    #[must_use]
    pub(super) fn from(mut self, key: &Key) -> Self {
        match &self.from {
            Bound::Included(from) | Bound::Excluded(from) if key <= from => {}
            _ => self.from = Bound::Included(key.clone()),
        }
        self
    }

    /// What of it comes after `key`.
    #[must_use]
    pub fn after(mut self, key: &Key) -> Self {
        if let Bound::Included(from) | Bound::Excluded(from) = &self.from
            && key >= from
        {
            self.from = Bound::Excluded(key.clone());
        }
        self
    }

    /// What of it comes before `key`.
    #[must_use]
    pub fn before(mut self, key: &Key) -> Self {
        match &self.to {
            Bound::Included(to) | Bound::Excluded(to) if key >= to => {}
            _ => self.to = Bound::Excluded(key.clone()),
        }
        self
    }

    /// The table that all of it lies in, if it does.
    pub(super) fn table_of(&self) -> Option<u8> {
        let (Bound::Included(from) | Bound::Excluded(from)) = &self.from else { return None };
        let within = match (&self.to, Self::table(from.table()).to) {
            (Bound::Included(to), Bound::Excluded(end)) => *to < end,
            (Bound::Excluded(to), Bound::Excluded(end)) => *to <= end,
            (Bound::Unbounded, end) => end == Bound::Unbounded,
            (Bound::Included(_) | Bound::Excluded(_), Bound::Included(_) | Bound::Unbounded) => true,
        };
        within.then(|| from.table())
    }

    /// Whether `key` lies in it.
    pub fn contains(&self, key: &Key) -> bool {
        (self.from.as_ref(), self.to.as_ref()).contains(key)
    }

    /// Whether no key can lie in it, in a way that sorted maps refuse to be asked for.
    pub(super) fn is_empty(&self) -> bool {
        match (&self.from, &self.to) {
            (Bound::Included(from), Bound::Excluded(to)) | (Bound::Excluded(from), Bound::Excluded(to)) => {
                from >= to
            }
            _ => false,
        }
    }
}

/// The least key that is greater than all that begin as `prefix` does.
fn next(prefix: &Key) -> Option<Key> {
    let mut bytes = prefix.as_bytes().to_vec();
    while let Some(last) = bytes.pop() {
        if let Some(more) = last.checked_add(1) {
            bytes.push(more);
            return Some(Key(bytes.into()));
        }
    }
    None
}

/// Which end of a range comes first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// The least key first.
    Forward,
    /// The greatest key first.
    Backward,
}

/// A page to read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scan {
    /// Where to look.
    pub range: KeyRange,
    /// Where to begin.
    pub direction: Direction,
    /// How many records to pass over first; they are counted and not opened.
    pub skip: usize,
    /// The most records to return.
    pub limit: usize,
}

impl Scan {
    /// The first `limit` records of `range`.
    pub fn first(limit: usize, range: KeyRange) -> Self {
        Self { range, direction: Direction::Forward, skip: 0, limit }
    }

    /// The last `limit` records of `range`, the last one first.
    pub fn last(limit: usize, range: KeyRange) -> Self {
        Self { range, direction: Direction::Backward, skip: 0, limit }
    }

    /// Passes over `records` first.
    #[must_use]
    pub fn skip(mut self, records: usize) -> Self {
        self.skip = records;
        self
    }
}
