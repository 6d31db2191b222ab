//! Passwords, the ends of sessions, and invitations as they lie in the store.

use super::{
    Moment, Role,
    index::{read_fingerprint, write_fingerprint},
};
use model::{Fingerprint, Secret};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::SystemTime;
use uuid::Uuid;

/// The password of a user, under their identity: apart from them, so that whoever reads a user reads no hash.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct UserPassword {
    /// Its hash in PHC form.
    #[serde(deserialize_with = "read_secret", serialize_with = "write_secret")]
    pub(crate) hash: Secret,
    pub(crate) changed_at_ms: Moment,
}

/// Points at a session, from when it ends by itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct SessionEnding {
    pub(crate) user: Uuid,
    #[serde(deserialize_with = "read_fingerprint", serialize_with = "write_fingerprint")]
    pub(crate) fingerprint: Fingerprint,
}

/// An invitation to an organization; it is removed when it is accepted or revoked.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Invitation {
    pub(crate) uuid: Uuid,
    /// What its token is known by.
    #[serde(deserialize_with = "read_fingerprint", serialize_with = "write_fingerprint")]
    pub(crate) fingerprint: Fingerprint,
    pub(crate) email: String,
    pub(crate) role: Role,
    pub(crate) created_at_ms: Moment,
    pub(crate) expires_at_ms: Moment,
    /// The user who made it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created_by: Option<Uuid>,
}

impl Invitation {
    /// Whether its time is over; at the very moment that was said, it is.
    pub(crate) fn has_expired(&self, now: SystemTime) -> bool {
        SystemTime::from(self.expires_at_ms) <= now
    }
}

/// Where an invitation lies.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct InvitationPlace {
    pub(crate) organization: Uuid,
    pub(crate) invitation: Uuid,
}

fn write_secret<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn read_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}
