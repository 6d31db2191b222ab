//! A decision on a code while it is being made.

use super::{Approval, Codes, Phase};
use model::Fingerprint;

/// Somebody is about to decide; dropped without a decision, the code waits as before.
pub(crate) struct Decision<'a> {
    codes: &'a Codes,
    secret: Fingerprint,
    phase: Phase,
}

impl<'a> Decision<'a> {
    pub(super) fn new(codes: &'a Codes, secret: Fingerprint) -> Self {
        Self { codes, secret, phase: Phase::Waiting }
    }

    /// A member approves the code.
    pub(crate) fn authorize(mut self, approval: Approval) {
        self.phase = Phase::Authorized(Box::new(approval));
    }

    /// A member denies the code.
    pub(crate) fn deny(mut self) {
        self.phase = Phase::Denied;
    }
}

impl Drop for Decision<'_> {
    fn drop(&mut self) {
        let phase = std::mem::replace(&mut self.phase, Phase::Waiting);
        self.codes.set(&self.secret, phase);
    }
}
