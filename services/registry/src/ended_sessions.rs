//! Sessions that ended by themselves.

use crate::{
    catalog::{Catalog, ReadError},
    record::{Moment, SessionEnding},
    store::Key,
    sweep::Over,
    table::{self, Mortal},
};
use uuid::Uuid;

/// A session that ended by itself.
pub(crate) struct EndedSession {
    at: Moment,
    uuid: Uuid,
    ending: SessionEnding,
}

impl Over for EndedSession {
    const NAME: &'static str = "sessions";
    const COUNTER: &'static str = "portals_registry_sessions_removed_total";

    fn before(catalog: &Catalog, moment: Moment, limit: usize) -> Result<Vec<Self>, ReadError> {
        let ended = catalog.sessions_ended_before(moment, limit)?.into_iter();
        Ok(ended.map(|(at, uuid, ending)| Self { at, uuid, ending }).collect())
    }

    fn mortal(&self) -> (Mortal, Uuid) {
        (Mortal::AccessToken, self.uuid)
    }

    fn places(&self) -> Vec<Key> {
        let Self { at, uuid, ending } = self;
        vec![
            table::access_token(&ending.fingerprint),
            table::session_order(ending.user, *uuid),
            table::token_use(*uuid),
            table::session_ending(*at, *uuid),
        ]
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
        sweep::sweep,
    };
    use model::{Bearer, Fault};
    use proto::registry::v1;
    use std::time::{Duration, SystemTime};
    use tonic::metadata::MetadataMap;

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

        sweep::<EndedSession>(registry.catalog(), live.1.into()).await.unwrap();
        assert_eq!(left(&registry, user, live_uuid, &live), ["session", "order", "ending"]);
        assert_eq!(left(&registry, user, ended_uuid, &ended), ["session", "ending", "end"]);

        sweep::<EndedSession>(registry.catalog(), (ended.1 + Duration::from_secs(1)).into()).await.unwrap();
        for (uuid, session) in [(live_uuid, &live), (ended_uuid, &ended)] {
            assert_eq!(left(&registry, user, uuid, session), <[&str; 0]>::default());
            assert!(presenting(&registry, &session.0).is_err());
        }
    }
}
