//! What must be true of a claim: that it is a text, or fits a pattern with `*` and `?`.

use serde_json::Value;
use wildmatch::WildMatch;

const MAX_CLAIM_BYTES: usize = 256;
const MAX_PATTERN_BYTES: usize = 1_024;

/// A claim and the pattern that it must fit, from its first letter to its last: `*` stands for any letters or none,
/// `/` too, and `?` for one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Condition {
    claim: String,
    pattern: String,
}

/// A text that is no condition.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidCondition {
    /// No claim is called so.
    #[error("the name of a claim must have 1 to {MAX_CLAIM_BYTES} bytes")]
    Claim,
    /// It cannot be a pattern.
    #[error("the pattern for `{0}` must have 1 to {MAX_PATTERN_BYTES} bytes")]
    Pattern(String),
}

impl Condition {
    /// Reads a condition. A claim that begins with `/` is a JSON pointer (RFC 6901) into the claims.
    pub(crate) fn parse(claim: &str, pattern: &str) -> Result<Self, InvalidCondition> {
        if claim.is_empty() || claim.len() > MAX_CLAIM_BYTES {
            return Err(InvalidCondition::Claim);
        }
        if pattern.is_empty() || pattern.len() > MAX_PATTERN_BYTES {
            return Err(InvalidCondition::Pattern(claim.to_owned()));
        }
        Ok(Self { claim: claim.to_owned(), pattern: pattern.to_owned() })
    }

    /// The claim's name.
    pub(crate) fn claim(&self) -> &str {
        &self.claim
    }

    /// Whether the claims have it, as a text, a number, a truth value, or a list with one that fits.
    pub(crate) fn holds(&self, claims: &Value) -> bool {
        let value = match self.claim.starts_with('/') {
            true => claims.pointer(&self.claim),
            false => claims.get(&self.claim),
        };
        let pattern = WildMatch::new(&self.pattern);
        match value {
            Some(Value::Array(values)) => values.iter().any(|value| fits(&pattern, value)),
            Some(value) => fits(&pattern, value),
            None => false,
        }
    }
}

fn fits(pattern: &WildMatch, value: &Value) -> bool {
    match value {
        Value::String(text) => pattern.matches(text),
        Value::Number(number) => pattern.matches(&number.to_string()),
        Value::Bool(truth) => pattern.matches(if *truth { "true" } else { "false" }),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_claim_fits_as_a_whole_or_not_at_all() {
        let claims = json!({"ref": "refs/heads/main", "run": 7, "fork": false, "groups": ["dev", "ops"], "none": null,
            "kubernetes.io": {"namespace": "ci"}, "a": {"b": "c"}});
        for (claim, pattern, holds) in [
            ("ref", "refs/heads/main", true),
            ("ref", "refs/heads/*", true),
            ("ref", "refs/*/m??n", true),
            ("ref", "*", true),
            ("ref", "refs/heads", false),
            ("ref", "heads/main", false),
            ("ref", "REFS/HEADS/MAIN", false),
            ("ref", "refs/heads/main?", false),
            ("run", "7", true),
            ("run", "70", false),
            ("fork", "false", true),
            ("fork", "true", false),
            ("groups", "ops", true),
            ("groups", "admins", false),
            ("none", "*", false),
            ("none", "null", false),
            ("missing", "*", false),
            ("/kubernetes.io/namespace", "ci", true),
            ("/a/b", "c", true),
            ("a", "*", false),
        ] {
            let condition = Condition::parse(claim, pattern).unwrap();
            assert_eq!(condition.holds(&claims), holds, "{claim} {pattern}");
        }
    }

    #[test]
    fn a_pattern_that_could_take_long_is_judged_at_once() {
        let claims = json!({"ref": "a".repeat(8_000)});
        let condition = Condition::parse("ref", &format!("{}b", "*a".repeat(500))).unwrap();
        assert!(!condition.holds(&claims));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for (claim, pattern) in [("", "a"), ("a", ""), (&*"a".repeat(257), "a"), ("a", &*"a".repeat(1_025))] {
            assert!(Condition::parse(claim, pattern).is_err());
        }
    }
}
