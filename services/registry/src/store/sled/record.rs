//! Records as they lie on the disk: sealed to key and revision, the long ones in parts.
//!
//! It does not know what is durable, nor which records there should be.

use crate::store::{Entry, Key, Revision};
use bytes::Bytes;
use model::key::PurposeKeys;

/// What the first byte of a key in sled says: the head, a record, a further part of one.
pub(super) const HEAD: &[u8] = &[0, 2];
pub(super) const RECORD: u8 = 1;
pub(super) const PART: u8 = 2;

/// Where the head lay before it said what each table comes to.
pub(super) const OLD_HEAD: &[u8] = &[0];

/// The most of a value that lies under one key in sled. Pages of more than 128 KiB, of up to 17 keys, would go
/// to files of their own, which sled does not keep consistent with its log.
const PART_BYTES: usize = 4_000;

const VERSION: u8 = 1;
const TAG_BYTES: usize = 16;

/// What is damaged.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Damage(pub(super) String);

/// Seals and opens what lies in sled.
#[derive(Debug)]
pub(super) struct Codec(PurposeKeys);

/// A record that has been read, with what it takes to replace it.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) entry: Entry,
    pub(super) extent: Extent,
}

/// Where the parts of a record lie, and their sum.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Extent {
    pub(super) revision: Revision,
    pub(super) parts: u32,
    pub(super) sum: u128,
}

/// A key in sled and what lies under it.
pub(super) type Sealed = (Vec<u8>, Vec<u8>);

/// The key in sled of the record under `key`.
pub(super) fn record_key(key: &Key) -> Vec<u8> {
    [&[RECORD], key.as_bytes()].concat()
}

/// The key in sled of a further part: two are equal only where key, revision and number are.
pub(super) fn part_key(key: &Key, revision: Revision, number: u32) -> Vec<u8> {
    [&[PART], key.as_bytes(), &revision.to_be_bytes(), &number.to_be_bytes()].concat()
}

/// The key whose record lies at `place` in sled.
pub(super) fn key_at(place: &[u8]) -> Result<Key, Damage> {
    let key = place.split_first().and_then(|(_, key)| Key::from_bytes(key));
    key.ok_or_else(|| Damage("there is a record without a key".to_owned()))
}

/// What [`part_key`] was made of.
pub(super) fn part_at(place: &[u8]) -> Option<(Key, Revision, u32)> {
    let (rest, number) = place.strip_prefix(&[PART])?.split_last_chunk()?;
    let (key, revision) = rest.split_last_chunk()?;
    Some((Key::from_bytes(key)?, u64::from_be_bytes(*revision), u32::from_be_bytes(*number)))
}

/// A sealed record's authentication tag: a keyed hash of key, revision and content.
pub(super) fn tag(stored: &[u8]) -> u128 {
    stored.last_chunk::<TAG_BYTES>().map_or(0, |tag| u128::from_be_bytes(*tag))
}

impl Codec {
    pub(super) fn new(keys: PurposeKeys) -> Self {
        Self(keys)
    }

    /// Seals `plain` to where it lies and to its revision.
    pub(super) fn seal(&self, place: &[u8], revision: Revision, plain: &[u8]) -> Vec<u8> {
        let revision = revision.to_be_bytes();
        let sealed = self.0.seal(&[place, &revision].concat(), plain);
        [&[VERSION], revision.as_slice(), &sealed].concat()
    }

    /// Opens what [`Codec::seal`] made.
    pub(super) fn open(&self, place: &[u8], stored: &[u8]) -> Result<(Revision, Bytes), Damage> {
        let damaged = || Damage(format!("the record at {} cannot be opened", place.escape_ascii()));
        let (version, rest) = stored.split_first().ok_or_else(damaged)?;
        let (revision, sealed) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        if *version != VERSION {
            return Err(damaged());
        }
        let context = [place, revision.as_slice()].concat();
        let plain = self.0.open(&context, sealed).map_err(|_| damaged())?;
        Ok((u64::from_be_bytes(*revision), Bytes::copy_from_slice(&plain)))
    }

    /// The keys and values in sled that hold `value`, and their extent.
    pub(super) fn encode(&self, key: &Key, revision: Revision, value: &[u8]) -> (Vec<Sealed>, Extent) {
        let (first, rest) = value.split_at_checked(PART_BYTES).unwrap_or((value, &[]));
        let parts = u32::try_from(rest.chunks(PART_BYTES).len()).expect("a batch has fewer bytes");
        let whole = [parts.to_be_bytes().as_slice(), first].concat();
        let places = (0..parts).map(|number| part_key(key, revision, number));
        let plains =
            std::iter::once((record_key(key), whole.as_slice())).chain(places.zip(rest.chunks(PART_BYTES)));
        let stored: Vec<Sealed> = plains
            .map(|(place, plain)| {
                let sealed = self.seal(&place, revision, plain);
                (place, sealed)
            })
            .collect();
        let sum = stored.iter().fold(0, |sum: u128, (_, sealed)| sum.wrapping_add(tag(sealed)));
        (stored, Extent { revision, parts, sum })
    }

    /// Puts together the record of which `stored` is the first part; `part` finds the others.
    pub(super) fn decode<Stored: AsRef<[u8]>>(
        &self,
        key: Key,
        stored: &[u8],
        part: impl Fn(&[u8]) -> Result<Option<Stored>, Damage>,
    ) -> Result<Record, Damage> {
        let (revision, plain) = self.open(&record_key(&key), stored)?;
        let (parts, first) = plain
            .split_first_chunk::<4>()
            .ok_or_else(|| Damage(format!("the record {key:?} is too short")))?;
        let parts = u32::from_be_bytes(*parts);
        let mut sum = tag(stored);
        if parts == 0 {
            let value = plain.slice_ref(first);
            return Ok(Record {
                entry: Entry { key, value, revision },
                extent: Extent { revision, parts, sum },
            });
        }
        let mut value = first.to_vec();
        for number in 0..parts {
            let place = part_key(&key, revision, number);
            let stored =
                part(&place)?.ok_or_else(|| Damage(format!("part {number} of {key:?} is missing")))?;
            value.extend_from_slice(&self.open(&place, stored.as_ref())?.1);
            sum = sum.wrapping_add(tag(stored.as_ref()));
        }
        let entry = Entry { key, value: value.into(), revision };
        Ok(Record { entry, extent: Extent { revision, parts, sum } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{
        Secret,
        key::{Keyring, Purpose},
    };

    /// A record of format 1 as it was once written, in hexadecimal. It must be readable for ever.
    const GOLDEN: &str = "010000000000000102d1cb8ec980f2a1c0f38aba6cc6511782892bd055b5a992e31f824d\
        d6e48bbed0b20869c7e686bde8be2fee";

    fn codec() -> Codec {
        let keyring = Keyring::parse(&Secret::new("cG9ydGFscyBwb3J0YWxzIHBvcnRhbHMgcG9ydGFscyE=")).unwrap();
        Codec::new(keyring.keys(Purpose::Store))
    }

    fn no_parts(_: &[u8]) -> Result<Option<Vec<u8>>, Damage> {
        Ok(None)
    }

    #[test]
    fn a_record_of_format_1_is_still_read() {
        let digits = GOLDEN.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let stored: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        let key = Key::new(7, "golden");
        let record = codec().decode(key.clone(), &stored, no_parts).unwrap();
        assert_eq!(record.entry, Entry { key, value: "a value".into(), revision: 258 });
    }

    #[test]
    fn a_record_of_another_format_is_not_guessed_at() {
        let key = Key::new(7, "golden");
        let (mut stored, _) = codec().encode(&key, 258, b"a value");
        let (_, sealed) = &mut stored[0];
        sealed[0] = 2;
        assert!(codec().decode(key, sealed, no_parts).is_err());
    }

    #[test]
    fn what_is_stored_under_one_key_stays_small() {
        let (stored, extent) = codec().encode(&Key::new(7, ""), u64::MAX, &[0; 1 << 20]);
        assert_eq!(stored.len(), 263);
        assert_eq!(extent.parts, 262);
        assert!(stored.iter().all(|(_, sealed)| sealed.len() <= 4_096));
    }
}
