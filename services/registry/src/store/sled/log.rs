//! sled's log as it lies on the disk, looked through before sled opens it: will sled read all that was written?
//!
//! What sled has not replayed since it last began it replays when it opens, and there it takes a message that it
//! cannot read for the end of its segment: what stood behind it is passed over without a word, and what it had
//! replaced is back. Everywhere else damage shows by itself. What sled does not replay it reads by pointers, each to a
//! message with a checksum, its page and its segment in it; and where the end of the log is cut off, so is the newest
//! head, which the anchor is compared with.
//!
//! So a log is sound if each segment of the file has a header that can be read or is all zeros, as sled leaves those
//! that are free; if none is there twice and the file is no shorter than it was; and if in the segments that will be
//! replayed, but for the last, one message follows the other up to the end. What remains unseen is a segment that is
//! gone as a whole, to zeros or to what it was before it was used anew, where not a byte of those beside it is: half a
//! mebibyte that was written in a hundred pieces. Scrubbing finds that. Who can do it on purpose can put back the whole
//! folder as it once was, too, which nothing in the folder tells.

use super::volume::read_from;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    num::NonZero,
    os::unix::fs::FileExt,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// The parts of sled's format (0.34) that matter here, in bytes.
const SEGMENT: usize = 512 << 10;
const SEGMENT_HEADER: usize = 20;
/// Where less of a segment is left than this, no message begins.
const MESSAGE_HEADER: usize = 32;
const CHECKSUM: usize = 4;

/// The most threads that look through segments.
const THREADS: usize = 4;

/// Why a log may lose something when it is opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum Odd {
    #[error("the log cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("the log is {found} bytes long and was {expected}")]
    Short { found: u64, expected: u64 },
    #[error("the segment of the log at {offset} has no header that can be read")]
    Header { offset: u64 },
    #[error("the segments of the log at {first} and {second} say that they are the same")]
    Twice { first: u64, second: u64 },
    #[error("a message of the log at {offset} cannot be read")]
    Message { offset: u64 },
    #[error("the snapshot of the log cannot be read")]
    Snapshot,
}

/// A segment: where it lies, and where it stands in the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Segment {
    offset: u64,
    position: u64,
    /// The position up to which all had been written when this segment was begun.
    stable: u64,
}

/// Looks through the log in sled's folder, which was once `expected` bytes long.
///
/// # Errors
///
/// What is [`Odd`] about it; whether something is lost by it only reading all records can tell.
pub(super) fn look(folder: &Path, expected: u64) -> Result<(), Odd> {
    let file = File::open(folder.join("db"))?;
    let found = file.metadata()?.len();
    if found < expected {
        return Err(Odd::Short { found, expected });
    }
    let replayed_from = replayed_from(folder)?;
    let (segments, free) = segments(&file, found)?;
    let stable = segments.iter().map(|segment| segment.stable).max().unwrap_or_default();
    let replayed = segment_of(replayed_from)..segment_of(stable);
    let replayed = segments.into_iter().filter(|segment| replayed.contains(&segment.position));
    let looks: Vec<_> = replayed.map(Look::Messages).chain(free.into_iter().map(Look::Zeros)).collect();
    look_through(&file, &looks)
}

/// The position from which sled replays.
fn replayed_from(folder: &Path) -> Result<u64, Odd> {
    let mut newest = None;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with("snap.") {
            newest = newest.max(Some(name));
        }
    }
    // Without a snapshot, from the beginning.
    let Some(newest) = newest else { return Ok(0) };
    let mut position = [0; 8];
    File::open(folder.join(newest))?.read_exact_at(&mut position, 0)?;
    let position = u64::try_from(i64::from_le_bytes(position)).map_err(|_| Odd::Snapshot)?;
    // Zero is that there is none yet.
    Ok(position.saturating_sub(1))
}

/// All segments of a file of so many bytes, and where such lie that seem to be free.
fn segments(file: &File, bytes: u64) -> Result<(Vec<Segment>, Vec<u64>), Odd> {
    let (mut by_position, mut free) = (BTreeMap::new(), Vec::new());
    for offset in (0..bytes).step_by(SEGMENT) {
        let mut header = [0; SEGMENT_HEADER];
        let length = read_from(file, &mut header, offset)?;
        if header.iter().all(|byte| *byte == 0) {
            free.push(offset);
            continue;
        }
        if length < SEGMENT_HEADER {
            return Err(Odd::Header { offset });
        }
        let segment = segment(&header, offset).ok_or(Odd::Header { offset })?;
        if let Some(Segment { offset: first, .. }) = by_position.insert(segment.position, segment) {
            return Err(Odd::Twice { first, second: offset });
        }
    }
    Ok((by_position.into_values().collect(), free))
}

/// Reads the header of a segment: a checksum, and two positions.
fn segment(header: &[u8; SEGMENT_HEADER], offset: u64) -> Option<Segment> {
    let (checksum, positions) = header.split_first_chunk()?;
    let (position, stable) = positions.split_first_chunk()?;
    let stable = stable.first_chunk()?;
    let read = |bytes: &[u8; 8]| u64::try_from(i64::from_le_bytes(*bytes) ^ i64::MAX).ok();
    let (position, stable) = (read(position)?, read(stable).unwrap_or_default());
    let whole = !u32::from_le_bytes(*checksum) == crc32fast::hash(positions);
    (whole && position % SEGMENT as u64 == 0).then_some(Segment { offset, position, stable })
}

/// The position at which the segment begins that `position` is in.
fn segment_of(position: u64) -> u64 {
    position - position % SEGMENT as u64
}

/// What a segment is to be looked through for.
enum Look {
    /// Whether all its messages can be read.
    Messages(Segment),
    /// Whether the one at this offset is nothing but zeros.
    Zeros(u64),
}

/// Looks through segments, which are divided among threads.
fn look_through(file: &File, looks: &[Look]) -> Result<(), Odd> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    let next = AtomicUsize::new(0);
    let look = || {
        let mut bytes = vec![0; SEGMENT];
        while let Some(look) = looks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let offset = look.offset();
            let length = read_from(file, &mut bytes, offset)?;
            let read = bytes.get(..length).unwrap_or_default();
            match look {
                Look::Messages(segment) => {
                    if let Some(at) = unreadable(read, segment.position / SEGMENT as u64) {
                        return Err(Odd::Message { offset: offset + at as u64 });
                    }
                }
                Look::Zeros(_) if read.iter().any(|byte| *byte != 0) => {
                    return Err(Odd::Header { offset });
                }
                Look::Zeros(_) => {}
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let lookers: Vec<_> = (0..threads).map(|_| scope.spawn(look)).collect();
        let panicked = || Err(io::Error::other("looking through it panicked").into());
        lookers.into_iter().try_for_each(|looker| looker.join().unwrap_or_else(|_| panicked()))
    })
}

impl Look {
    fn offset(&self) -> u64 {
        match self {
            Self::Messages(segment) => segment.offset,
            Self::Zeros(offset) => *offset,
        }
    }
}

/// Where in a segment a message stands that cannot be read; nothing where all can up to the end.
fn unreadable(segment: &[u8], number: u64) -> Option<usize> {
    let mut at = SEGMENT_HEADER;
    while at + MESSAGE_HEADER <= SEGMENT {
        match segment.get(at..).and_then(|rest| message(rest, number)) {
            Some(Message::Cap) => return None,
            Some(Message::Bytes(length)) => at += length,
            None => return Some(at),
        }
    }
    None
}

/// A message of the log that can be read.
enum Message {
    /// The last of its segment.
    Cap,
    /// Another follows after so many bytes.
    Bytes(usize),
}

/// Reads the message that `bytes` begin with; nothing where it is none, or one of another segment.
fn message(bytes: &[u8], number: u64) -> Option<Message> {
    let (checksum, rest) = bytes.split_first_chunk::<CHECKSUM>()?;
    let (kind, mut body) = rest.split_first()?;
    let [length, segment, _page] = [integer(&mut body)?, integer(&mut body)?, integer(&mut body)?];
    let header = rest.get(..rest.len() - body.len())?;
    let body = body.get(..usize::try_from(length).ok()?)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(body);
    hasher.update(header);
    if !u32::from_le_bytes(*checksum) != hasher.finalize() || segment != number {
        return None;
    }
    match kind {
        2 => Some(Message::Cap),
        // Cancelled, the bounds of a batch, a freed page, a counter, a page of names, a page, a change of a page;
        // those between are of pages that lie in files of their own, which there must not be.
        1 | 3 | 4 | 5 | 6 | 8 | 10 => Some(Message::Bytes(CHECKSUM + header.len() + body.len())),
        _ => None,
    }
}

/// Takes an integer of one to nine bytes off `bytes`, as sled writes them.
fn integer(bytes: &mut &[u8]) -> Option<u64> {
    let (first, rest) = bytes.split_first()?;
    let (value, rest) = match first {
        0..=240 => (u64::from(*first), rest),
        241..=248 => {
            let (second, rest) = rest.split_first()?;
            (240 + 256 * u64::from(first - 241) + u64::from(*second), rest)
        }
        249 => {
            let ([second, third], rest) = rest.split_first_chunk()?;
            (2_288 + 256 * u64::from(*second) + u64::from(*third), rest)
        }
        250..=255 => {
            let (read, rest) = rest.split_at_checked(usize::from(first - 247))?;
            let mut whole = [0; 8];
            whole.iter_mut().zip(read).for_each(|(byte, read)| *byte = *read);
            (u64::from_le_bytes(whole), rest)
        }
    };
    *bytes = rest;
    Some(value)
}
