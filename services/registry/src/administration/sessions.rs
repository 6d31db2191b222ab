//! Sessions: made for a password, ended, and removed once they have been over for long.

use super::Administration;
use crate::{
    caller::{Caller, Origin},
    change::{Author, Draft, Happening, House, NO_ORGANIZATION, Plan},
    record::{
        AccessToken, AccessTokenKind, Actor, ActorKind, End, Mark, Moment, Scope, SessionEnding, User,
        UserPassword,
    },
    table::{self, Mortal},
};
use metrics::counter;
use model::{Bearer, BearerKind, Email, Fault, Reason, Secret};
use proto::{registry::v1, time};
use serde_json::json;
use std::time::{Duration, Instant, SystemTime};
use uuid::Uuid;

/// How long a session lasts.
const LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// The most sessions of a user; with one more the oldest ends.
pub(super) const MAX_SESSIONS: usize = 20;
/// What a session is called where access tokens are told.
const DESCRIPTION: &str = "session";

impl Administration<'_> {
    /// Makes a session for whoever knows a user's password.
    ///
    /// # Errors
    ///
    /// UNAUTHENTICATED, after the same work and in the same words whatever it is that is wrong; RATE_LIMITED for who
    /// guesses too often, OVERLOADED when too many wait.
    pub(crate) async fn create_session(
        &self,
        origin: &Origin,
        request: v1::CreateSessionRequest,
    ) -> Result<(User, Bearer, SystemTime), Fault> {
        let v1::CreateSessionRequest { email, password } = request;
        let made = self.try_session(origin, &email, Secret::new(password)).await;
        let outcome = made.as_ref().map_or_else(|fault| fault.reason().code(), |_| "CREATED");
        counter!("portals_registry_sign_ins_total", "outcome" => outcome).increment(1);
        made
    }

    async fn try_session(
        &self,
        origin: &Origin,
        email: &str,
        sent: Secret,
    ) -> Result<(User, Bearer, SystemTime), Fault> {
        let guess = self.guesses.begin(origin.address, email, Instant::now())?;
        let found = self.person(email)?;
        let hash = found.as_ref().map(|(_, password)| &password.hash);
        let right = match self.passwords.matches(sent, hash).await {
            Ok(right) => right,
            Err(fault) => {
                guess.forget();
                return Err(fault);
            }
        };
        let Some((user, password)) = found.filter(|_| right) else { return Err(refused()) };
        guess.forget();
        let (bearer, expires_at) = self.begin_session(origin, &user, Some(&password)).await?;
        Ok((user, bearer, expires_at))
    }

    /// The user of an address with their password, if there is one who has one.
    fn person(&self, email: &str) -> Result<Option<(User, UserPassword)>, Fault> {
        let Ok(email) = email.parse::<Email>() else { return Ok(None) };
        let Some((user, _)) = self.catalog.user_at(&email)? else { return Ok(None) };
        let password = self.catalog.password(user.uuid)?;
        Ok(password.map(|password| (user, password)))
    }

    /// Begins a session of a user: of one whose password is known, if that is still theirs.
    pub(super) async fn begin_session(
        &self,
        origin: &Origin,
        user: &User,
        known: Option<&UserPassword>,
    ) -> Result<(Bearer, SystemTime), Fault> {
        let now = SystemTime::now();
        let ends = Moment::from(now + LIFE);
        let expires_at = SystemTime::from(ends);
        let token = session(user.uuid, now.into(), ends);
        let bearer = Bearer::generate(BearerKind::AccessToken);
        let actor = Actor { r#type: ActorKind::User, uuid: user.uuid, name: user.name.clone() };
        let plan = || {
            let mut draft = Draft::of_house(self.catalog)?;
            // Again, now that a change in between would be noticed.
            let hash = self.catalog.password(user.uuid)?.map(|password| password.hash);
            let is_same = known.is_none_or(|known| hash.is_some_and(|hash| hash == known.hash));
            if self.catalog.user(user.uuid)?.is_none() || !is_same {
                return Err(refused());
            }
            let sessions = self.catalog.sessions(user.uuid, MAX_SESSIONS)?;
            let too_many = sessions.get(MAX_SESSIONS.saturating_sub(1)..).unwrap_or_default();
            end_sessions(&mut draft, user.uuid, too_many, now.into());
            let fingerprint = bearer.fingerprint();
            draft.put(table::access_token(&fingerprint), &token);
            draft.put(table::session_order(user.uuid, token.uuid), &Mark { fingerprint });
            let ending = SessionEnding { user: user.uuid, fingerprint };
            draft.put(table::session_ending(ends, token.uuid), &ending);
            let happening = Happening {
                r#type: "SESSION_CREATED",
                subject: "session",
                uuid: token.uuid,
                name: &user.name,
                data: json!({
                    "user": {"uuid": user.uuid, "email": user.email},
                    "method": if known.is_some() { "password" } else { "openid" },
                    "expires_at": time::text(expires_at),
                }),
            };
            let author = Author { actor: actor.clone(), origin: origin.clone() };
            Ok(Plan::Write(draft.record(author, now.into(), happening), ()))
        };
        self.turns.change(self.catalog, NO_ORGANIZATION, plan).await?;
        Ok((bearer, expires_at))
    }

    /// Ends the session that asks: no call that comes after this is let in by it.
    pub(crate) async fn delete_session(&self, caller: &Caller) -> Result<(), Fault> {
        let no_session = || Fault::new(Reason::NotFound, "No session found: the API access token is none");
        let AccessToken { kind: AccessTokenKind::Session, user: Some(user), uuid, .. } = *caller.token()
        else {
            return Err(no_session());
        };
        let plan = || {
            let mut draft = Draft::of_house(self.catalog)?;
            let (owner, _) = self.catalog.user(user)?.ok_or_else(no_session)?;
            let now = Moment::now();
            end_sessions(&mut draft, user, std::slice::from_ref(caller.token()), now);
            let happening = Happening {
                r#type: "SESSION_ENDED",
                subject: "session",
                uuid,
                name: &owner.name,
                data: json!({"user": {"uuid": user, "email": owner.email}}),
            };
            Ok(Plan::Write(draft.record(caller, now, happening), ()))
        };
        self.turns.change(self.catalog, NO_ORGANIZATION, plan).await.map(drop)
    }
}

/// Ends sessions of a user; what is left of them is removed when they have been over for long.
pub(super) fn end_sessions(draft: &mut Draft<House>, user: Uuid, sessions: &[AccessToken], at: Moment) {
    for session in sessions {
        draft.delete(table::session_order(user, session.uuid));
        draft.put(table::end(Mortal::AccessToken, session.uuid), &End { ended_at_ms: at });
    }
}

fn session(user: Uuid, now: Moment, expires_at: Moment) -> AccessToken {
    AccessToken {
        uuid: Uuid::now_v7(),
        description: DESCRIPTION.to_owned(),
        kind: AccessTokenKind::Session,
        scopes: Scope::ALL.into_iter().filter(|scope| scope.is_for_users()).collect(),
        created_at_ms: now,
        user: Some(user),
        expires_at_ms: Some(expires_at),
        allowed_ip_addresses: None,
    }
}

/// The one answer to whoever does not know the password of a user, whatever it is that is wrong.
fn refused() -> Fault {
    Fault::new(Reason::Unauthenticated, "the email address or the password is wrong")
}
