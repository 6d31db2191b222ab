//! The committer: the only thread that writes, for all who commit at once.
//!
//! It takes all batches that wait, applies them, makes them durable with one sync and only then answers. It
//! is crash-only: after a storage error nobody knows what is on the disk, so nothing is tried again.

use super::{
    anchor::{Anchor, Anchored},
    head::Head,
    record::{Damage, Extent, HEAD, part_key, record_key},
    scrub::Scrub,
    view::{Before, View},
    volume::Volume,
    watchdog::{self, Watched},
};
use crate::store::{Batch, CommitError, Key, Revision, history::Change};
use std::{
    collections::HashMap,
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    time::Duration,
};
use tokio::sync::oneshot;

/// The most batches, and about the most bytes, that become durable together.
const GROUP: usize = 512;
const GROUP_BYTES: usize = 8 << 20;

/// How long nothing must have come for the anchor to catch up.
const IDLE: Duration = Duration::from_secs(1);

/// A batch on its way, and who waits for it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) batch: Batch,
    pub(super) reply: oneshot::Sender<Verdict>,
}

type Verdict = Result<Revision, CommitError>;

/// Why the store can no longer be used.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It cannot write. What was not acknowledged may or may not be durable.
    #[error("the store failed {doing}")]
    Write {
        /// During what.
        doing: &'static str,
        /// What failed.
        source: Box<dyn Error + Send + Sync>,
    },
    /// What lies there is not what was written, which was found while it was used: restore a backup.
    #[error("the store in {} is damaged: {what}", path.display())]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What is damaged, and how that shows.
        what: String,
    },
}

/// What to do after a failure.
pub(super) type OnFailure = dyn Fn(Failure) + Send + Sync;

/// Owns all writing.
pub(super) struct Committer {
    pub(super) view: Arc<View>,
    pub(super) volume: Arc<Volume>,
    pub(super) anchor: Anchor,
    pub(super) head: Head,
    pub(super) minimum_free: u64,
    pub(super) watched: Arc<Watched>,
    pub(super) scrub: Option<Arc<Scrub>>,
    pub(super) on_failure: Arc<OnFailure>,
    /// Lets the watchdog go when the committer does.
    pub(super) _guarded: SyncSender<()>,
}

/// Batches that become durable together.
struct Group {
    writes: sled::Batch,
    head: Head,
    before: Before,
    extents: HashMap<Key, Extents>,
    changes: Vec<Change>,
}

/// Where a record lies before a group and after it, if it is there.
#[derive(Clone, Copy)]
struct Extents {
    before: Option<Extent>,
    after: Option<Extent>,
}

impl Committer {
    /// Commits what comes through `queue` until it is closed, or storage fails.
    pub(super) fn run(mut self, queue: &Receiver<Request>) {
        let worked = catch_unwind(AssertUnwindSafe(|| self.work(queue)));
        let panicked = || failed("in sled")("it panicked");
        if let Err(failure) = worked.unwrap_or_else(|_| Err(panicked())) {
            (self.on_failure)(failure);
        }
    }

    fn work(&mut self, queue: &Receiver<Request>) -> Result<(), Failure> {
        loop {
            match queue.recv_timeout(IDLE) {
                Ok(first) => self.commit(gather(first, queue))?,
                Err(RecvTimeoutError::Timeout) => self.settle()?,
                Err(RecvTimeoutError::Disconnected) => return self.settle(),
            }
        }
    }

    /// Lets the anchor catch up.
    fn settle(&mut self) -> Result<(), Failure> {
        if self.write_anchor()? {
            self.volume.sync().map_err(failed("syncing the volume"))?;
        }
        Ok(())
    }

    fn write_anchor(&mut self) -> Result<bool, Failure> {
        let log_bytes = self.volume.log_bytes().map_err(failed("measuring the log"))?;
        let anchored = Anchored { revision: self.head.revision, log_bytes };
        self.anchor.write(self.view.codec(), anchored).map_err(failed("writing the anchor"))
    }

    fn commit(&mut self, requests: Vec<Request>) -> Result<(), Failure> {
        let room = self.volume.free().map_err(failed("measuring the volume"))? >= self.minimum_free;
        let mut group = Group::after(&self.head);
        let mut replies = Vec::with_capacity(requests.len());
        for Request { batch, reply } in requests {
            let verdict = if room {
                group.stage(&self.view, &batch).map_err(failed("reading what is to be replaced"))?
            } else {
                Err(CommitError::Full)
            };
            replies.push((reply, verdict));
        }
        if !group.changes.is_empty() {
            self.persist(group)?;
        }
        for (reply, verdict) in replies {
            // Whoever went away does not want to know.
            let _ = reply.send(verdict);
        }
        Ok(())
    }

    /// Makes the group durable, then visible.
    fn persist(&mut self, mut group: Group) -> Result<(), Failure> {
        group.writes.insert(HEAD, group.head.encode(self.view.codec()));
        self.view.hide(group.before);
        let tree = self.view.tree();
        let (extents, writes) = (group.extents, group.writes);
        let changes = extents.iter().map(|(key, extents)| (key, extents.before, extents.after));
        self.watched.during(|| {
            let apply = || tree.apply_batch(writes);
            let applied = match &self.scrub {
                Some(scrub) => scrub.during(&group.head, changes, apply),
                None => apply(),
            };
            applied.map_err(failed("applying a batch"))?;
            tree.flush().map_err(failed("flushing the log"))
        })?;
        // The head is still that of the group before, which is durable.
        self.write_anchor()?;
        self.volume.sync().map_err(failed("syncing the volume"))?;
        if self.volume.has_blobs().map_err(failed("looking for blobs"))? {
            return Err(failed("keeping its pages small")("sled has written to `blobs`"));
        }
        self.head = group.head;
        let changes =
            extents.iter().map(|(key, extents)| (key, extents.before.is_some(), extents.after.is_some()));
        self.view.show(&self.head, changes).map_err(failed("counting records"))?;
        self.view.history().publish(group.changes);
        Ok(())
    }
}

/// All that waits, within the bounds of a group.
fn gather(first: Request, queue: &Receiver<Request>) -> Vec<Request> {
    let mut bytes = first.batch.bytes();
    let mut requests = vec![first];
    while requests.len() < GROUP && bytes < GROUP_BYTES {
        let Ok(request) = queue.try_recv() else { break };
        bytes += request.batch.bytes();
        requests.push(request);
    }
    requests
}

impl Group {
    fn after(head: &Head) -> Self {
        Self {
            writes: sled::Batch::default(),
            head: head.clone(),
            before: Before::new(),
            extents: HashMap::new(),
            changes: Vec::new(),
        }
    }

    /// Adds a batch if its conditions hold after those before it.
    fn stage(&mut self, view: &View, batch: &Batch) -> Result<Verdict, Damage> {
        for condition in batch.conditions() {
            let found = self.extent(view, condition.key())?.map(|extent| extent.revision);
            if !condition.holds(found) {
                return Ok(Err(CommitError::Conflict { key: condition.key().clone() }));
            }
        }
        let revision = self.head.revision + 1;
        for (key, value) in batch.changes() {
            if let Some(replaced) = self.extent(view, key)? {
                self.remove(key, &replaced);
            }
            let extent = value.as_ref().map(|value| {
                let (stored, extent) = view.codec().encode(key, revision, value);
                stored.into_iter().for_each(|(place, sealed)| self.writes.insert(place, sealed));
                self.head.add(key.table(), &extent);
                extent
            });
            if let Some(extents) = self.extents.get_mut(key) {
                extents.after = extent;
            }
        }
        self.head.revision = revision;
        self.changes.push(Change { revision, keys: batch.changes().keys().cloned().collect() });
        Ok(Ok(revision))
    }

    fn remove(&mut self, key: &Key, extent: &Extent) {
        self.head.subtract(key.table(), extent);
        self.writes.remove(record_key(key));
        for number in 0..extent.parts {
            self.writes.remove(part_key(key, extent.revision, number));
        }
    }

    /// Where the record under `key` lies after all batches so far.
    fn extent(&mut self, view: &View, key: &Key) -> Result<Option<Extent>, Damage> {
        if let Some(extents) = self.extents.get(key) {
            return Ok(extents.after);
        }
        let (entry, extent) = view.load(key)?.map(|record| (record.entry, record.extent)).unzip();
        self.before.insert(key.clone(), entry);
        self.extents.insert(key.clone(), Extents { before: extent, after: extent });
        Ok(extent)
    }
}

/// Says during what something failed.
fn failed<Source: Into<Box<dyn Error + Send + Sync>>>(doing: &'static str) -> impl FnOnce(Source) -> Failure {
    move |source| Failure::Write { doing, source: source.into() }
}

/// Fails if sled takes too long over a group, until `guarded` is dropped.
pub(super) fn guard(watched: &Watched, guarded: &Receiver<()>, on_failure: &OnFailure) {
    if watched.is_late(watchdog::LIMIT, guarded) {
        on_failure(failed("in sled")("it does not come back"));
    }
}

/// Logs the failure and ends the process: a fresh start reads what is really on the disk.
pub(super) fn end_process(failure: Failure) {
    match &failure {
        Failure::Write { source, .. } => {
            let cause = source.as_ref();
            tracing::error!(error = %failure, cause, "the store can no longer write");
        }
        Failure::Damaged { .. } => tracing::error!(error = %failure, "the store is damaged"),
    }
    std::process::exit(EXIT_STORAGE);
}

/// What the process ends with when its storage fails.
const EXIT_STORAGE: i32 = 78;
