//! Media types: what a request's body is, and what its caller wants to read.

use crate::answer::JSON;
use http::{HeaderMap, HeaderValue, header};

const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";

/// What a request says of its body's media type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BodyType {
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Nothing is said, which will do for an empty body.
    Unsaid,
    Other,
}

/// Reads `Content-Type`; parameters are allowed.
pub(crate) fn body_type(headers: &HeaderMap) -> BodyType {
    let mut fields = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(field), another) = (fields.next(), fields.next()) else { return BodyType::Unsaid };
    // As most write it.
    if another.is_none() && field == "application/json" {
        return BodyType::Json;
    }
    let essence = field.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match another {
        None if essence.eq_ignore_ascii_case("application/json") => BodyType::Json,
        None if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") => BodyType::Form,
        _ => BodyType::Other,
    }
}

/// The media type of the answer: that of GraphQL responses where `Accept` names it and nothing it likes better.
pub(crate) fn answer_type(headers: &HeaderMap) -> HeaderValue {
    let (mut graphql, mut json) = (None, None);
    let fields = headers.get_all(header::ACCEPT);
    // Most write nothing that is long enough to name it.
    if fields.iter().all(|field| field.len() < GRAPHQL_RESPONSE.len()) {
        return JSON;
    }
    for field in fields {
        for range in field.to_str().unwrap_or_default().split(',') {
            let (essence, quality) = read_range(range);
            if essence.eq_ignore_ascii_case(GRAPHQL_RESPONSE) {
                graphql = Some(quality);
            } else if essence.eq_ignore_ascii_case("application/json") {
                json = Some(quality);
            }
        }
    }
    match (graphql, json) {
        (Some(graphql), json) if graphql > 0 && graphql >= json.unwrap_or(0) => {
            HeaderValue::from_static(GRAPHQL_RESPONSE)
        }
        _ => JSON,
    }
}

/// A media range without its parameters, and its quality in thousandths.
fn read_range(range: &str) -> (&str, u16) {
    let mut parts = range.split(';');
    let essence = parts.next().unwrap_or_default().trim();
    let quality = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
        .map_or(1_000, |(_, value)| read_quality(value.trim()));
    (essence, quality)
}

/// `0`, `1`, or a fraction of at most three digits; anything else counts as not wanted.
fn read_quality(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    match (whole, digits) {
        ("0", true) => format!("{fraction:0<3}").parse().unwrap_or(0),
        ("1", true) => 1_000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn json_is_json_whatever_its_parameters() {
        for (values, expected) in [
            (&["application/json"][..], BodyType::Json),
            (&["Application/JSON ; charset=utf-8"], BodyType::Json),
            (&["application/json;"], BodyType::Json),
            (&[], BodyType::Unsaid),
            (&["application/jsonx"], BodyType::Other),
            (&["text/plain"], BodyType::Other),
            (&["application/x-www-form-urlencoded; charset=UTF-8"], BodyType::Form),
            (&[""], BodyType::Other),
            (&["application/json", "text/plain"], BodyType::Other),
        ] {
            assert_eq!(body_type(&headers(header::CONTENT_TYPE, values)), expected, "{values:?}");
        }
    }

    #[test]
    fn accept_chooses_by_quality() {
        for (values, graphql) in [
            (&[][..], false),
            (&["*/*"], false),
            (&["application/graphql-response+json"], true),
            (&["application/graphql-response+json, application/json;q=0.9"], true),
            (&["application/json", "application/graphql-response+json; q=1.0"], true),
            (&["application/graphql-response+json;q=0.8, application/json"], false),
            (&["application/graphql-response+json;q=0"], false),
            (&["application/graphql-response+json;q=0.25, application/json;q=0.3"], false),
            (&["application/graphql-response+json;charset=utf-8;q=0.5, */*;q=0.1"], true),
        ] {
            let chosen = answer_type(&headers(header::ACCEPT, values));
            assert_eq!(chosen == HeaderValue::from_static(GRAPHQL_RESPONSE), graphql, "{values:?}");
        }
    }
}
