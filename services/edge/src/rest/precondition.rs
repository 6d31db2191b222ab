//! Changes on condition: `ETag` and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1).

use super::insert;
use http::{HeaderMap, header};

/// No thing is ever at this revision.
const NEVER: u64 = 0;

/// The revisions of which one must be the thing's; all of them none where any will do.
///
/// What cannot be one of our tags matches nothing, as the comparison is strong, octet by octet. The registry
/// judges it, so that a caller who may not change the thing does not learn about its revision.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Condition {
    pub(super) if_revision: Option<u64>,
    pub(super) or_revisions: Vec<u64>,
}

impl Condition {
    /// Reads `If-Match`.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let mut revisions = Vec::new();
        let mut conditional = false;
        for field in headers.get_all(header::IF_MATCH) {
            if field.as_bytes().trim_ascii() == b"*" {
                return Self::default();
            }
            conditional = true;
            revisions.extend(field.as_bytes().split(|byte| *byte == b',').filter_map(revision));
        }
        let mut revisions = revisions.into_iter();
        let if_revision = conditional.then(|| revisions.next().unwrap_or(NEVER));
        Self { if_revision, or_revisions: revisions.collect() }
    }
}

/// The revision that a tag stands for, if it is written as [`write`] writes it.
fn revision(tag: &[u8]) -> Option<u64> {
    let text = tag.trim_ascii().strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let revision: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (revision.to_string().as_bytes() == text).then_some(revision)
}

/// Writes a revision as a strong tag.
pub(super) fn write(headers: &mut HeaderMap, revision: u64) {
    insert(headers, header::ETAG, &format!("\"{revision}\""));
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(text: &[u8]) -> Vec<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, HeaderValue::from_bytes(text).unwrap());
        let Condition { if_revision, or_revisions } = Condition::read(&headers);
        if_revision.into_iter().chain(or_revisions).collect()
    }

    #[test]
    fn a_condition_lists_revisions_however_many() {
        assert_eq!(read(b"\"3\""), [3]);
        assert_eq!(read(b"\"3\", W/\"4\", \"5\""), [3, 5]);
        assert_eq!(read("\"ü\", \"5\"".as_bytes()), [5]);
        assert_eq!(read(b"*"), [0_u64; 0]);
        assert_eq!(Condition::read(&HeaderMap::new()), Condition::default());
        let many: Vec<_> = (1..=100).map(|revision| format!("\"{revision}\"")).collect();
        assert_eq!(read(many.join(",").as_bytes()), (1..=100).collect::<Vec<_>>());
    }

    #[test]
    fn a_tag_that_is_not_ours_matches_nothing() {
        for tag in ["", "W/\"4\"", "\"x\"", "\"004\"", "\"+4\"", "\" 4\"", "4", "\"", "\"a,*,b\"", "\"4\", *"]
        {
            let expected = if tag.ends_with('*') { 4 } else { NEVER };
            assert_eq!(read(tag.as_bytes()), [expected], "{tag}");
        }
    }
}
