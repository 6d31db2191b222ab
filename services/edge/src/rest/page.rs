//! Pages of lists: which one is asked for, and where the others are.

use super::{Asked, insert, properties::invalid};
use http::{HeaderMap, header};
use model::Fault;
use proto::registry::v1;
use std::borrow::Cow;

const USUAL_SIZE: u32 = 30;
/// More is asked for by clients that know larger pages elsewhere: they get this many.
const MAX_SIZE: u32 = 100;

/// Reads `page` and `per_page`.
///
/// # Errors
///
/// `ValidationFailed` unless they are whole numbers of at least 1; beyond the last page there is nothing, however far.
pub(super) fn read(query: Option<&str>) -> Result<v1::Page, Fault> {
    let mut problems = Vec::new();
    let mut number = |name: &str, usual: u32| {
        let Some(text) = parameter(query, name) else { return usual };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match digits.then(|| text.parse().unwrap_or(u32::MAX)) {
            Some(number) if number > 0 => number,
            _ => {
                problems.push(format!("{name} must be a whole number of at least 1"));
                usual
            }
        }
    };
    let page = v1::Page { number: number("page", 1), size: number("per_page", USUAL_SIZE).min(MAX_SIZE) };
    if problems.is_empty() { Ok(page) } else { Err(invalid(&problems.join(", "))) }
}

fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<Cow<'a, str>> {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Writes where the other pages are.
pub(super) fn link(headers: &mut HeaderMap, asked: &Asked, page: v1::Page, total: u64) {
    let last = total.div_ceil(u64::from(page.size.max(1))).max(1);
    let number = u64::from(page.number);
    let url = |number: u64| {
        let query = with_page(asked.query.as_deref(), number);
        asked.url(&format!("{}?{query}", asked.route))
    };
    let mut links = Vec::new();
    let mut add = |number, rel: &str| links.push(format!("<{}>; rel=\"{rel}\"", url(number)));
    if number < last {
        add(number + 1, "next");
    }
    if number > 1 {
        add((number - 1).min(last), "prev");
    }
    add(1, "first");
    add(last, "last");
    insert(headers, header::LINK, &links.join(", "));
}

/// The query with another page and everything else as it was.
fn with_page(query: Option<&str>, number: u64) -> String {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut written = form_urlencoded::Serializer::new(String::new());
    written.extend_pairs(pairs.filter(|(name, _)| name != "page"));
    written.append_pair("page", &number.to_string());
    written.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_within_its_bounds() {
        let read = |query| read(Some(query)).map(|page| (page.number, page.size)).map_err(|_| ());
        assert_eq!(read(""), Ok((1, 30)));
        assert_eq!(read("page=3&per_page=100"), Ok((3, 100)));
        assert_eq!(read("per_page=5000"), Ok((1, 100)));
        assert_eq!(read("page=4294967296&per_page=99999999999999999999999"), Ok((u32::MAX, 100)));
        for bad in ["page=0", "page=-1", "page=x", "per_page=0", "page=", "page=1.5", "page=%2B1"] {
            assert_eq!(read(bad), Err(()), "{bad}");
        }
    }

    #[test]
    fn other_parameters_are_kept() {
        assert_eq!(with_page(Some("per_page=2&page=7&x=a%20b"), 8), "per_page=2&x=a+b&page=8");
        assert_eq!(with_page(None, 2), "page=2");
    }
}
