//! The last commits, for those who follow them; it does not know where commits come from.

use super::{Key, Revision};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// How many commits are remembered at most, and how many of their keys.
const COMMITS: usize = 8_192;
const KEYS: usize = 65_536;

/// A durable commit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// Its number.
    pub revision: Revision,
    /// What it put or deleted, sorted.
    pub keys: Arc<[Key]>,
}

/// The commits to follow are no longer remembered, or have not happened: what is wanted must be read anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the commits after revision {after} are not remembered")]
pub struct Lagged {
    /// The last commit that was seen.
    pub after: Revision,
}

/// The last commits, shared by the store and its watches.
#[derive(Debug)]
pub(super) struct History {
    past: Mutex<Past>,
    newest: watch::Sender<Revision>,
}

/// The commits after `before`, without a gap.
#[derive(Debug)]
struct Past {
    before: Revision,
    changes: VecDeque<Change>,
    keys: usize,
}

/// Follows durable commits in order, leaving none out.
#[derive(Debug)]
pub struct Watch {
    after: Revision,
    history: Arc<History>,
    newest: watch::Receiver<Revision>,
}

impl History {
    /// A history that begins after `revision`.
    pub(super) fn after(revision: Revision) -> Self {
        let past = Past { before: revision, changes: VecDeque::new(), keys: 0 };
        Self { past: Mutex::new(past), newest: watch::Sender::new(revision) }
    }

    /// Adds commits, in order, that are durable and can be read.
    pub(super) fn publish(&self, changes: impl IntoIterator<Item = Change>) {
        let mut past = self.lock();
        for change in changes {
            past.keys += change.keys.len();
            past.changes.push_back(change);
        }
        while past.changes.len() > COMMITS || past.keys > KEYS {
            let Some(forgotten) = past.changes.pop_front() else { break };
            past.keys -= forgotten.keys.len();
            past.before = forgotten.revision;
        }
        let newest = past.newest();
        drop(past);
        self.newest.send_replace(newest);
    }

    /// Follows what comes after `after`.
    pub(super) fn watch(self: &Arc<Self>, after: Revision) -> Watch {
        Watch { after, history: Arc::clone(self), newest: self.newest.subscribe() }
    }

    fn lock(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Past {
    fn newest(&self) -> Revision {
        self.changes.back().map_or(self.before, |change| change.revision)
    }

    /// The commit that follows `after`, if it has happened.
    fn next(&self, after: Revision) -> Result<Option<Change>, Lagged> {
        if after < self.before || after > self.newest() {
            return Err(Lagged { after });
        }
        let index = usize::try_from(after - self.before).unwrap_or(usize::MAX);
        Ok(self.changes.get(index).cloned())
    }
}

impl Watch {
    /// Waits for the next commit. It may be dropped and called again: no commit is lost by that.
    ///
    /// # Errors
    ///
    /// [`Lagged`] when the next commit is not remembered; it stays so.
    pub async fn next(&mut self) -> Result<Change, Lagged> {
        loop {
            self.newest.mark_unchanged();
            if let Some(change) = self.history.lock().next(self.after)? {
                self.after = change.revision;
                return Ok(change);
            }
            // The history holds the sender, and this watch the history.
            self.newest.changed().await.expect("the sender lives as long as the watch");
        }
    }
}
