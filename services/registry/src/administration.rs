//! Manages organizations, portals, tokens, users and members: what may be changed, by whom, and what it takes.
//!
//! It knows neither how a bearer is authorized nor who watches; a change that takes something from a grant is
//! answered when nobody can use it any more.

mod access_tokens;
mod admission;
mod code_service;
mod codes;
#[cfg(test)]
pub(crate) mod desk;
mod document;
mod invitations;
mod lists;
mod members;
mod membership;
mod openid;
mod organizations;
mod own_password;
mod portals;
pub(crate) mod problems;
mod reach;
pub(crate) mod restrictions;
mod revision;
mod schema;
mod secrets;
mod service;
mod sessions;
mod sign_in;
mod tokens;
mod trusted_issuers;
mod upstream;
mod upstream_credentials;
mod users;
pub(crate) mod wire;

pub(crate) use trusted_issuers::MAX_TRUSTED_ISSUERS;
pub use upstream::{check_upstream_token, check_upstream_url};

use crate::{
    catalog::Catalog,
    change::{Plan, Turns},
    codes::Codes,
    exchange::Guesses,
    identity::Issuers,
    openid::SignIns,
    passwords::Passwords,
    schema::Schemas,
    usage::Usage,
    withdrawals::Withdrawals,
};
use metrics::histogram;
use model::{Fault, Reason, key::PurposeKeys};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// When whoever cannot be told that a change holds may ask again.
const RETRY: Duration = Duration::from_secs(5);

/// What it takes to manage.
#[derive(Clone, Copy)]
pub(crate) struct Administration<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) turns: &'a Turns,
    pub(crate) usage: &'a Usage,
    pub(crate) withdrawals: &'a Withdrawals,
    pub(crate) credentials: &'a PurposeKeys,
    pub(crate) passwords: &'a Passwords,
    /// Wrong passwords and invitations.
    pub(crate) guesses: &'a Guesses,
    pub(crate) codes: &'a Codes,
    /// Wrong codes of members.
    pub(crate) typed: &'a Guesses,
    pub(crate) sign_ins: &'a SignIns,
    pub(crate) issuers: &'a Issuers,
    pub(crate) schemas: &'a Arc<Schemas>,
}

impl Administration<'_> {
    /// Makes a change that takes something from a grant, and waits until nobody can use it any more. Where there is
    /// nothing to change, another may have changed it just now, and that is waited for.
    async fn withdraw<Answer>(
        &self,
        organization: &str,
        plan: impl Fn() -> Result<Plan<Answer>, Fault>,
    ) -> Result<Answer, Fault> {
        let (answer, revision) = self.turns.change(self.catalog, organization, plan).await?;
        let revision = revision.unwrap_or_else(|| self.catalog.revision());
        let since = Instant::now();
        self.withdrawals.settled(revision).await.map_err(|unsettled| {
            let message = "the change is stored, but not every edge has answered that it holds there";
            Fault::new(Reason::StorageUnavailable, message).retry_after(RETRY).because(unsettled)
        })?;
        histogram!("portals_registry_settle_seconds").record(since.elapsed().as_secs_f64());
        Ok(answer)
    }
}
