//! What one commit changes, and under which conditions.

use super::{Key, Revision};
use bytes::Bytes;
use std::collections::BTreeMap;

/// What must hold for a batch to be committed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Condition {
    /// Nothing lies under the key.
    Absent(Key),
    /// Something lies under the key.
    Present(Key),
    /// What lies under the key was last written by this commit.
    Revision(Key, Revision),
}

impl Condition {
    /// The key that it is about.
    pub fn key(&self) -> &Key {
        match self {
            Self::Absent(key) | Self::Present(key) | Self::Revision(key, _) => key,
        }
    }

    /// Whether it holds where the key was last written by `found`.
    pub fn holds(&self, found: Option<Revision>) -> bool {
        match self {
            Self::Absent(_) => found.is_none(),
            Self::Present(_) => found.is_some(),
            Self::Revision(_, expected) => found == Some(*expected),
        }
    }
}

/// Changes that happen together, or not at all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Batch {
    conditions: Vec<Condition>,
    changes: BTreeMap<Key, Option<Bytes>>,
}

impl Batch {
    /// An empty batch: it changes nothing, under no condition.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition. Conditions are about the state before the batch.
    #[must_use]
    pub fn require(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Writes `value` under `key`; of several changes to one key the last counts.
    #[must_use]
    pub fn put(mut self, key: Key, value: impl Into<Bytes>) -> Self {
        self.changes.insert(key, Some(value.into()));
        self
    }

    /// Deletes what lies under `key`, if anything does.
    #[must_use]
    pub fn delete(mut self, key: Key) -> Self {
        self.changes.insert(key, None);
        self
    }

    /// The conditions, in the order in which they were added.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// The changes by key; without a value it is a deletion.
    pub fn changes(&self) -> &BTreeMap<Key, Option<Bytes>> {
        &self.changes
    }

    /// What its keys and values weigh, in bytes.
    pub fn bytes(&self) -> usize {
        let changed = self.changes.iter().map(|(key, value)| (key, value.as_ref().map_or(0, Bytes::len)));
        let required = self.conditions.iter().map(|condition| (condition.key(), 0));
        changed.chain(required).map(|(key, value)| key.as_bytes().len() + value).sum()
    }

    /// The longest of its keys, in bytes.
    pub(super) fn longest_key(&self) -> usize {
        let required = self.conditions.iter().map(Condition::key);
        self.changes.keys().chain(required).map(|key| key.as_bytes().len()).max().unwrap_or(0)
    }
}
