//! When tokens were last used: noted in memory, written now and then, never on the way of a call.

use crate::{
    catalog::Catalog,
    change,
    record::{self, Moment, TokenUse},
    store::Batch,
    table,
};
use metrics::counter;
use model::Fault;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use uuid::Uuid;

/// How often what was noted is written.
pub(crate) const PERIOD: Duration = Duration::from_secs(30);
/// How many tokens are noted at most until then; of more, the use is not known.
const MAX_NOTED: usize = 100_000;
/// How many are written with one commit.
const BATCH: usize = 1_000;

/// What was used since it was last written.
#[derive(Default)]
pub(crate) struct Usage(Mutex<HashMap<Uuid, Moment>>);

impl Usage {
    /// Notes that a token was used.
    pub(crate) fn note(&self, token: Uuid, at: Moment) {
        let mut noted = self.lock();
        if noted.len() >= MAX_NOTED && !noted.contains_key(&token) {
            drop(noted);
            counter!("portals_registry_uses_not_noted_total").increment(1);
            return;
        }
        noted.insert(token, at);
    }

    /// When a token was last used, as far as that is not yet written.
    pub(crate) fn last(&self, token: Uuid) -> Option<Moment> {
        self.lock().get(&token).copied()
    }

    /// Writes what was noted; what could not be written stays noted.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub(crate) async fn write(&self, catalog: &Catalog) -> Result<(), Fault> {
        let noted: Vec<(Uuid, Moment)> = self.lock().iter().map(|(token, at)| (*token, *at)).collect();
        for some in noted.chunks(BATCH) {
            let put = |batch: Batch, (token, at): &(Uuid, Moment)| {
                batch.put(table::token_use(*token), record::write(&TokenUse { last_used_at_ms: *at }))
            };
            catalog.commit(some.iter().fold(Batch::new(), put)).await.map_err(change::refused)?;
            let mut noted = self.lock();
            for (token, written) in some {
                if noted.get(token) == Some(written) {
                    noted.remove(token);
                }
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Moment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
