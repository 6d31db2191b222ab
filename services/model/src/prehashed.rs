//! Maps whose keys are hashes already: nothing is hashed again.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds hashers for keys that are as good as random: fingerprints, and what is made like them. Whoever chooses such
/// keys must not be able to choose their first eight bytes.
pub type Prehashed = BuildHasherDefault<First>;

/// Takes the first eight bytes of the last thing that it is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct First(u64);

impl Hasher for First {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fingerprint;
    use std::hash::BuildHasher;

    #[test]
    fn a_fingerprints_hash_is_its_beginning() {
        let fingerprint = Fingerprint::of(b"anything");
        let first = u64::from_ne_bytes(*fingerprint.as_bytes().first_chunk().unwrap());
        assert_eq!(Prehashed::default().hash_one(fingerprint), first);
    }
}
