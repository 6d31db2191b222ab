//! Members of organizations: made, given another role, ended, told.

use super::{
    Administration,
    problems::{Problems, invalid},
    users::no_user,
    wire,
};
use crate::{
    caller::Caller,
    catalog::{Listed, Window},
    change::{Draft, Happening, Plan},
    record::{End, Membership, Moment, Organization, Place, Role, User},
    store::{Condition, Revision},
    table,
};
use model::{Email, Fault, Reason};
use proto::registry::v1;
use serde_json::{Value, json};
use uuid::Uuid;

/// The most members of an organization.
const MAX_MEMBERS: u64 = 10_000;
/// The most organizations of which somebody is a member; those that have ended do not count.
const MAX_PLACES: usize = 100;

impl Administration<'_> {
    /// The organizations where a user is a member.
    pub(crate) fn all_organizations_of(&self, user: Uuid) -> Result<Vec<Organization>, Fault> {
        let mut organizations = Vec::new();
        for place in self.catalog.places(user, MAX_PLACES)? {
            organizations.extend(self.catalog.organization(place.organization)?);
        }
        Ok(organizations)
    }

    /// A page of them.
    pub(crate) fn organizations_of(&self, user: Uuid, window: Window) -> Result<Listed<Organization>, Fault> {
        let every = self.all_organizations_of(user)?;
        let total = u64::try_from(every.len()).unwrap_or(u64::MAX);
        Ok(Listed { items: every.into_iter().skip(window.skip).take(window.limit).collect(), total })
    }

    pub(crate) fn list_members(
        &self,
        organization: &str,
        window: Window,
    ) -> Result<v1::ListMembersResponse, Fault> {
        let organization = self.organization(organization)?;
        let Listed { items, total } = self.catalog.memberships(organization.uuid, window)?;
        let members = items.into_iter().map(|membership| self.show_member(membership));
        Ok(v1::ListMembersResponse { members: members.collect::<Result<_, _>>()?, total })
    }

    pub(crate) fn member(&self, organization: &str, user: &str) -> Result<v1::Member, Fault> {
        let organization = self.organization(organization)?;
        let user: Uuid = user.parse().map_err(|_| no_member())?;
        let membership = self.catalog.membership(organization.uuid, user)?.ok_or_else(no_member)?;
        self.show_member(membership)
    }

    fn show_member(&self, membership: Membership) -> Result<v1::Member, Fault> {
        let user = self.catalog.user(membership.user)?.map(|(user, _)| wire::user(user));
        Ok(wire::member(membership, user.ok_or_else(no_user)?))
    }

    pub(crate) async fn create_member(
        &self,
        caller: &Caller,
        request: v1::CreateMemberRequest,
    ) -> Result<v1::Member, Fault> {
        self.organization(&request.organization)?;
        let (who, role) = read_new(&request)?;
        let now = Moment::now();
        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            let (user, read_at) = self.find(&who)?;
            let membership = self.add_member(&mut draft, &user, role, now)?;
            // They are rewritten, so that it is noticed when they end at the same time, or are given another place.
            draft.require(Condition::Revision(table::user(user.uuid), read_at));
            draft.put(table::user(user.uuid), &user);
            let data = json!({"email": user.email, "role": role});
            let happening = happening("ORGANIZATION_MEMBER_CREATED", &user, data);
            Ok(Plan::Write(draft.record(caller, now, happening), (membership, user.clone())))
        };
        let ((membership, user), _) = self.turns.change(self.catalog, &request.organization, plan).await?;
        Ok(wire::member(membership, wire::user(user)))
    }

    /// Makes a user a member, as part of a change; whoever calls sees to it that the user is there until then.
    pub(super) fn add_member(
        &self,
        draft: &mut Draft,
        user: &User,
        role: Role,
        now: Moment,
    ) -> Result<Membership, Fault> {
        let (uuid, organization) = (Uuid::now_v7(), draft.organization.uuid);
        if self.catalog.membership(organization, user.uuid)?.is_some() {
            return Err(invalid(format_args!("`{}` is a member already", user.email)));
        }
        if draft.tally.members >= MAX_MEMBERS {
            return Err(invalid(format_args!(
                "the organization has {MAX_MEMBERS} members, which is the most"
            )));
        }
        self.make_place(draft, user)?;
        let membership = Membership { uuid, organization, user: user.uuid, role, created_at_ms: now };
        draft.put(table::membership(organization, uuid), &membership);
        draft.put(table::place(user.uuid, organization), &Place { organization, membership: uuid });
        draft.tally.members += 1;
        draft.tally.administrators += u64::from(role == Role::Administrator);
        Ok(membership)
    }

    fn find(&self, who: &Who) -> Result<(User, Revision), Fault> {
        match who {
            Who::User(uuid) => {
                self.catalog.user(*uuid)?.ok_or_else(|| invalid("user: there is no such user"))
            }
            Who::Email(email) => self
                .catalog
                .user_at(email)?
                .ok_or_else(|| invalid(format_args!("email: no user has the address `{email}`"))),
        }
    }

    /// Sees to it that a user can have one more place; those in organizations that have ended make room.
    fn make_place(&self, draft: &mut Draft, user: &User) -> Result<(), Fault> {
        let places = self.catalog.places(user.uuid, MAX_PLACES)?;
        let mut live = 0;
        for Place { organization, .. } in places {
            if self.catalog.organization(organization)?.is_some() {
                live += 1;
            } else {
                draft.delete(table::place(user.uuid, organization));
            }
        }
        if live < MAX_PLACES {
            return Ok(());
        }
        Err(invalid(format_args!(
            "`{}` is a member of {MAX_PLACES} organizations, which is the most",
            user.email
        )))
    }

    /// The membership of a user, and who they are; within a change.
    fn found(&self, draft: &Draft, user: Uuid) -> Result<(Membership, User), Fault> {
        let membership = self.catalog.membership(draft.organization.uuid, user)?.ok_or_else(no_member)?;
        let (user, _) = self.catalog.user(user)?.ok_or_else(no_member)?;
        Ok((membership, user))
    }

    pub(crate) async fn update_member(
        &self,
        caller: &Caller,
        request: v1::UpdateMemberRequest,
    ) -> Result<v1::Member, Fault> {
        let user: Uuid = request.user.parse().map_err(|_| no_member())?;
        let role = read_role(request.role());
        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            let (before, user) = self.found(&draft, user)?;
            let role = role.unwrap_or(before.role);
            if role == before.role {
                return Ok(Plan::Nothing((before, user)));
            }
            if before.role == Role::Administrator {
                lose_administrator(&mut draft, caller)?;
            } else {
                draft.tally.administrators += 1;
            }
            let after = Membership { role, ..before.clone() };
            draft.put(table::membership(after.organization, after.uuid), &after);
            let data = json!({"email": user.email, "role": {"before": before.role, "after": role}});
            let happening = happening("ORGANIZATION_MEMBER_UPDATED", &user, data);
            Ok(Plan::Write(draft.record(caller, Moment::now(), happening), (after, user.clone())))
        };
        let ((membership, user), _) = self.turns.change(self.catalog, &request.organization, plan).await?;
        Ok(wire::member(membership, wire::user(user)))
    }

    pub(crate) async fn delete_member(
        &self,
        caller: &Caller,
        request: v1::DeleteMemberRequest,
    ) -> Result<(), Fault> {
        let user: Uuid = request.user.parse().map_err(|_| no_member())?;
        self.end_membership(caller, &request.organization, user).await
    }

    /// Ends a membership: when this returns, nobody can use a token that rests on it.
    pub(crate) async fn end_membership(
        &self,
        caller: &Caller,
        organization: &str,
        user: Uuid,
    ) -> Result<(), Fault> {
        let plan = || {
            let mut draft = Draft::of(self.catalog, organization)?;
            let (Membership { uuid, organization, role, .. }, user) = self.found(&draft, user)?;
            if role == Role::Administrator {
                lose_administrator(&mut draft, caller)?;
            }
            draft.tally.members = draft.tally.members.saturating_sub(1);
            let now = Moment::now();
            draft.delete(table::membership(organization, uuid));
            draft.delete(table::place(user.uuid, organization));
            draft.delete(table::member_credential(organization, uuid));
            draft.put(table::membership_end(organization, uuid), &End { ended_at_ms: now });
            let data = json!({"email": user.email, "role": role});
            let happening = happening("ORGANIZATION_MEMBER_DELETED", &user, data);
            Ok(Plan::Write(draft.record(caller, now, happening), ()))
        };
        self.withdraw(organization, plan).await
    }
}

/// Counts one administrator less; the last is left to whoever runs this.
fn lose_administrator(draft: &mut Draft, caller: &Caller) -> Result<(), Fault> {
    if draft.tally.administrators <= 1 && caller.user().is_some() {
        let message =
            "they are the organization's last administrator: only whoever runs this may change that";
        return Err(Fault::new(Reason::Forbidden, message));
    }
    draft.tally.administrators = draft.tally.administrators.saturating_sub(1);
    Ok(())
}

fn happening<'a>(r#type: &'static str, user: &'a User, data: Value) -> Happening<'a> {
    Happening { r#type, subject: "organization_member", uuid: user.uuid, name: &user.name, data }
}

/// Who is to be a member.
enum Who {
    User(Uuid),
    Email(Email),
}

/// Who is to be a member, and as what.
fn read_new(request: &v1::CreateMemberRequest) -> Result<(Who, Role), Fault> {
    let mut problems = Problems::default();
    let who = match (&request.user, &request.email) {
        (Some(user), None) => problems.take("user", user.parse()).map(Who::User),
        (None, Some(email)) => problems.take("email", email.parse()).map(Who::Email),
        _ => {
            problems.add("one of email and user is required");
            None
        }
    };
    let role = read_role(request.role());
    if role.is_none() {
        problems.add("role is required");
    }
    problems.verdict()?;
    who.zip(role).ok_or_else(|| invalid("email and role are required"))
}

pub(super) fn read_role(sent: v1::Role) -> Option<Role> {
    match sent {
        v1::Role::Unspecified => None,
        v1::Role::Administrator => Some(Role::Administrator),
        v1::Role::Member => Some(Role::Member),
    }
}

fn no_member() -> Fault {
    Fault::new(Reason::NotFound, "No member found")
}
