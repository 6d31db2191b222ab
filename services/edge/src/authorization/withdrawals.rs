//! What was withdrawn of late, for answers that were on their way meanwhile.

use super::{Scope, Subjects};
use std::collections::VecDeque;

/// Withdrawals that are remembered; an answer that is older than all of them is asked for again.
const REMEMBERED: usize = 1_024;

/// The last withdrawals and the revision before which nothing counts.
#[derive(Debug, Default)]
pub(super) struct Withdrawals {
    recent: VecDeque<(u64, Scope)>,
    /// Answers that were read before this revision are outdated, whatever they concern.
    floor: u64,
    /// The highest revision heard of.
    highest: u64,
    /// One more each time the registry's store turns out to be another.
    generation: u64,
}

impl Withdrawals {
    pub(super) fn note(&mut self, revision: u64, scope: Scope) {
        self.highest = self.highest.max(revision);
        if scope == Scope::Everything {
            self.floor = self.floor.max(revision);
        }
        if self.recent.len() == REMEMBERED
            && let Some((forgotten, _)) = self.recent.pop_front()
        {
            self.floor = self.floor.max(forgotten);
        }
        self.recent.push_back((revision, scope));
    }

    /// Notes that everything from before `revision` must be asked for anew.
    ///
    /// Returns true when the store has gone back behind what was heard already: it is another one.
    pub(super) fn note_all(&mut self, revision: u64) -> bool {
        let another = revision < self.highest;
        if another {
            *self = Self { generation: self.generation.wrapping_add(1), ..Self::default() };
        }
        self.floor = self.floor.max(revision);
        self.highest = self.highest.max(revision);
        let floor = self.floor;
        self.recent.retain(|(revision, _)| *revision > floor);
        another
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether an answer that was asked for in `generation` and read at `revision` still holds.
    pub(super) fn admit(&self, generation: u64, revision: u64, subjects: &Subjects) -> bool {
        let outdated = |(withdrawn, scope): &(u64, Scope)| revision < *withdrawn && scope.covers(subjects);
        generation == self.generation && revision >= self.floor && !self.recent.iter().any(outdated)
    }
}
