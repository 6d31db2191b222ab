//! The one thing an executor does, however it is reached.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use model::{Fault, Fingerprint, Secret};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Runs granted operations: the executor itself, or a session with one over the network.
pub trait Execute: Send + Sync + 'static {
    /// Runs one operation, and says what became of it soon after the call's deadline at the latest: nobody else looks at
    /// the clock. Dropping the future cancels the call.
    fn execute(&self, call: Call) -> BoxFuture<'static, Result<Answer, Fault>>;

    /// Whether a call would reach an executor just now.
    fn reachable(&self) -> bool {
        true
    }
}

/// A grant as an edge carries it: signed, unopened.
#[derive(Clone, Debug)]
pub struct SignedGrant {
    /// SHA-256 of the JWT: names it once it is known.
    pub hash: Fingerprint,
    /// The JWT.
    pub jwt: Secret,
}

impl SignedGrant {
    /// Takes a JWT as the registry returned it.
    pub fn new(jwt: Secret) -> Self {
        Self { hash: Fingerprint::of(jwt.expose().as_bytes()), jwt }
    }
}

/// An operation to run.
#[derive(Clone)]
pub struct Call {
    /// What may be run.
    pub grant: Arc<SignedGrant>,
    /// Which operation; needed only where the document has several.
    pub operation_name: Option<String>,
    /// A JSON object of the variables by name; nothing counts as `{}`.
    pub variables: Bytes,
    /// When nobody waits for the answer any more.
    pub deadline: Instant,
    /// How long it may wait for its turn where all are taken, if that is longer than others may.
    pub patience: Duration,
    /// What the logs know the call by.
    pub request_id: String,
}

/// An upstream's answer.
pub struct Answer {
    /// The HTTP status that the caller is to see.
    pub status: u16,
    /// The names of the variables that were left out.
    pub ignored_variables: Vec<String>,
    /// The upstream's JSON, byte for byte.
    pub body: Body,
}

/// The body of an answer.
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// As it comes; a fault is the last item and means that the rest is missing.
    Stream(mpsc::Receiver<Result<Bytes, Fault>>),
}
