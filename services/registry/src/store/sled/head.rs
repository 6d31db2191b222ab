//! The head: what the store as a whole must be, written with every commit and checked when it is opened.
//!
//! Each table is summed up apart, so that some can be verified without reading the others.

use super::record::{Codec, Damage, Extent, HEAD, OLD_HEAD};
use crate::store::Revision;
use std::collections::BTreeMap;

/// The newest revision, and what each table comes to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Head {
    pub(super) revision: Revision,
    tables: BTreeMap<u8, Sum>,
}

/// How many records a table holds, and the sum of their tags.
///
/// The sum does not depend on order, so that it moves with each change and can be computed anew by a scan.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Sum {
    pub(super) records: u64,
    pub(super) tags: u128,
}

/// A head as it was written before tables were summed up apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct OldHead {
    pub(super) revision: Revision,
    counts: BTreeMap<u8, u64>,
    tags: u128,
}

impl Sum {
    fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Adds what another counted of the same table.
    pub(super) fn merge(&mut self, other: Self) {
        self.records = self.records.wrapping_add(other.records);
        self.tags = self.tags.wrapping_add(other.tags);
    }
}

impl Head {
    /// What a table comes to.
    pub(super) fn sum(&self, table: u8) -> Sum {
        self.tables.get(&table).copied().unwrap_or_default()
    }

    /// The sum of a table, to be counted into.
    pub(super) fn sum_mut(&mut self, table: u8) -> &mut Sum {
        self.tables.entry(table).or_default()
    }

    /// How many records all tables hold.
    pub(super) fn records(&self) -> u64 {
        self.tables.values().fold(0, |records: u64, sum| records.wrapping_add(sum.records))
    }

    /// Counts a record in.
    pub(super) fn add(&mut self, table: u8, extent: &Extent) {
        self.revision = self.revision.max(extent.revision);
        self.sum_mut(table).merge(Sum { records: 1, tags: extent.sum });
    }

    /// Counts a record out that was counted in.
    pub(super) fn subtract(&mut self, table: u8, extent: &Extent) {
        let sum = self.sum_mut(table);
        // What is counted of a damaged store may be less than nothing; it must not come out even for that.
        sum.records = sum.records.wrapping_sub(1);
        sum.tags = sum.tags.wrapping_sub(extent.sum);
    }

    /// Adds what another counted of other records.
    pub(super) fn merge(&mut self, other: &Self) {
        self.revision = self.revision.max(other.revision);
        other.tables.iter().for_each(|(table, sum)| self.sum_mut(*table).merge(*sum));
    }

    /// What it says of these tables alone.
    pub(super) fn only(&self, tables: &[u8]) -> Self {
        let tables = tables.iter().map(|table| (*table, self.sum(*table)));
        Self { revision: self.revision, tables: tables.collect() }
    }

    /// Whether `found` is all that this head says there must be.
    pub(super) fn covers(&self, found: &Self) -> bool {
        let mut tables = self.tables.keys().chain(found.tables.keys());
        // A commit may leave no record of its own, so the newest record may be older than the head.
        self.revision >= found.revision && tables.all(|table| self.sum(*table) == found.sum(*table))
    }

    /// The head as it lies in sled.
    pub(super) fn encode(&self, codec: &Codec) -> Vec<u8> {
        let mut plain = Vec::new();
        for (table, sum) in self.tables.iter().filter(|(_, sum)| !sum.is_empty()) {
            plain.push(*table);
            plain.extend_from_slice(&sum.records.to_be_bytes());
            plain.extend_from_slice(&sum.tags.to_be_bytes());
        }
        codec.seal(HEAD, self.revision, &plain)
    }

    /// Reads what [`Head::encode`] made.
    pub(super) fn decode(codec: &Codec, stored: &[u8]) -> Result<Self, Damage> {
        let (revision, plain) = open(codec, HEAD, stored)?;
        let mut rest = &*plain;
        let mut tables = BTreeMap::new();
        while let Some((table, further)) = rest.split_first() {
            let (records, further) = further.split_first_chunk().ok_or_else(unreadable)?;
            let (tags, further) = further.split_first_chunk().ok_or_else(unreadable)?;
            let sum = Sum { records: u64::from_be_bytes(*records), tags: u128::from_be_bytes(*tags) };
            tables.insert(*table, sum);
            rest = further;
        }
        Ok(Self { revision, tables })
    }
}

impl OldHead {
    pub(super) fn decode(codec: &Codec, stored: &[u8]) -> Result<Self, Damage> {
        let (revision, plain) = open(codec, OLD_HEAD, stored)?;
        let (tags, mut rest) = plain.split_first_chunk().ok_or_else(unreadable)?;
        let mut counts = BTreeMap::new();
        while let Some((table, further)) = rest.split_first() {
            let (count, further) = further.split_first_chunk().ok_or_else(unreadable)?;
            counts.insert(*table, u64::from_be_bytes(*count));
            rest = further;
        }
        Ok(Self { revision, counts, tags: u128::from_be_bytes(*tags) })
    }

    /// How many records all tables hold.
    pub(super) fn records(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The head of today, if what was `found` is all that this one says there must be.
    pub(super) fn renewed(&self, found: Head) -> Option<Head> {
        let counts = found.tables.iter().map(|(table, sum)| (*table, sum.records));
        let tags = found.tables.values().fold(0, |tags: u128, sum| tags.wrapping_add(sum.tags));
        let whole = self.revision >= found.revision && tags == self.tags && counts.eq(self.counts.clone());
        whole.then_some(Head { revision: self.revision, ..found })
    }
}

fn open(codec: &Codec, place: &[u8], stored: &[u8]) -> Result<(Revision, bytes::Bytes), Damage> {
    codec
        .open(place, stored)
        .map_err(|_| Damage("the head record is damaged or was sealed with another secret key".to_owned()))
}

fn unreadable() -> Damage {
    Damage("the head record cannot be read".to_owned())
}
