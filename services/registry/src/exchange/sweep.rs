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
                .delete(table::spent_uses(token))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Registry,
        administration::desk::{operator, registry},
        change::{Author, Draft, Plan},
        exchange::mint::{Minted, Order, mint},
        record::{self, Portal, TokenKind, TokenUse},
    };
    use model::Bearer;
    use proto::registry::v1;
    use std::time::SystemTime;

    const HOUR: Duration = AFTER;

    fn viewer(registry: &Registry) -> Portal {
        registry.administration().portal("acme", "viewer").unwrap()
    }

    /// A token that was made at this time, for an hour.
    async fn minted(registry: &Registry, made_at: SystemTime) -> (Bearer, Minted) {
        let (administration, portal) = (registry.administration(), viewer(registry));
        let plan = || {
            let draft = Draft::of(administration.catalog, "acme")?;
            let (kind, author) = (TokenKind::Ephemeral, Author::from(&operator()));
            let order = Order::new(&portal, kind, HOUR, author);
            let (write, bearer, minted) = mint(administration.catalog, draft, order, made_at)?;
            Ok(Plan::Write(write, (bearer, minted)))
        };
        administration.turns.change(administration.catalog, "acme", plan).await.unwrap().0
    }

    /// What is left of a token, by the names of its records.
    fn left(registry: &Registry, (bearer, minted): &(Bearer, Minted)) -> Vec<&'static str> {
        let (catalog, portal) = (registry.catalog(), viewer(registry).uuid);
        let places = [
            ("token", table::token(&bearer.fingerprint())),
            ("order", table::ephemeral_order(portal, minted.uuid)),
            ("ending", table::ending(minted.expires_at.into(), minted.uuid)),
            ("use", table::token_use(minted.uuid)),
            ("end", table::end(Mortal::Token, minted.uuid)),
        ];
        let there = |(name, key)| catalog.get(&key).unwrap().map(|_| name);
        places.into_iter().filter_map(there).collect()
    }

    async fn revoke(registry: &Registry, uuid: &str) {
        let request = v1::DeletePortalTokenRequest {
            organization: "acme".to_owned(),
            portal: "viewer".to_owned(),
            uuid: uuid.to_owned(),
        };
        registry.administration().delete_token(&operator(), request).await.unwrap();
    }

    #[tokio::test]
    async fn what_ended_over_an_hour_ago_is_removed_wholly_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path()).await;
        let now = SystemTime::now();
        let old = minted(&registry, now - HOUR * 3).await;
        let revoked = minted(&registry, now - HOUR * 3).await;
        let lately = minted(&registry, now - HOUR - HOUR / 2).await;
        let live = minted(&registry, now).await;
        revoke(&registry, &revoked.1.uuid.to_string()).await;
        let used = record::write(&TokenUse { last_used_at_ms: now.into() });
        let batch = Batch::new().put(table::token_use(old.1.uuid), used);
        registry.catalog().commit(batch).await.unwrap();
        let service = v1::CreatePortalTokenRequest {
            organization: "acme".to_owned(),
            portal: "viewer".to_owned(),
            ..Default::default()
        };
        let (service, _) = registry.administration().create_token(&operator(), service).await.unwrap();
        revoke(&registry, &service.uuid).await;
        assert_eq!(left(&registry, &old), ["token", "order", "ending", "use"]);
        assert_eq!(left(&registry, &revoked), ["token", "ending", "end"]);

        sweep(registry.catalog(), Moment::from(now).before(AFTER)).await.unwrap();

        for gone in [&old, &revoked] {
            assert_eq!(left(&registry, gone), <[&str; 0]>::default());
        }
        for stays in [&lately, &live] {
            assert_eq!(left(&registry, stays), ["token", "order", "ending"]);
        }
        let uuid = service.uuid.parse().unwrap();
        assert!(registry.catalog().has_ended(Mortal::Token, uuid).unwrap(), "it stays revoked for ever");
    }

    #[tokio::test]
    async fn more_than_one_commit_removes_are_removed_by_several() {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path()).await;
        let now = SystemTime::now();
        for _ in 0..=BATCH {
            minted(&registry, now - HOUR * 3).await;
        }
        let before = registry.catalog().revision();
        sweep(registry.catalog(), Moment::from(now).before(AFTER)).await.unwrap();
        assert_eq!(registry.catalog().revision(), before + 2);
        assert!(registry.catalog().ended_before(now.into(), 1).unwrap().is_empty());
    }
}
