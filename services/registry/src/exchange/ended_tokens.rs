//! Tokens that ended by themselves; service tokens and what says that they are revoked stay.

use crate::{
    catalog::{Catalog, ReadError},
    record::{Ending, Moment},
    store::Key,
    sweep::Over,
    table::{self, Mortal},
};
use uuid::Uuid;

/// A token that ended by itself.
pub(crate) struct EndedToken {
    at: Moment,
    uuid: Uuid,
    ending: Ending,
}

impl Over for EndedToken {
    const NAME: &'static str = "tokens";
    const COUNTER: &'static str = "portals_registry_tokens_removed_total";

    fn before(catalog: &Catalog, moment: Moment, limit: usize) -> Result<Vec<Self>, ReadError> {
        let ended = catalog.ended_before(moment, limit)?.into_iter();
        Ok(ended.map(|(at, uuid, ending)| Self { at, uuid, ending }).collect())
    }

    fn mortal(&self) -> (Mortal, Uuid) {
        (Mortal::Token, self.uuid)
    }

    fn places(&self) -> Vec<Key> {
        let Self { at, uuid, ending } = self;
        vec![
            table::token(&ending.fingerprint),
            table::ephemeral_order(ending.portal, *uuid),
            table::token_use(*uuid),
            table::spent_uses(*uuid),
            table::ending(*at, *uuid),
        ]
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
        store::Batch,
        sweep::{AFTER, BATCH, sweep},
    };
    use model::Bearer;
    use proto::registry::v1;
    use std::time::{Duration, SystemTime};

    const HOUR: Duration = AFTER;
    const MINUTE: Duration = Duration::from_secs(60);

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
    async fn what_ended_before_a_moment_is_removed_wholly_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path()).await;
        let now = SystemTime::now();
        // Over for less than an hour, all of them, so that nobody else removes any.
        let old = minted(&registry, now - HOUR - MINUTE * 50).await;
        let revoked = minted(&registry, now - HOUR - MINUTE * 50).await;
        let lately = minted(&registry, now - HOUR - MINUTE * 10).await;
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

        sweep::<EndedToken>(registry.catalog(), Moment::from(now - MINUTE * 30)).await.unwrap();

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
            minted(&registry, now - HOUR - MINUTE * 10).await;
        }
        let before = registry.catalog().revision();
        sweep::<EndedToken>(registry.catalog(), now.into()).await.unwrap();
        assert_eq!(registry.catalog().revision(), before + 2);
        assert!(registry.catalog().ended_before(now.into(), 1).unwrap().is_empty());
    }
}
