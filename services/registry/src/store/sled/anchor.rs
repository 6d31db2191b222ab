//! The anchor: a small file that says which revision was durable and how long the log was, so that a log which has
//! lost its tail or was cut off is noticed; sled alone would go on from an older state as if nothing had been.
//!
//! It never says more than is durable, and may lag behind by one group of commits after a crash.

use super::{
    record::{Codec, Damage},
    volume::read_from,
};
use crate::store::Revision;
use std::{cmp::Reverse, fs::File, io, os::unix::fs::FileExt, path::Path};

const PLACE: &[u8] = b"anchor";

/// Two slots, written in turn and each within one sector: a torn write leaves the other.
const SLOT_BYTES: usize = 512;
const SLOTS: [u64; 2] = [0, SLOT_BYTES as u64];

/// What had been made durable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Anchored {
    /// The newest commit.
    pub(super) revision: Revision,
    /// How long the log was, in bytes; zero where that was not written down yet.
    pub(super) log_bytes: u64,
}

impl Anchored {
    fn seal(self, codec: &Codec) -> Vec<u8> {
        codec.seal(PLACE, self.revision, &self.log_bytes.to_be_bytes())
    }

    /// Reads a slot, be it one of before the length of the log was written down.
    fn open(codec: &Codec, slot: &[u8]) -> Option<Self> {
        let sealed_bytes = codec.seal(PLACE, 0, &[]).len();
        let read = |log_bytes: usize| codec.open(PLACE, slot.get(..sealed_bytes + log_bytes)?).ok();
        let (revision, plain) = read(size_of::<u64>()).or_else(|| read(0))?;
        Some(Self { revision, log_bytes: plain.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)) })
    }
}

/// The file.
#[derive(Debug)]
pub(super) struct Anchor {
    file: File,
    slots: std::iter::Cycle<std::array::IntoIter<u64, 2>>,
    anchored: Option<Anchored>,
}

impl Anchor {
    /// Opens the file, and makes it where there is none.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Self { file, slots: SLOTS.into_iter().cycle(), anchored: None })
    }

    /// What it was last told, if anything.
    pub(super) fn read(&mut self, codec: &Codec) -> io::Result<Result<Option<Anchored>, Damage>> {
        let mut slots = Vec::new();
        for offset in SLOTS {
            let mut slot = [0; SLOT_BYTES];
            read_from(&self.file, &mut slot, offset)?;
            slots.push(slot);
        }
        Ok(self.judge(codec, &slots))
    }

    fn judge(&mut self, codec: &Codec, slots: &[[u8; SLOT_BYTES]]) -> Result<Option<Anchored>, Damage> {
        let readable: Vec<_> = slots.iter().map(|slot| Anchored::open(codec, slot)).collect();
        let written = slots.iter().flatten().any(|byte| *byte != 0);
        // Of the same revision, the shorter: sled gives room back at the end of the log.
        let newest = |anchored: &&Anchored| (anchored.revision, Reverse(anchored.log_bytes));
        self.anchored = readable.iter().flatten().max_by_key(newest).copied();
        if written && self.anchored.is_none() {
            return Err(Damage(
                "the file `anchor` is damaged or was sealed with another secret key".to_owned(),
            ));
        }
        // The next write must not hit the slot that holds the newest revision.
        if let [Some(first), second] = readable.as_slice()
            && second.is_none_or(|second| second.revision < first.revision)
        {
            self.slots.next();
        }
        Ok(self.anchored)
    }

    /// Writes that this is durable, for the next sync to make durable too.
    ///
    /// Returns whether there was anything to write.
    pub(super) fn write(&mut self, codec: &Codec, anchored: Anchored) -> io::Result<bool> {
        if self.anchored == Some(anchored) {
            return Ok(false);
        }
        let offset = self.slots.next().unwrap_or_default();
        self.file.write_all_at(&anchored.seal(codec), offset)?;
        self.anchored = Some(anchored);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{
        Secret,
        key::{Keyring, Purpose},
    };

    fn reread(path: &Path, codec: &Codec) -> Option<(Revision, u64)> {
        let anchored = Anchor::open(path).unwrap().read(codec).unwrap().unwrap();
        anchored.map(|anchored| (anchored.revision, anchored.log_bytes))
    }

    #[test]
    fn an_anchor_says_what_it_was_last_told_be_it_of_today_or_of_before() {
        let keyring = Keyring::parse(&Secret::new("cG9ydGFscyBwb3J0YWxzIHBvcnRhbHMgcG9ydGFscyE=")).unwrap();
        let codec = Codec::new(keyring.keys(Purpose::Store));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchor");
        let anchor = Anchor::open(&path).unwrap();
        assert_eq!(reread(&path, &codec), None);

        anchor.file.write_all_at(&codec.seal(PLACE, 7, &[]), 0).unwrap();
        assert_eq!(reread(&path, &codec), Some((7, 0)));

        for (revision, log_bytes) in [(8, 900), (8, 800), (9, 1_000), (9, 2_000), (10, 2_000)] {
            let mut anchor = Anchor::open(&path).unwrap();
            anchor.read(&codec).unwrap().unwrap();
            assert!(anchor.write(&codec, Anchored { revision, log_bytes }).unwrap());
            assert!(!anchor.write(&codec, Anchored { revision, log_bytes }).unwrap());
        }
        assert_eq!(reread(&path, &codec), Some((10, 2_000)));
    }
}
