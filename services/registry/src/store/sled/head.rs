//! The head: what the store as a whole must be, written with every commit and checked when it is opened.

use super::record::{Codec, Damage, Extent, HEAD};
use crate::store::Revision;
use std::collections::BTreeMap;

/// The newest revision, how many records each table holds, and the sum of all tags.
///
/// The sum does not depend on order, so that it moves with each change and can be computed anew by a scan.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Head {
    pub(super) revision: Revision,
    pub(super) counts: BTreeMap<u8, u64>,
    pub(super) sum: u128,
}

impl Head {
    /// Counts a record in.
    pub(super) fn add(&mut self, table: u8, extent: &Extent) {
        *self.counts.entry(table).or_default() += 1;
        self.sum = self.sum.wrapping_add(extent.sum);
    }

    /// Counts a record out that was counted in.
    pub(super) fn subtract(&mut self, table: u8, extent: &Extent) {
        if let Some(count) = self.counts.get_mut(&table) {
            *count = count.saturating_sub(1);
        }
        self.counts.retain(|_, count| *count > 0);
        self.sum = self.sum.wrapping_sub(extent.sum);
    }

    /// The head as it lies in sled.
    pub(super) fn encode(&self, codec: &Codec) -> Vec<u8> {
        let mut plain = self.sum.to_be_bytes().to_vec();
        for (table, count) in &self.counts {
            plain.push(*table);
            plain.extend_from_slice(&count.to_be_bytes());
        }
        codec.seal(HEAD, self.revision, &plain)
    }

    /// Reads what [`Head::encode`] made.
    pub(super) fn decode(codec: &Codec, stored: &[u8]) -> Result<Self, Damage> {
        let damaged = || Damage("the head record cannot be read".to_owned());
        let (revision, plain) = codec.open(HEAD, stored).map_err(|_| {
            Damage("the head record is damaged or was sealed with another secret key".to_owned())
        })?;
        let (sum, mut rest) = plain.split_first_chunk().ok_or_else(damaged)?;
        let mut counts = BTreeMap::new();
        while let Some((entry, further)) = rest.split_first_chunk::<9>() {
            let (table, count) = entry.split_first().ok_or_else(damaged)?;
            let count = count.first_chunk().ok_or_else(damaged)?;
            counts.insert(*table, u64::from_be_bytes(*count));
            rest = further;
        }
        if !rest.is_empty() {
            return Err(damaged());
        }
        Ok(Self { revision, counts, sum: u128::from_be_bytes(*sum) })
    }
}
