//! Records that point at others, or say that others have ended.

use super::Moment;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use model::Fingerprint;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use uuid::Uuid;

/// Points at what a slug names.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Pointer {
    pub(crate) uuid: Uuid,
}

/// Points at a token or a secret by its bearer's fingerprint.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Mark {
    #[serde(deserialize_with = "read_fingerprint", serialize_with = "write_fingerprint")]
    pub(crate) fingerprint: Fingerprint,
}

/// Points at a token that ends by itself, from when it does.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Ending {
    pub(crate) portal: Uuid,
    #[serde(deserialize_with = "read_fingerprint", serialize_with = "write_fingerprint")]
    pub(crate) fingerprint: Fingerprint,
}

/// Says that something has ended for ever; it is removed only with all that could be mistaken for alive.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct End {
    pub(crate) ended_at_ms: Moment,
}

pub(super) fn write_fingerprint<S: Serializer>(
    fingerprint: &Fingerprint,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&URL_SAFE_NO_PAD.encode(fingerprint.as_bytes()))
}

pub(super) fn read_fingerprint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fingerprint, D::Error> {
    let bytes = URL_SAFE_NO_PAD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
    <[u8; 32]>::try_from(bytes).map(Fingerprint::from).map_err(|_| D::Error::custom("expected 32 bytes"))
}
