//! Uses of tokens that may be used so often and no more: each is written before the call that it is for may be made.
//!
//! Whatever dies in between, a use that was spent stays spent: it may be lost, and is never had twice.

use crate::{
    authorize::{Admitted, rests_on},
    catalog::Catalog,
    change,
    record::{self, SpentUses, Token},
    store::{Batch, CommitError, Condition},
    table,
};
use metrics::counter;
use model::{Fault, Reason, restriction::Rule};
use std::time::Duration;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};
use uuid::Uuid;

/// How many tokens can be used at once without waiting for another.
const TURNS: u128 = 64;
/// How long a use waits for its turn: less than an edge waits for the answer.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// When whoever waited in vain may try again.
const RETRY: Duration = Duration::from_secs(1);

/// How often a use is spent anew because something that it rests on has changed meanwhile.
const ATTEMPTS: u32 = 5;

/// Whose turn it is to use a token: within this process, uses are spent one after the other, rather than in vain.
pub(crate) struct Uses(Vec<Mutex<()>>);

/// Whether a use was spent.
enum Spent {
    /// It is on disk.
    Yes,
    /// Something that it rests on has changed meanwhile.
    Overtaken,
}

impl Uses {
    pub(crate) fn new() -> Self {
        Self((0..TURNS).map(|_| Mutex::new(())).collect())
    }

    /// Spends a use of `token`, once its turn has come and if `admit` then still admits it.
    ///
    /// # Errors
    ///
    /// What `admit` says; TOKEN_RESTRICTED when all uses are spent; STORAGE_UNAVAILABLE when that cannot be written:
    /// then the use may be spent or not.
    pub(crate) async fn spend(
        &self,
        catalog: &Catalog,
        token: Uuid,
        admit: impl Fn() -> Result<Admitted, Fault>,
    ) -> Result<Admitted, Fault> {
        let _turn = self.turn(token).await?;
        for _ in 0..ATTEMPTS {
            let admitted = admit()?;
            if let Spent::Yes = spend(catalog, &admitted.token).await? {
                counter!("portals_registry_uses_spent_total").increment(1);
                return Ok(admitted);
            }
        }
        Err(busy())
    }

    async fn turn(&self, token: Uuid) -> Result<MutexGuard<'_, ()>, Fault> {
        let place = usize::try_from(token.as_u128() % TURNS).unwrap_or_default();
        let turn = self.0.get(place).ok_or_else(busy)?;
        timeout(PATIENCE, turn.lock()).await.map_err(|_| busy())
    }
}

/// Writes that a use is spent, unless the token or what it belongs to has ended.
async fn spend(catalog: &Catalog, token: &Token) -> Result<Spent, Fault> {
    let Some(most) = token.max_uses() else { return Ok(Spent::Yes) };
    let key = table::spent_uses(token.uuid);
    let (spent, as_read) = match catalog.spent_uses(token.uuid)? {
        Some((uses, revision)) => (uses.spent, Condition::Revision(key.clone(), revision)),
        None => (0, Condition::Absent(key.clone())),
    };
    if spent >= most {
        let times = if most == 1 { "once".to_owned() } else { format!("{most} times") };
        let message = format!("the token may be used {times}, and has been");
        return Err(Fault::restricted(Rule::MaxUses, message));
    }
    let lives = |batch: Batch, (what, uuid)| batch.require(Condition::Absent(table::end(what, uuid)));
    let batch = rests_on(token).fold(Batch::new().require(as_read), lives);
    let uses = SpentUses { spent: spent.saturating_add(1) };
    match catalog.commit(batch.put(key, record::write(&uses))).await {
        Ok(_) => Ok(Spent::Yes),
        Err(CommitError::Conflict { .. }) => Ok(Spent::Overtaken),
        Err(error) => Err(change::refused(error)),
    }
}

fn busy() -> Fault {
    let message = "too many calls wait for a use of the token";
    Fault::new(Reason::StorageUnavailable, message).retry_after(RETRY)
}
