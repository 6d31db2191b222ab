//! What an operator decides about the edge; where the values come from is the roof's matter.

use model::{Secret, address::TrustedProxies};
use std::time::Duration;

/// The edge's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// What URLs in answers begin with, without a slash at the end.
    pub public_url: String,
    /// Proves to the registry that this may watch.
    pub edge_key: Secret,
    /// Whose word on the client's address counts.
    pub trusted_proxies: TrustedProxies,
    /// How long a grant is used after the registry was last heard; zero puts revocation above availability.
    pub max_staleness: Duration,
    /// How long a request's body may take to arrive.
    pub body_timeout: Duration,
    /// The most bytes of a request's body.
    pub max_body_bytes: usize,
    /// The most calls in flight in the whole process.
    pub max_calls: usize,
    /// The most requests of one access token in a minute; 0 for no limit.
    pub rest_rate_limit: u32,
    /// The most grants kept in memory.
    pub max_grants: usize,
    /// The most bytes that the kept grants have together.
    pub max_grant_bytes: usize,
}

impl Config {
    /// The usual settings.
    pub fn new(public_url: impl Into<String>, edge_key: Secret) -> Self {
        Self {
            public_url: public_url.into(),
            edge_key,
            trusted_proxies: TrustedProxies::default(),
            max_staleness: Duration::from_secs(60),
            body_timeout: Duration::from_secs(30),
            max_body_bytes: 1 << 20,
            max_calls: 4_096,
            rest_rate_limit: 600,
            max_grants: 100_000,
            max_grant_bytes: 256 << 20,
        }
    }
}
