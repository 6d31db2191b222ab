//! The folder that the store lives in and the volume beneath it: its lock, its room, and what is durable.

use rustix::{
    fs::{FallocateFlags, FlockOperation, fallocate, flock, fstatvfs, syncfs},
    io::Errno,
};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// A folder that only this process uses, until it is dropped.
#[derive(Debug)]
pub(super) struct Volume {
    root: PathBuf,
    folder: File,
    syncs: AtomicU64,
    _lock: File,
}

impl Volume {
    /// Opens the folder, and makes it where there is none; nothing when somebody else uses it.
    pub(super) fn open(root: &Path) -> io::Result<Option<Self>> {
        fs::create_dir_all(root)?;
        let root = root.canonicalize()?;
        let lock = File::options().write(true).create(true).truncate(false).open(root.join("lock"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let folder = File::open(&root)?;
        Ok(Some(Self { root, folder, syncs: AtomicU64::new(0), _lock: lock }))
    }

    /// Where the log of sled lies.
    pub(super) fn database(&self) -> PathBuf {
        self.root.join("db")
    }

    /// Where the anchor lies.
    pub(super) fn anchor(&self) -> PathBuf {
        self.root.join("anchor")
    }

    /// Removes what is left of a snapshot that sled was writing when it was killed: it would take it for one.
    pub(super) fn remove_unfinished_snapshots(&self) -> io::Result<()> {
        let Ok(files) = fs::read_dir(self.database()) else { return Ok(()) };
        for file in files {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "generating") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Makes the names of the files durable, up to the folder's own.
    pub(super) fn sync_names(&self) -> io::Result<()> {
        File::open(self.database())?.sync_all()?;
        self.folder.sync_all()?;
        self.root.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    }

    /// Makes all that was written to the volume durable; what fails is never tried again.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(syncfs(&self.folder)?)
    }

    /// Keeps a ballast of `bytes` where there is more room than `minimum`, and drops it where there is less.
    pub(super) fn trim(&self, minimum: u64, bytes: u64) -> io::Result<()> {
        let path = self.root.join("ballast");
        let free = self.free()?;
        if free < minimum || bytes == 0 {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        if path.exists() || free < minimum.saturating_add(bytes) {
            return Ok(());
        }
        match fallocate(File::create(&path)?, FallocateFlags::empty(), 0, bytes) {
            // A volume that cannot set room aside goes without.
            Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// How long the log of sled is, in bytes; zero where there is none.
    pub(super) fn log_bytes(&self) -> io::Result<u64> {
        match fs::metadata(self.database().join("db")) {
            Ok(log) => Ok(log.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// How often [`Volume::sync`] was called.
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// The room that is left, in bytes.
    pub(super) fn free(&self) -> io::Result<u64> {
        let volume = fstatvfs(&self.folder)?;
        Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
    }

    /// Whether sled has put a page into a file of its own, which it does not keep consistent with its log.
    pub(super) fn has_blobs(&self) -> io::Result<bool> {
        match fs::read_dir(self.database().join("blobs")) {
            Ok(mut blobs) => Ok(blobs.next().is_some()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Reads from `offset` until `bytes` are full or the file ends, and tells how many it has read.
pub(super) fn read_from(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + length as u64)? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

impl Drop for Volume {
    /// Makes durable what sled has put in order while it was closed; nothing was promised of it.
    fn drop(&mut self) {
        let _ = syncfs(&self.folder);
    }
}
