//! The anchor: a small file that says which revision was durable, so that a log which has lost its tail is
//! noticed; sled alone would go on from an older state as if nothing had been.
//!
//! It never says more than is durable, and may lag behind by one group of commits after a crash.

use super::record::{Codec, Damage};
use crate::store::Revision;
use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

const PLACE: &[u8] = b"anchor";

/// Two slots, written in turn and each within one sector: a torn write leaves the other.
const SLOT_BYTES: usize = 512;
const SLOTS: [u64; 2] = [0, SLOT_BYTES as u64];

/// The file.
#[derive(Debug)]
pub(super) struct Anchor {
    file: File,
    slots: std::iter::Cycle<std::array::IntoIter<u64, 2>>,
    revision: Option<Revision>,
}

impl Anchor {
    /// Opens the file, and makes it where there is none.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Self { file, slots: SLOTS.into_iter().cycle(), revision: None })
    }

    /// The revision that it was last told, if any.
    pub(super) fn read(&mut self, codec: &Codec) -> io::Result<Result<Option<Revision>, Damage>> {
        let mut slots = Vec::new();
        for offset in SLOTS {
            let mut slot = [0; SLOT_BYTES];
            let mut length = 0;
            while let Some(rest) = slot.get_mut(length..).filter(|rest| !rest.is_empty()) {
                match self.file.read_at(rest, offset + length as u64)? {
                    0 => break,
                    read => length += read,
                }
            }
            slots.push(slot);
        }
        Ok(self.judge(codec, &slots))
    }

    fn judge(&mut self, codec: &Codec, slots: &[[u8; SLOT_BYTES]]) -> Result<Option<Revision>, Damage> {
        let sealed_bytes = codec.seal(PLACE, 0, &[]).len();
        let mut readable = Vec::new();
        let mut written = false;
        for slot in slots {
            written |= slot.iter().any(|byte| *byte != 0);
            readable.push(slot.get(..sealed_bytes).and_then(|sealed| codec.open(PLACE, sealed).ok()));
        }
        self.revision = readable.iter().flatten().map(|(revision, _)| *revision).max();
        if written && self.revision.is_none() {
            return Err(Damage(
                "the file `anchor` is damaged or was sealed with another secret key".to_owned(),
            ));
        }
        // The next write must not hit the slot that holds the newest revision.
        if let [Some((first, _)), second] = readable.as_slice()
            && second.as_ref().is_none_or(|(second, _)| second < first)
        {
            self.slots.next();
        }
        Ok(self.revision)
    }

    /// Writes that `revision` is durable, for the next sync to make durable too.
    ///
    /// Returns whether there was anything to write.
    pub(super) fn write(&mut self, codec: &Codec, revision: Revision) -> io::Result<bool> {
        if self.revision == Some(revision) {
            return Ok(false);
        }
        let offset = self.slots.next().unwrap_or_default();
        self.file.write_all_at(&codec.seal(PLACE, revision, &[]), offset)?;
        self.revision = Some(revision);
        Ok(true)
    }
}
