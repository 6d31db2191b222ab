//! Tokens of portals as they lie in the store; that one was revoked lies beside it.

use super::Moment;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A token of a portal, under its bearer's fingerprint; it never changes and is never removed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Token {
    pub(crate) uuid: Uuid,
    pub(crate) organization: Uuid,
    pub(crate) portal: Uuid,
    pub(crate) description: Option<String>,
    pub(crate) created_at_ms: Moment,
    pub(crate) expires_at_ms: Option<Moment>,
}

/// When a token was last used.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct TokenUse {
    pub(crate) last_used_at_ms: Moment,
}
