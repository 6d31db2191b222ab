//! Removes what is left of sessions that have been over for long.

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

/// How often they are looked for.
const PERIOD: Duration = Duration::from_secs(60);
/// How long a session must have been over: so long that its last use has been written, and that a clock which is put
/// right does not bring it back to life.
const AFTER: Duration = Duration::from_secs(60 * 60);
/// How many are removed with one commit.
const BATCH: usize = 500;

/// Removes sessions, now and then, until the registry is dropped.
pub(crate) async fn run(shared: Weak<Shared>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        if let Err(fault) = sweep(&shared.catalog, Moment::now().before(AFTER)).await {
            tracing::warn!(error = %Chain(&fault), "sessions that are over are not removed yet");
        }
    }
}

/// Removes all that were over before a moment.
async fn sweep(catalog: &Catalog, before: Moment) -> Result<(), Fault> {
    loop {
        let over = catalog.sessions_ended_before(before, BATCH)?;
        let Some(count) = u64::try_from(over.len()).ok().filter(|count| *count > 0) else { return Ok(()) };
        let mut batch = Batch::new();
        for (at, session, ending) in over {
            batch = batch
                .delete(table::access_token(&ending.fingerprint))
                .delete(table::session_order(ending.user, session))
                .delete(table::token_use(session))
                .delete(table::session_ending(at, session));
            // Where it was ended before its time: with the session gone nothing is left that this could bring back.
            if catalog.has_ended(Mortal::AccessToken, session)? {
                batch = batch.delete(table::end(Mortal::AccessToken, session));
            }
        }
        catalog.commit(batch).await.map_err(change::refused)?;
        counter!("portals_registry_sessions_removed_total").increment(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Registry,
        administration::desk::{access_token, registry},
        caller::{Caller, Origin},
        record::Scope,
    };
    use model::Bearer;
    use proto::registry::v1;
    use std::time::SystemTime;
    use tonic::metadata::MetadataMap;
    use uuid::Uuid;

    const PASSWORD: &str = "correct horse battery";

    fn presenting(registry: &Registry, bearer: &Bearer) -> Result<Caller, Fault> {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", format!("Bearer {}", bearer.expose()).parse().unwrap());
        Caller::authenticate(registry.catalog(), &metadata)
    }

    /// A user with a password.
    async fn ada(registry: &Registry) -> Uuid {
        let administration = registry.administration();
        let request = v1::CreateUserRequest { name: "Ada".to_owned(), email: "ada@example.com".to_owned() };
        let operator = crate::administration::desk::operator();
        let user = administration.create_user(&operator, request).await.unwrap();
        let user = user.uuid.parse().unwrap();
        let token = access_token(registry, vec![Scope::WriteUser], Some(user)).await;
        let caller = presenting(registry, &token).unwrap();
        let request = v1::SetPasswordRequest { current_password: None, password: PASSWORD.to_owned() };
        administration.set_password(&caller, request).await.unwrap();
        user
    }

    async fn session(registry: &Registry) -> (Bearer, SystemTime) {
        let (email, password) = ("ada@example.com".to_owned(), PASSWORD.to_owned());
        let request = v1::CreateSessionRequest { email, password };
        let made = registry.administration().create_session(&Origin::default(), request).await.unwrap();
        (made.1, made.2)
    }

    /// What is left of a session, by the names of its records.
    fn left(
        registry: &Registry,
        user: Uuid,
        uuid: Uuid,
        (bearer, end): &(Bearer, SystemTime),
    ) -> Vec<&'static str> {
        let places = [
            ("session", table::access_token(&bearer.fingerprint())),
            ("order", table::session_order(user, uuid)),
            ("ending", table::session_ending((*end).into(), uuid)),
            ("end", table::end(Mortal::AccessToken, uuid)),
        ];
        let there = |(name, key)| registry.catalog().get(&key).unwrap().map(|_| name);
        places.into_iter().filter_map(there).collect()
    }

    #[tokio::test]
    async fn a_session_is_removed_wholly_an_hour_after_its_time_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path()).await;
        let user = ada(&registry).await;
        let (live, ended) = (session(&registry).await, session(&registry).await);
        let uuid = |bearer: &Bearer| presenting(&registry, bearer).unwrap().token().uuid;
        let (live_uuid, ended_uuid) = (uuid(&live.0), uuid(&ended.0));
        let caller = presenting(&registry, &ended.0).unwrap();
        registry.administration().delete_session(&caller).await.unwrap();
        assert!(presenting(&registry, &ended.0).is_err());

        sweep(registry.catalog(), live.1.into()).await.unwrap();
        assert_eq!(left(&registry, user, live_uuid, &live), ["session", "order", "ending"]);
        assert_eq!(left(&registry, user, ended_uuid, &ended), ["session", "ending", "end"]);

        sweep(registry.catalog(), (ended.1 + Duration::from_secs(1)).into()).await.unwrap();
        for (uuid, session) in [(live_uuid, &live), (ended_uuid, &ended)] {
            assert_eq!(left(&registry, user, uuid, session), <[&str; 0]>::default());
            assert!(presenting(&registry, &session.0).is_err());
        }
    }
}
