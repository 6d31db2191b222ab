//! Opening the store: alone, whole, and no older than it was, or not at all.
//!
//! A large store is not read as a whole before it is served. Where sled's log is sound, the head, the anchor and the
//! tables that must not wait are verified first, and the rest while the store is used (see `log` and `scrub`).

use super::{
    QUEUE, SledStore,
    anchor::{Anchor, Anchored},
    background::{self, Background},
    committer::{self, Committer, Failure, OnFailure},
    head::Head,
    log,
    record::{Codec, Damage, HEAD, OLD_HEAD},
    scrub::Scrub,
    verify,
    view::{self, View},
    volume::Volume,
    watchdog::Watched,
};
use crate::store::StoreError;
use model::key::PurposeKeys;
use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

/// sled's cache, in bytes: with it, reading a million records peaks at 180 MiB instead of 880.
const CACHE_BYTES: u64 = 64 << 20;

/// How long the threads of a closed store may take to leave.
const LEAVING: Duration = Duration::from_secs(10);

/// How the store behaves where the disk has its limits.
pub struct Options {
    /// Below so many free bytes of the volume, batches are refused.
    pub minimum_free: u64,
    /// The size in bytes of a file that is kept for a full volume, on which sled could not be opened: where
    /// there is less room than `minimum_free` it makes way.
    pub ballast: u64,
    /// How long sled's log must be, in bytes, for its records to be verified while the store is used.
    pub scrub_from: u64,
    /// How long what is done in the background rests after each 5 ms.
    pub rest: Duration,
    /// The tables of lists, whose records are counted so that late pages are found; the counts are kept in memory.
    pub counted: &'static [u8],
    /// The tables of which every record is verified before the store is used, however large it is.
    pub verified_first: &'static [u8],
    /// Called when storage has failed or damage was found: the process must end.
    pub on_failure: Box<dyn Fn(Failure) + Send + Sync>,
}

impl Default for Options {
    /// Leaves 256 MiB free, and keeps 64 MiB of them; verifies all of a log of up to 64 MiB before it is used, and
    /// the rest of a longer one with a fifth of one processor; logs a failure and ends the process with exit code 78.
    fn default() -> Self {
        Self {
            minimum_free: 256 << 20,
            ballast: 64 << 20,
            scrub_from: 64 << 20,
            rest: background::REST,
            counted: &[],
            verified_first: &[],
            on_failure: Box::new(committer::end_process),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("minimum_free", &self.minimum_free)
            .field("ballast", &self.ballast)
            .field("scrub_from", &self.scrub_from)
            .field("rest", &self.rest)
            .field("counted", &self.counted)
            .field("verified_first", &self.verified_first)
            .finish_non_exhaustive()
    }
}

/// Why the store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another store of this one, has it open.
    #[error("the store in {} is in use by another process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// What lies there is not what was written: restore a backup.
    #[error("the store in {} is damaged: {what}", path.display())]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What is damaged, and how that shows.
        what: String,
    },
    /// The disk does not do what is asked of it.
    #[error("opening the store in {}", path.display())]
    Storage {
        /// The folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// [`OpenError`] without the folder.
#[derive(Debug)]
pub(super) enum Refusal {
    Damaged(String),
    Storage(io::Error),
}

impl From<Damage> for Refusal {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage.to_string())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Storage(error)
    }
}

impl SledStore {
    /// Opens the store in the folder `path`, and makes an empty one where there is none.
    ///
    /// Reads every record of a store that is not large; this blocks.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]. What is damaged is left as it lies, as far as sled does.
    pub fn open(path: &Path, keys: PurposeKeys, options: Options) -> Result<Self, OpenError> {
        let storage = |source| OpenError::Storage { path: path.to_owned(), source };
        let in_use = || OpenError::InUse { path: path.to_owned() };
        let volume = Volume::open(path).map_err(storage)?.ok_or_else(in_use)?;
        start(path, volume, Codec::new(keys), options).map_err(|refusal| match refusal {
            Refusal::Damaged(what) => OpenError::Damaged { path: path.to_owned(), what },
            Refusal::Storage(source) => storage(source),
        })
    }
}

fn start(path: &Path, volume: Volume, codec: Codec, options: Options) -> Result<SledStore, Refusal> {
    let mut anchor = Anchor::open(&volume.anchor())?;
    let anchored = anchor.read(&codec)??;
    if anchored.is_some() && !volume.database().exists() {
        return Err(Refusal::Damaged("the folder `db` is missing".to_owned()));
    }
    volume.trim(options.minimum_free, options.ballast)?;
    volume.remove_unfinished_snapshots()?;
    let may_scrub = is_sound(&volume, anchored, options.scrub_from)?;
    let tree = open_sled(&volume)?;
    let (found, scrubbed) = verify(&codec, &tree, may_scrub.then_some(options.verified_first))?;
    let head = judge(found, anchored)?;
    settle(&volume, &codec, &tree, &head, &mut anchor)?;

    let view = Arc::new(View::new(tree, codec, &head, options.counted));
    let volume = Arc::new(volume);
    let (queue, requests) = mpsc::sync_channel(QUEUE);
    let (guarding, guarded) = mpsc::sync_channel(0);
    let on_failure: Arc<OnFailure> = Arc::from(options.on_failure);
    let watched = Arc::new(Watched::new());
    let scrub = scrubbed.then(|| Arc::new(Scrub::new(&head)));
    let committer = Committer {
        view: Arc::clone(&view),
        volume: Arc::clone(&volume),
        anchor,
        head,
        minimum_free: options.minimum_free,
        watched: Arc::clone(&watched),
        scrub: scrub.clone(),
        on_failure: Arc::clone(&on_failure),
        _guarded: guarding,
    };
    let named = |name: &str| thread::Builder::new().name(name.to_owned());
    let background = Background::start(&view, scrub.clone(), path, options.rest, &on_failure)?;
    named("store-watchdog").spawn(move || committer::guard(&watched, &guarded, &*on_failure))?;
    let committer = named("store-committer").spawn(move || committer.run(&requests))?;
    Ok(SledStore {
        queue: Some(queue),
        committer: Some(committer),
        _background: background,
        scrub,
        view,
        volume,
    })
}

/// Whether a log is so long that its records may be verified while they are used, and such that they can be.
fn is_sound(volume: &Volume, anchored: Option<Anchored>, scrub_from: u64) -> Result<bool, Refusal> {
    let Some(Anchored { log_bytes, .. }) = anchored else { return Ok(false) };
    let bytes = volume.log_bytes()?;
    if bytes.max(log_bytes) < scrub_from.max(1) {
        return Ok(false);
    }
    // Before sled opens it, which puts what it finds there in order.
    match log::look(&volume.database(), log_bytes) {
        Ok(()) => Ok(true),
        Err(odd) => {
            tracing::warn!(%odd, bytes, "every record is verified before the start");
            Ok(false)
        }
    }
}

/// The head if all records are what it says, or if those of the tables `first` are; whether the others are to be
/// verified yet.
fn verify(codec: &Codec, tree: &sled::Db, first: Option<&[u8]>) -> Result<(Option<Head>, bool), Refusal> {
    if let Some(first) = first
        && let Some(head) = guarded(|| verify::tables(codec, tree, first))?
    {
        return Ok((Some(head), true));
    }
    Ok((guarded(|| verify::everything(codec, tree))?, false))
}

/// The head that was found, or that of a store that begins, unless more had been made durable.
fn judge(found: Option<Head>, anchored: Option<Anchored>) -> Result<Head, Refusal> {
    let anchored = anchored.map(|anchored| anchored.revision);
    match (found, anchored) {
        (Some(head), Some(anchored)) if head.revision >= anchored => Ok(head),
        // The first start ended between the head and the anchor.
        (Some(head), None) if head.revision == 0 => Ok(head),
        (None, None) => Ok(Head::default()),
        (Some(head), Some(anchored)) => {
            let revision = head.revision;
            let what =
                format!("it ends at revision {revision}, but revision {anchored} had been made durable");
            Err(Refusal::Damaged(what))
        }
        (None, Some(anchored)) => {
            let what = format!("it is empty, but revision {anchored} had been made durable");
            Err(Refusal::Damaged(what))
        }
        (Some(_), None) => Err(Refusal::Damaged("the file `anchor` is missing or empty".to_owned())),
    }
}

/// Opens sled, and waits for its lock: only what is left of a store that was just closed can still hold it, for ours
/// is taken.
pub(super) fn open_sled(volume: &Volume) -> Result<sled::Db, Refusal> {
    let config = sled::Config::new().path(volume.database()).flush_every_ms(None).cache_capacity(CACHE_BYTES);
    let since = Instant::now();
    loop {
        match guarded(|| Ok::<_, Damage>(config.open()))? {
            Ok(tree) => return Ok(tree),
            // What the system says has a kind of its own; sled says this of its lock.
            Err(sled::Error::Io(error))
                if error.kind() == io::ErrorKind::Other && since.elapsed() < LEAVING =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            Err(sled::Error::Io(error)) => return Err(Refusal::Storage(error)),
            Err(other) => return Err(Refusal::Damaged(format!("sled cannot open it: {other}"))),
        }
    }
}

/// Makes durable what is about to be shown: a killed process may have left more than it had synced.
fn settle(
    volume: &Volume,
    codec: &Codec,
    tree: &sled::Db,
    head: &Head,
    anchor: &mut Anchor,
) -> Result<(), Refusal> {
    let sled_io = |error: sled::Error| Refusal::Storage(io::Error::other(error));
    if !guarded(|| Ok::<_, Damage>(tree.contains_key(HEAD)))?.map_err(sled_io)? {
        let mut first = sled::Batch::default();
        first.insert(HEAD, head.encode(codec));
        first.remove(OLD_HEAD);
        guarded(|| Ok::<_, Damage>(tree.apply_batch(first)))?.map_err(sled_io)?;
    }
    guarded(|| Ok::<_, Damage>(tree.flush()))?.map_err(sled_io)?;
    volume.sync_names()?;
    volume.sync()?;
    if volume.has_blobs()? {
        return Err(Refusal::Damaged("sled has written to `blobs`, which it does not keep".to_owned()));
    }
    let anchored = Anchored { revision: head.revision, log_bytes: volume.log_bytes()? };
    if anchor.write(codec, anchored)? {
        volume.sync()?;
    }
    Ok(())
}

fn guarded<Done>(work: impl FnOnce() -> Result<Done, Damage>) -> Result<Done, Refusal> {
    view::guarded(work).map_err(|StoreError::Damaged { what }| Refusal::Damaged(what))
}
