//! A user's own password.

use super::{
    Administration,
    problems::{Problems, invalid},
    sessions::{MAX_SESSIONS, end_sessions},
    users::no_user,
};
use crate::{
    caller::Caller,
    change::{Draft, Happening, NO_ORGANIZATION, Plan},
    record::{Moment, UserPassword},
    table,
};
use model::{Fault, Password, Reason, Secret};
use proto::registry::v1;
use serde_json::json;
use std::time::Instant;

impl Administration<'_> {
    /// Sets the password of the user who asks and ends all their sessions, that which asks included.
    ///
    /// # Errors
    ///
    /// VALIDATION_FAILED for one that nobody may choose, and where the present one is missing or wrong; RATE_LIMITED
    /// for who guesses at it too often, OVERLOADED when too many wait.
    pub(crate) async fn set_password(
        &self,
        caller: &Caller,
        request: v1::SetPasswordRequest,
    ) -> Result<(), Fault> {
        let v1::SetPasswordRequest { current_password, password } = request;
        let user = caller.user().ok_or_else(no_user)?;
        let mut problems = Problems::default();
        let password = problems.take("password", Password::parse(Secret::new(password)));
        let before = self.catalog.password(user.uuid)?;
        if before.is_some() && current_password.is_none() {
            problems.add("current_password is required");
        }
        problems.verdict()?;
        let Some(password) = password else { return Err(invalid("password is required")) };
        if let Some(before) = &before {
            let current = Secret::new(current_password.unwrap_or_default());
            self.prove(caller, &user.email, current, &before.hash).await?;
        }
        let hash = self.passwords.hash(password).await?;
        let plan = || {
            let mut draft = Draft::of_house(self.catalog)?;
            let (user, _) = self.catalog.user(user.uuid)?.ok_or_else(no_user)?;
            let present = self.catalog.password(user.uuid)?;
            if present.map(|present| present.hash) != before.as_ref().map(|before| before.hash.clone()) {
                let message = "the password was changed by somebody else at the same time";
                return Err(Fault::new(Reason::Conflict, message));
            }
            let now = Moment::now();
            draft.put(table::password(user.uuid), &UserPassword { hash: hash.clone(), changed_at_ms: now });
            let sessions = self.catalog.sessions(user.uuid, MAX_SESSIONS)?;
            end_sessions(&mut draft, user.uuid, &sessions, now);
            let happening = Happening {
                r#type: "USER_PASSWORD_CHANGED",
                subject: "user",
                uuid: user.uuid,
                name: &user.name,
                data: json!({"email": user.email, "sessions_ended": sessions.len()}),
            };
            Ok(Plan::Write(draft.record(caller, now, happening), ()))
        };
        self.turns.change(self.catalog, NO_ORGANIZATION, plan).await.map(drop)
    }

    /// Checks that whoever asks knows the present password: an access token that was found is not enough.
    async fn prove(&self, caller: &Caller, email: &str, sent: Secret, hash: &Secret) -> Result<(), Fault> {
        let guess = self.guesses.begin(caller.origin().address, email, Instant::now())?;
        let right = self.passwords.matches(sent, Some(hash)).await;
        if right.as_ref().is_ok_and(|right| !right) {
            return Err(invalid("current_password is not the user's password"));
        }
        guess.forget();
        right.map(drop)
    }
}
