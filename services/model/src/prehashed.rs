//! Maps whose keys are hashes already, or numbers that nobody chooses: nothing costly is done to them.

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

/// Builds hashers for numbers that are given one after the other.
pub type Numbered = BuildHasherDefault<Spread>;

/// Spreads the last number that it is given over all bits (Fibonacci hashing: Knuth, The Art of Computer Programming,
/// 6.4).
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
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

    #[test]
    fn numbers_in_a_row_differ_in_the_bits_that_a_map_looks_at() {
        let hashes: Vec<u64> = (0_u64..64).map(|number| Numbered::default().hash_one(number)).collect();
        let lowest: std::collections::HashSet<u64> = hashes.iter().map(|hash| hash % 64).collect();
        let highest: std::collections::HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        assert_eq!(lowest.len(), 64);
        assert!(highest.len() > 48, "{}", highest.len());
    }
}
