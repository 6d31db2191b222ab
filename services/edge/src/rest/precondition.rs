//! Changes on condition: `ETag` and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1).

use super::insert;
use http::{HeaderMap, header};
use model::{Fault, Reason};

/// The most revisions that a condition may list.
const MAX_LISTED: usize = 8;
/// No thing is ever at this revision.
const NEVER: u64 = 0;

/// Revisions of which one must be the thing's; `None` where any will do.
///
/// What cannot be one of our tags matches nothing, as the comparison is strong. The registry judges it, so that
/// a caller who may not change the thing does not learn about its revision.
pub(super) fn read(headers: &HeaderMap) -> Vec<Option<u64>> {
    let fields = headers.get_all(header::IF_MATCH);
    let mut revisions = Vec::new();
    let mut conditional = false;
    for field in fields {
        conditional = true;
        for tag in field.to_str().unwrap_or_default().split(',').map(str::trim) {
            if tag == "*" {
                return vec![None];
            }
            let number = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            revisions.extend(number.and_then(|number| number.parse().ok()).map(Some));
        }
    }
    revisions.truncate(MAX_LISTED);
    match (conditional, revisions.is_empty()) {
        (false, _) => vec![None],
        (true, true) => vec![Some(NEVER)],
        (true, false) => revisions,
    }
}

/// Makes a change under one condition after the other, until one holds.
pub(super) async fn first_that_holds<T, F>(
    conditions: Vec<Option<u64>>,
    mut change: impl FnMut(Option<u64>) -> F,
) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    let mut failed = Fault::new(Reason::PreconditionFailed, "the revision is another");
    for condition in conditions {
        match change(condition).await {
            Err(fault) if fault.reason() == Reason::PreconditionFailed => failed = fault,
            outcome => return outcome,
        }
    }
    Err(failed)
}

/// Writes a revision as a strong tag.
pub(super) fn write(headers: &mut HeaderMap, revision: u64) {
    insert(headers, header::ETAG, &format!("\"{revision}\""));
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_condition_lists_revisions() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, HeaderValue::from_static(text));
            read(&headers)
        };
        assert_eq!(read("\"3\""), [Some(3)]);
        assert_eq!(read("\"3\", W/\"4\", \"5\""), [Some(3), Some(5)]);
        assert_eq!(read("*"), [None]);
        assert_eq!(read("W/\"3\""), [Some(NEVER)]);
        assert_eq!(read("\"x\""), [Some(NEVER)]);
        assert_eq!(read(""), [Some(NEVER)]);
        assert_eq!(super::read(&HeaderMap::new()), [None]);
    }
}
