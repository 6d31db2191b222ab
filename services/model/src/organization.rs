//! Who owns portals, and where they run.

use crate::{Secret, Slug};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// Calls a minute of an organization that sets nothing else.
pub const RATE_LIMIT_PER_MINUTE: u32 = 200;
/// The whole time of an invocation where an organization sets nothing else.
pub const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(30);

/// An owner of portals.
#[derive(Clone, Debug)]
pub struct Organization {
    /// Its identity, which never changes.
    pub uuid: Uuid,
    /// Its name in URLs.
    pub slug: Slug,
    /// Its name for people.
    pub name: String,
    /// The API that its portals run against.
    pub upstream: Upstream,
    /// Calls in a window of one minute; 0 for no limit.
    pub rate_limit_per_minute: u32,
    /// When it was made.
    pub created_at: SystemTime,
}

/// A GraphQL API and how to call it.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where it is: `http` or `https`, no user, no fragment.
    pub url: String,
    /// Goes there as `Authorization: Bearer …`; nothing when empty.
    pub credential: Secret,
    /// More header fields that go there.
    pub headers: Vec<(String, Secret)>,
    /// The whole time of an invocation.
    pub timeout: Duration,
}
