//! Under what a grant is found: a hash of who calls what, of no use outside this process.

use super::PortalName;
use model::Bearer;
use std::{
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::LazyLock,
};

/// SipHash-1-3 over organization, portal and bearer, twice, under two random keys of this process: 128 bits. Whoever
/// does not know the keys finds no two callers with the same, and what is kept under it tells nothing of a bearer.
/// A fifth of the time that SHA-256 takes for texts as short as these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Key(pub(super) [u64; 2]);

impl Key {
    pub(crate) fn of(name: &PortalName, bearer: &Bearer) -> Self {
        static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
        let caller = (name.organization(), name.portal(), bearer.expose());
        Self(KEYS.each_ref().map(|key| key.hash_one(caller)))
    }

    /// A number below `count`.
    pub(super) fn below(&self, count: usize) -> usize {
        let Self([_, second]) = self;
        // The first is for the maps.
        usize::try_from(*second).unwrap_or(usize::MAX) % count
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self([first, _]) = self;
        hasher.write_u64(*first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts_and_none_runs_into_the_next() {
        let key = |organization, portal, bearer| {
            Key::of(&PortalName::read(organization, portal), &Bearer::parse(bearer).unwrap())
        };
        let keys = [
            key("ab", "c", "d"),
            key("a", "bc", "d"),
            key("a", "b", "cd"),
            key("ab", "cd", "d"),
            // What is no slug is nobody's name, and all of that is alike.
            key("A B", "c", "d"),
        ];
        for (index, one) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(one));
        }
        assert_eq!(key("ab", "c", "d"), keys[0]);
        assert_eq!(key("?", "c", "d"), keys[4]);
    }
}
