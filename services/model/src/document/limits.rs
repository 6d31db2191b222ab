//! How large a document may be. Everything that reads one is linear in these, the parser with the largest
//! factor: it takes about 2 µs and 500 bytes a token, a tenth of a second for the worst document.

use super::Refusal;

/// The most bytes.
pub(super) const BYTES: usize = 128 * 1024;
/// The most tokens: twice what 128 KiB of the densest real document have, and half of what fits in.
pub(super) const TOKENS: usize = 65_536;
/// How deep selection sets, and lists and objects in values and types, may be nested.
///
/// Each is counted by itself, so that an argument in the deepest selection set does not count there.
pub(super) const DEPTH: u32 = 64;
/// The most aliases: servers and validators compare fields of one name with each other.
pub(super) const ALIASES: usize = 10_000;
/// The most directives, for the same reason.
pub(super) const DIRECTIVES: usize = 10_000;
/// The most operations; documents of a thousand exist.
pub(super) const OPERATIONS: usize = 2_000;
/// The most fragments; a client's generated document has some hundreds.
pub(super) const FRAGMENTS: usize = 2_000;
/// The most selections, and spreads, of all operations together when each spread brings its fragment's.
///
/// More than fit into the bytes and tokens without fragments, so that only repetition meets it.
pub(super) const EXPANDED: u64 = 100_000;
/// The most problems and the most warnings that are told of one document.
pub(super) const PROBLEMS: usize = 100;

/// Refuses a document that has more than `most` of `things`.
pub(super) fn exceeded(at: usize, things: &str, most: usize) -> Refusal {
    Refusal::new(at, format!("the document has more than {most} {things}"))
}
