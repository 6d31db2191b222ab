//! A stored document under a name, and the tokens that may run it.

use crate::{AllowedAddresses, Slug};
use std::time::SystemTime;
use uuid::Uuid;

/// What becomes of variables that an operation does not declare.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ExtraVariables {
    /// They are an error.
    #[default]
    Reject,
    /// They are left out, and named in the answer.
    Ignore,
}

/// A portal at one of its revisions.
#[derive(Clone, Debug)]
pub struct Portal {
    /// Its identity, which never changes.
    pub uuid: Uuid,
    /// Who owns it.
    pub organization: Uuid,
    /// Its name in URLs.
    pub slug: Slug,
    /// Its name for people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The GraphQL document, exactly as it was sent.
    pub document: String,
    /// From where it may be called.
    pub allowed: AllowedAddresses,
    /// Whether members may have tokens for it by a device code.
    pub user_invokable: bool,
    /// What becomes of variables that nobody declared.
    pub extra_variables: ExtraVariables,
    /// 1 when it was made, and one more with each change.
    pub revision: u64,
    /// When it was made.
    pub created_at: SystemTime,
    /// When it was last changed.
    pub updated_at: SystemTime,
}

/// What the registry knows of a service token; the bearer itself is known to its holder alone.
#[derive(Clone, Debug)]
pub struct ServiceToken {
    /// Its identity.
    pub uuid: Uuid,
    /// The one portal that it opens.
    pub portal: Uuid,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: SystemTime,
    /// When it ends by itself.
    pub expires_at: Option<SystemTime>,
    /// When it was last authorized.
    pub last_used_at: Option<SystemTime>,
}
