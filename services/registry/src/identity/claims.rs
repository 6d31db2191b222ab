//! What a token from outside says, once its signature is known to fit.

use super::{Refused, Trust};
use serde::Deserialize;
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far the issuer's clock may be from ours.
const LEEWAY: Duration = Duration::from_secs(30);
/// The most characters of a subject that are kept for the audit.
const MAX_SUBJECT_CHARS: usize = 256;

/// Whether a token must say from when on it holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Nbf {
    Required,
    MayBeMissing,
}

/// The claims of a token.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Claims(Value);

impl Claims {
    /// Judges what every token must have, whoever trusts it: `iss`, `exp`, `iat` and, unless it is said that it may be
    /// missing, `nbf`, each of its type.
    pub(super) fn judge(&self, issuer: &str, now: SystemTime, nbf: Nbf) -> Result<(), Refused> {
        if self.0.get("iss").and_then(Value::as_str) != Some(issuer) {
            return Err(wrong("iss", "its issuer"));
        }
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (early, late) = ((since + LEEWAY).as_secs(), since.saturating_sub(LEEWAY).as_secs());
        if self.seconds("exp")? <= late {
            return Err(wrong("exp", "in the future"));
        }
        for name in ["nbf", "iat"] {
            if name == "nbf" && nbf == Nbf::MayBeMissing && self.0.get(name).is_none() {
                continue;
            }
            if self.seconds(name)? > early {
                return Err(wrong(name, "in the past"));
            }
        }
        Ok(())
    }

    /// Whether the token is for that audience, alone or beside others.
    pub(super) fn is_for(&self, wanted: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(audience)) => audience == wanted,
            Some(Value::Array(audiences)) => {
                audiences.iter().all(Value::is_string) && audiences.iter().any(|audience| audience == wanted)
            }
            _ => false,
        }
    }

    /// Whether others are its audience too.
    pub(super) fn is_for_several(&self) -> bool {
        self.0.get("aud").and_then(Value::as_array).is_some_and(|audiences| audiences.len() > 1)
    }

    /// A claim that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Whether a claim is there and true; some providers write it as a text.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value == true || value == "true")
    }

    /// Whether the token is for the audience of `trust` and all its conditions hold.
    pub(super) fn meet(&self, trust: &Trust) -> Result<(), Refused> {
        if !self.is_for(&trust.audience) {
            return Err(wrong("aud", "the audience that this portal expects"));
        }
        match trust.conditions.iter().find(|condition| !condition.holds(&self.0)) {
            Some(unmet) => Err(wrong(unmet.claim(), "what this portal trusts")),
            None => Ok(()),
        }
    }

    /// Who the issuer says that the holder is.
    pub(super) fn subject(&self) -> Option<String> {
        let subject = self.0.get("sub")?.as_str()?;
        Some(subject.chars().take(MAX_SUBJECT_CHARS).collect())
    }

    /// A time in whole seconds since 1970.
    fn seconds(&self, name: &str) -> Result<u64, Refused> {
        self.0
            .get(name)
            .and_then(Value::as_u64)
            .ok_or_else(|| wrong(name, "a number of whole seconds since 1970"))
    }
}

pub(super) fn wrong(claim: &str, expected: &'static str) -> Refused {
    Refused::Claim { claim: claim.to_owned(), expected }
}
