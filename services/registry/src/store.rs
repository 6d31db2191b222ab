//! The store: all the state there is, as keys and values under one growing revision.
//!
//! What is written here once is promised to whoever builds on it: an acknowledged commit is durable, a
//! commit happens wholly or not at all, and reads see durable state only. The store does not know what its
//! values mean, nor who may see them.

mod batch;
mod history;
mod key;
mod sled;

pub use self::batch::{Batch, Condition};
pub use self::history::{Change, Lagged, Watch};
pub use self::key::{Direction, Key, KeyRange, Scan};
pub use self::sled::{Failure, OpenError, Options, SledStore};

use bytes::Bytes;
use futures_util::future::BoxFuture;

/// The number of a commit: one more with each, the first is 1.
pub type Revision = u64;

/// The longest key, in bytes.
pub const KEY_BYTES: usize = 256;

/// The most that one batch may weigh, in bytes of keys and values.
pub const BATCH_BYTES: usize = 8 << 20;

/// A record as it was last written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// What it lies under.
    pub key: Key,
    /// What was put there.
    pub value: Bytes,
    /// The commit that wrote it.
    pub revision: Revision,
}

/// Keys and values that survive a power cut.
///
/// Reads are short and block for at most a page from the disk. One read sees one revision; two reads may see two.
pub trait Store: Send + Sync + 'static {
    /// The record under `key`, if there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when what lies there cannot be read for what it was.
    fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError>;

    /// One page of a range, in the order of its keys; all of the page as of one revision.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when a record of the page cannot be read for what it was.
    fn scan(&self, scan: &Scan) -> Result<Vec<Entry>, StoreError>;

    /// How many records a table holds.
    fn count(&self, table: u8) -> u64;

    /// Commits `batch` if all of its conditions hold, and resolves when it is durable.
    ///
    /// Dropping the future does not take the batch back.
    ///
    /// # Errors
    ///
    /// See [`CommitError`]; but for [`CommitError::Unavailable`] nothing has changed.
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<Revision, CommitError>>;

    /// The newest durable commit.
    fn revision(&self) -> Revision;

    /// How many records have yet to be verified since the store was opened: of each it is known that it is what was
    /// written once it is read, and that none is missing or older only when this is zero.
    fn unverified(&self) -> u64;

    /// Every durable commit after `after`, in order.
    fn watch(&self, after: Revision) -> Watch;
}

/// Why something could not be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// What lies on the disk is not what was written.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// What is damaged, and how that shows.
        what: String,
    },
}

/// Why a batch was not acknowledged.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CommitError {
    /// A condition did not hold.
    #[error("the record under {key:?} is not as the batch requires")]
    Conflict {
        /// The key of the first such condition.
        key: Key,
    },
    /// A key is longer than [`KEY_BYTES`] or the batch heavier than [`BATCH_BYTES`].
    #[error("the batch is larger than the store takes")]
    TooLarge,
    /// The volume has less room than the store leaves free; reads go on.
    #[error("the volume is too full to write")]
    Full,
    /// More batches wait than the store queues.
    #[error("too many batches wait")]
    Busy,
    /// The store has stopped writing, or is late; whether the batch took effect is not known.
    #[error("the store does not answer")]
    Unavailable,
}
