//! Removes what is left of tokens that ended by themselves; service tokens and what says that they are revoked stay.

use crate::{
    catalog::Catalog,
    change,
    record::Moment,
    registry::Shared,
    store::Batch,
    table::{self, Mortal},
};
use metrics::counter;
use model::{Fault, fault::Chain};
use std::{sync::Weak, time::Duration};

/// How often what has ended is looked for.
const PERIOD: Duration = Duration::from_secs(60);
/// How long a token must have ended: so long that its last use has been written, and that a clock which is put right
/// does not bring it back to life.
const AFTER: Duration = Duration::from_secs(60 * 60);
/// How many are removed with one commit.
const BATCH: usize = 500;

/// Removes what has ended, now and then, until the registry is dropped.
pub(crate) async fn run(shared: Weak<Shared>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        if let Err(fault) = sweep(&shared.catalog, Moment::now().before(AFTER)).await {
            tracing::warn!(error = %Chain(&fault), "tokens that have ended are not removed yet");
        }
    }
}

/// Removes all that ended before a moment.
async fn sweep(catalog: &Catalog, before: Moment) -> Result<(), Fault> {
    loop {
        let ended = catalog.ended_before(before, BATCH)?;
        let Some(count) = u64::try_from(ended.len()).ok().filter(|count| *count > 0) else { return Ok(()) };
        let mut batch = Batch::new();
        for (at, token, ending) in ended {
            batch = batch
                .delete(table::token(&ending.fingerprint))
                .delete(table::ephemeral_order(ending.portal, token))
                .delete(table::token_use(token))
                .delete(table::ending(at, token));
            // Where it was revoked before it ended: with the token gone nothing is left that this could bring back.
            if catalog.has_ended(Mortal::Token, token)? {
                batch = batch.delete(table::end(Mortal::Token, token));
            }
        }
        catalog.commit(batch).await.map_err(change::refused)?;
        counter!("portals_registry_tokens_removed_total").increment(count);
    }
}
