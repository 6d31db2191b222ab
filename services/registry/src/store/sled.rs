//! The store on sled 0.34.7, embedded: the one place that names it.
//!
//! sled's own `flush` does not reach the disk, so one committer does what it takes (see `committer`); sled
//! does not notice all damage, so every record is sealed and their sum is kept (see `record` and `head`), which is
//! verified before a small store is used, and while a large one is (see `open`).
//! Reads look through what is being committed at what is durable.

mod anchor;
mod background;
mod committer;
mod head;
mod log;
mod open;
mod ranks;
mod record;
mod scrub;
mod verify;
mod view;
mod volume;
mod watchdog;

pub use self::committer::Failure;
pub use self::open::{OpenError, Options};

use self::{background::Background, committer::Request, scrub::Scrub, view::View, volume::Volume};
use super::{
    BATCH_BYTES, Batch, CommitError, Entry, KEY_BYTES, Key, Revision, Scan, Store, StoreError, Watch,
};
use futures_util::future::{BoxFuture, FutureExt};
use std::{
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::oneshot;

/// How many batches may wait to be committed.
const QUEUE: usize = 1_024;

/// How long a caller waits for a commit.
const DEADLINE: Duration = Duration::from_secs(10);

/// The store in a folder of this machine. Dropping it waits until all that was queued is durable.
#[derive(Debug)]
pub struct SledStore {
    // The order matters: the volume's lock goes last.
    queue: Option<SyncSender<Request>>,
    committer: Option<JoinHandle<()>>,
    _background: Background,
    scrub: Option<Arc<Scrub>>,
    view: Arc<View>,
    volume: Arc<Volume>,
}

impl SledStore {
    /// How often it has made the volume durable since it was opened.
    pub fn syncs(&self) -> u64 {
        self.volume.syncs()
    }
}

impl Store for SledStore {
    fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.view.get(key)
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Entry>, StoreError> {
        self.view.scan(scan)
    }

    fn count(&self, table: u8) -> u64 {
        self.view.count(table)
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<Revision, CommitError>> {
        if batch.bytes() > BATCH_BYTES || batch.longest_key() > KEY_BYTES {
            return std::future::ready(Err(CommitError::TooLarge)).boxed();
        }
        let (reply, verdict) = oneshot::channel();
        let queue = self.queue.as_ref().expect("only dropping the store takes its queue");
        match queue.try_send(Request { batch, reply }) {
            Ok(()) => async move {
                let verdict = tokio::time::timeout(DEADLINE, verdict).await;
                verdict.ok().and_then(Result::ok).unwrap_or(Err(CommitError::Unavailable))
            }
            .boxed(),
            Err(TrySendError::Full(_)) => std::future::ready(Err(CommitError::Busy)).boxed(),
            Err(TrySendError::Disconnected(_)) => std::future::ready(Err(CommitError::Unavailable)).boxed(),
        }
    }

    fn revision(&self) -> Revision {
        self.view.revision()
    }

    fn unverified(&self) -> u64 {
        self.scrub.as_ref().map_or(0, |scrub| scrub.left())
    }

    fn watch(&self, after: Revision) -> Watch {
        self.view.history().watch(after)
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(committer) = self.committer.take() {
            // A committer that panicked has already told so.
            let _ = committer.join();
        }
    }
}
