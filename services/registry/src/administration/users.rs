//! Users: made, ended, told. They belong to no organization, and so to the operator.

use super::{
    Administration,
    problems::{Problems, invalid},
    wire,
};
use crate::{
    caller::Caller,
    catalog::{Listed, Window},
    change::{Draft, Happening, NO_ORGANIZATION, Plan},
    record::{End, Moment, Pointer, User},
    store::Condition,
    table::{self, Mortal},
};
use model::{Email, Fault, Reason};
use proto::registry::v1;
use serde_json::json;
use uuid::Uuid;

/// The most users.
const MAX_USERS: u64 = 100_000;

impl Administration<'_> {
    /// The user that a text names by their identity.
    pub(crate) fn user(&self, uuid: &str) -> Result<User, Fault> {
        let uuid: Uuid = uuid.parse().map_err(|_| no_user())?;
        self.catalog.user(uuid)?.map(|(user, _)| user).ok_or_else(no_user)
    }

    /// Who made something, as long as they are a user.
    pub(crate) fn creator(&self, user: Option<Uuid>) -> Result<Option<v1::User>, Fault> {
        match user {
            Some(uuid) => Ok(self.catalog.user(uuid)?.map(|(user, _)| wire::user(user))),
            None => Ok(None),
        }
    }

    /// Checks that there is room for one more user.
    pub(crate) fn check_users(&self) -> Result<(), Fault> {
        if self.catalog.count_users() < MAX_USERS {
            return Ok(());
        }
        Err(invalid(format_args!("there are {MAX_USERS} users, which is the most")))
    }

    pub(crate) fn list_users(&self, window: Window) -> Result<v1::ListUsersResponse, Fault> {
        let Listed { items, total } = self.catalog.users(window)?;
        Ok(v1::ListUsersResponse { users: items.into_iter().map(wire::user).collect(), total })
    }

    pub(crate) async fn create_user(
        &self,
        caller: &Caller,
        request: v1::CreateUserRequest,
    ) -> Result<v1::User, Fault> {
        let mut problems = Problems::default();
        problems.check_name(&request.name);
        let email = problems.take("email", request.email.parse::<Email>());
        problems.verdict()?;
        let Some(email) = email else { return Err(invalid("email is required")) };
        let user = User {
            uuid: Uuid::now_v7(),
            name: request.name,
            email: email.as_str().to_owned(),
            created_at_ms: Moment::now(),
        };
        let plan = || {
            let mut draft = Draft::of_house(self.catalog)?;
            if self.catalog.user_at(&email)?.is_some() {
                return Err(invalid(format_args!("email `{email}` is already taken")));
            }
            self.check_users()?;
            // Whoever accepts an invitation becomes a user by a change of its organization.
            draft.require(Condition::Absent(table::user_email(&email)));
            draft.put(table::user(user.uuid), &user);
            draft.put(table::user_email(&email), &Pointer { uuid: user.uuid });
            let happening = Happening {
                r#type: "USER_CREATED",
                subject: "user",
                uuid: user.uuid,
                name: &user.name,
                data: json!({"email": user.email}),
            };
            Ok(Plan::Write(draft.record(caller, user.created_at_ms, happening), ()))
        };
        self.turns.change(self.catalog, NO_ORGANIZATION, plan).await?;
        Ok(wire::user(user))
    }

    /// Ends a user: first their memberships one after the other, then them. What they made stays, and says no more
    /// who made it.
    pub(crate) async fn delete_user(
        &self,
        caller: &Caller,
        request: v1::DeleteUserRequest,
    ) -> Result<(), Fault> {
        let user = self.user(&request.user)?.uuid;
        for organization in self.all_organizations_of(user)? {
            match self.end_membership(caller, &organization.slug, user).await {
                // Somebody else was first.
                Err(fault) if fault.reason() == Reason::NotFound => {}
                outcome => outcome?,
            }
        }
        let plan = || {
            let mut draft = Draft::of_house(self.catalog)?;
            let (User { uuid, name, email, .. }, read_at) = self.catalog.user(user)?.ok_or_else(no_user)?;
            // Whoever makes them a member rewrites them.
            draft.require(Condition::Revision(table::user(uuid), read_at));
            if !self.all_organizations_of(uuid)?.is_empty() {
                let message = "somebody made the user a member of an organization at the same time";
                return Err(Fault::new(Reason::Conflict, message));
            }
            let now = Moment::now();
            draft.delete(table::user(uuid));
            draft.delete(table::password(uuid));
            if let Ok(email) = email.parse() {
                draft.delete(table::user_email(&email));
            }
            draft.put(table::end(Mortal::User, uuid), &End { ended_at_ms: now });
            let data = json!({"email": email});
            let happening = Happening { r#type: "USER_DELETED", subject: "user", uuid, name: &name, data };
            Ok(Plan::Write(draft.record(caller, now, happening), ()))
        };
        self.turns.change(self.catalog, NO_ORGANIZATION, plan).await.map(drop)
    }
}

pub(crate) fn no_user() -> Fault {
    Fault::new(Reason::NotFound, "No user found")
}
