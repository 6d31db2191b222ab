//! Removes what is left of things that have been over for long.

use crate::{
    catalog::{Catalog, ReadError},
    change,
    record::Moment,
    registry::Shared,
    store::{Batch, Key},
    table::{self, Mortal},
};
use metrics::counter;
use model::{Fault, fault::Chain};
use std::{sync::Weak, time::Duration};
use uuid::Uuid;

/// How often they are looked for.
const PERIOD: Duration = Duration::from_secs(60);
/// How long a thing must have been over: so long that its last use has been written, and that a clock which is put right
/// does not bring it back to life.
pub(crate) const AFTER: Duration = Duration::from_secs(60 * 60);
/// How many are removed with one commit.
pub(crate) const BATCH: usize = 500;

/// A thing that ended by itself.
pub(crate) trait Over: Sized {
    /// What these are, in a word.
    const NAME: &'static str;
    /// Counts those that are removed.
    const COUNTER: &'static str;

    /// The first `limit` that were over before a moment.
    fn before(catalog: &Catalog, moment: Moment, limit: usize) -> Result<Vec<Self>, ReadError>;

    /// As what it can have been ended before its time.
    fn mortal(&self) -> (Mortal, Uuid);

    /// Where all lies that is left of it, but that it was ended.
    fn places(&self) -> Vec<Key>;
}

/// Removes them, now and then, until the registry is dropped.
pub(crate) async fn run<Thing: Over>(shared: Weak<Shared>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        if let Err(fault) = sweep::<Thing>(&shared.catalog, Moment::now().before(AFTER)).await {
            tracing::warn!(error = %Chain(&fault), "{} that are over are not removed yet", Thing::NAME);
        }
    }
}

/// Removes all that were over before a moment.
pub(crate) async fn sweep<Thing: Over>(catalog: &Catalog, before: Moment) -> Result<(), Fault> {
    loop {
        let over = Thing::before(catalog, before, BATCH)?;
        let Some(count) = u64::try_from(over.len()).ok().filter(|count| *count > 0) else { return Ok(()) };
        let mut batch = Batch::new();
        for thing in over {
            batch = thing.places().into_iter().fold(batch, Batch::delete);
            let (what, uuid) = thing.mortal();
            // Where it was ended before its time: with the thing gone nothing is left that this could bring back.
            if catalog.has_ended(what, uuid)? {
                batch = batch.delete(table::end(what, uuid));
            }
        }
        catalog.commit(batch).await.map_err(change::refused)?;
        counter!(Thing::COUNTER).increment(count);
    }
}
