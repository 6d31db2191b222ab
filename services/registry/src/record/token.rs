//! Tokens of portals as they lie in the store; that one was revoked lies beside it.

use super::{Moment, Restrictions};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;
use uuid::Uuid;

/// A token of a portal, under its bearer's fingerprint; it never changes. One that ends by itself is removed some
/// time after it has, any other never.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Token {
    pub(crate) uuid: Uuid,
    pub(crate) organization: Uuid,
    pub(crate) portal: Uuid,
    pub(crate) description: Option<String>,
    pub(crate) created_at_ms: Moment,
    pub(crate) expires_at_ms: Option<Moment>,
    #[serde(default, skip_serializing_if = "TokenKind::is_service")]
    pub(crate) kind: TokenKind,
    /// The secret that it was exchanged for, and with which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Uuid>,
    /// The trusted issuer that vouched for whoever it was made for, and with which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trusted_issuer: Option<Uuid>,
    /// The user who made it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created_by: Option<Uuid>,
    /// What it may do less than its portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) restrictions: Option<Restrictions>,
    /// Calls in a window, where it has a limit of its own: none is 0 or nothing, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate_limit_per_minute: Option<u32>,
    /// The member in whose name it runs, where it is a user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) member: Option<TokenMember>,
}

/// The member in whose name a token runs, and with whose place it ends.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct TokenMember {
    pub(crate) user: Uuid,
    pub(crate) membership: Uuid,
    /// The portal's, when the token was made: with another it ends.
    pub(crate) invokable_since: u64,
}

/// How a token came to be, and what it lasts for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenKind {
    /// Made by an administrator, until it is revoked.
    #[default]
    Service,
    /// Exchanged for a secret of the portal, for an hour at most.
    Ephemeral,
    /// Approved by a member, for half a day at most.
    User,
}

impl TokenKind {
    /// Its name, as everybody outside knows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Ephemeral => "ephemeral",
            Self::User => "user",
        }
    }

    fn is_service(&self) -> bool {
        *self == Self::Service
    }
}

impl Token {
    /// How often it may be used, where that is counted.
    pub(crate) fn max_uses(&self) -> Option<u32> {
        self.restrictions.as_ref().and_then(|restrictions| restrictions.max_uses)
    }

    /// Whether its time is over; at the very moment that was said, it is.
    pub(crate) fn has_expired(&self, now: SystemTime) -> bool {
        self.expires_at_ms.is_some_and(|end| SystemTime::from(end) <= now)
    }
}

/// How many uses of a token are spent, where they are counted.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct SpentUses {
    pub(crate) spent: u32,
}

/// When a token was last used.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct TokenUse {
    pub(crate) last_used_at_ms: Moment,
}
