//! Invitations: made for somebody who may not be a user yet, accepted once, revoked, told.

use super::{
    Administration,
    members::read_role,
    problems::{Problems, invalid},
    wire,
};
use crate::{
    caller::{Caller, Origin},
    catalog::Window,
    change::{Author, Draft, Happening, Plan},
    record::{
        Actor, ActorKind, Invitation, InvitationPlace, Moment, Organization, Pointer, Scope, User,
        UserPassword,
    },
    store::Condition,
    table,
};
use model::{Bearer, BearerKind, Email, Fault, Fingerprint, Password, Reason, Secret};
use proto::{registry::v1, time};
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime};
use uuid::Uuid;

/// How long an invitation can be accepted.
const LIFE: Duration = Duration::from_secs(72 * 60 * 60);
/// The most live invitations to an organization.
const MAX_INVITATIONS: usize = 100;

/// Who accepts.
enum Guest {
    /// Somebody who becomes a user.
    New { user: User, email: Email, hash: Secret },
    /// A user who has proved to be that.
    User(Uuid),
}

impl Administration<'_> {
    pub(crate) fn list_invitations(
        &self,
        organization: &str,
        window: Window,
    ) -> Result<v1::ListInvitationsResponse, Fault> {
        let organization = self.organization(organization)?;
        let now = SystemTime::now();
        let mut live = self.catalog.invitations(organization.uuid, MAX_INVITATIONS)?;
        live.retain(|invitation| !invitation.has_expired(now));
        let total = u64::try_from(live.len()).unwrap_or(u64::MAX);
        let page = live.into_iter().skip(window.skip).take(window.limit);
        let invitations = page.map(|invitation| self.show_invitation(invitation));
        Ok(v1::ListInvitationsResponse { invitations: invitations.collect::<Result<_, _>>()?, total })
    }

    fn show_invitation(&self, invitation: Invitation) -> Result<v1::Invitation, Fault> {
        let created_by = self.creator(invitation.created_by)?;
        Ok(wire::invitation(invitation, created_by))
    }

    /// Invites somebody: whoever holds the bearer becomes a member, once.
    pub(crate) async fn create_invitation(
        &self,
        caller: &Caller,
        request: v1::CreateInvitationRequest,
    ) -> Result<(v1::Invitation, Bearer), Fault> {
        self.organization(&request.organization)?;
        let mut problems = Problems::default();
        let email = problems.take("email", request.email.parse::<Email>());
        let role = read_role(request.role());
        if role.is_none() {
            problems.add("role is required");
        }
        problems.verdict()?;
        let (email, role) = email.zip(role).ok_or_else(|| invalid("email and role are required"))?;
        let (bearer, now) = (Bearer::generate(BearerKind::Invitation), SystemTime::now());
        let invitation = Invitation {
            uuid: Uuid::now_v7(),
            fingerprint: bearer.fingerprint(),
            email: email.as_str().to_owned(),
            role,
            created_at_ms: now.into(),
            expires_at_ms: (now + LIFE).into(),
            created_by: caller.user_uuid(),
        };
        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            let organization = draft.organization.uuid;
            if let Some((user, _)) = self.catalog.user_at(&email)?
                && self.catalog.membership(organization, user.uuid)?.is_some()
            {
                return Err(invalid(format_args!("`{email}` is a member already")));
            }
            let listed = self.catalog.invitations(organization, MAX_INVITATIONS)?;
            let (expired, live): (Vec<_>, Vec<_>) =
                listed.into_iter().partition(|invitation| invitation.has_expired(now));
            if live.len() >= MAX_INVITATIONS {
                return Err(invalid(format_args!(
                    "the organization has {MAX_INVITATIONS} live invitations, which is the most: revoke one first"
                )));
            }
            for invitation in expired {
                remove(&mut draft, &invitation);
            }
            let place = InvitationPlace { organization, invitation: invitation.uuid };
            draft.put(table::invitation(organization, invitation.uuid), &invitation);
            draft.put(table::invitation_place(&invitation.fingerprint), &place);
            let expires_at = time::text(invitation.expires_at_ms.into());
            let data = json!({"email": invitation.email, "role": role, "expires_at": expires_at});
            let happening = happening("ORGANIZATION_INVITATION_CREATED", &invitation, data);
            Ok(Plan::Write(draft.record(caller, invitation.created_at_ms, happening), ()))
        };
        self.turns.change(self.catalog, &request.organization, plan).await?;
        Ok((self.show_invitation(invitation)?, bearer))
    }

    pub(crate) async fn delete_invitation(
        &self,
        caller: &Caller,
        request: v1::DeleteInvitationRequest,
    ) -> Result<(), Fault> {
        let uuid: Uuid = request.uuid.parse().map_err(|_| no_invitation())?;
        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            let found = self.catalog.invitation(draft.organization.uuid, uuid)?;
            let invitation = found.filter(|invitation| !invitation.has_expired(SystemTime::now()));
            let invitation = invitation.ok_or_else(no_invitation)?;
            remove(&mut draft, &invitation);
            let data = json!({"email": invitation.email, "role": invitation.role});
            let happening = happening("ORGANIZATION_INVITATION_REVOKED", &invitation, data);
            Ok(Plan::Write(draft.record(caller, Moment::now(), happening), ()))
        };
        self.turns.change(self.catalog, &request.organization, plan).await.map(drop)
    }

    /// Makes whoever holds an invitation a member, and a user where they are none.
    ///
    /// # Errors
    ///
    /// NOT_FOUND for an invitation that cannot be accepted (any more); UNAUTHENTICATED or FORBIDDEN where the invited are
    /// a user already and it is not they who ask; VALIDATION_FAILED, RATE_LIMITED, OVERLOADED.
    pub(crate) async fn accept_invitation(
        &self,
        origin: &Origin,
        caller: Option<&Caller>,
        request: v1::AcceptInvitationRequest,
    ) -> Result<(v1::Member, String), Fault> {
        self.guesses.admit(origin.address, Instant::now())?;
        let found = Bearer::parse(&request.token).ok().map(|bearer| bearer.fingerprint());
        let invited = found.ok_or_else(no_invitation).and_then(|found| Ok((found, self.invited(&found)?)));
        let (fingerprint, (organization, invitation)) = invited.inspect_err(|fault| {
            if fault.reason() == Reason::NotFound {
                self.guesses.wrong(origin.address, Instant::now());
            }
        })?;
        let guest = self.guest(caller, &invitation, request).await?;
        let plan = || {
            let mut draft = Draft::of(self.catalog, &organization.slug).map_err(gone)?;
            // Again: it may have been accepted or revoked in between.
            let (_, invitation) = self.invited(&fingerprint)?;
            let now = Moment::now();
            let (user, is_new) = self.seat(&mut draft, &guest, now)?;
            let membership = self.add_member(&mut draft, &user, invitation.role, now)?;
            remove(&mut draft, &invitation);
            let data = json!({
                "email": invitation.email,
                "role": invitation.role,
                "user": {"uuid": user.uuid, "created": is_new},
            });
            let happening = happening("ORGANIZATION_INVITATION_ACCEPTED", &invitation, data);
            let actor = Actor { r#type: ActorKind::User, uuid: user.uuid, name: user.name.clone() };
            let author = Author { actor, origin: origin.clone() };
            Ok(Plan::Write(draft.record(author, now, happening), (membership, user)))
        };
        let ((membership, user), _) = self.turns.change(self.catalog, &organization.slug, plan).await?;
        Ok((wire::member(membership, wire::user(user)), organization.slug))
    }

    /// The live invitation of that token.
    fn invited(&self, fingerprint: &Fingerprint) -> Result<(Organization, Invitation), Fault> {
        let place = self.catalog.invitation_place(fingerprint)?.ok_or_else(no_invitation)?;
        let InvitationPlace { organization, invitation } = place;
        let invitation = self.catalog.invitation(organization, invitation)?.ok_or_else(no_invitation)?;
        let organization = self.catalog.organization(organization)?.ok_or_else(no_invitation)?;
        if invitation.has_expired(SystemTime::now()) {
            return Err(no_invitation());
        }
        Ok((organization, invitation))
    }

    /// Finds out who accepts: the user of the invitation's address if there is one, else somebody new.
    async fn guest(
        &self,
        caller: Option<&Caller>,
        invitation: &Invitation,
        request: v1::AcceptInvitationRequest,
    ) -> Result<Guest, Fault> {
        let email: Email = invitation.email.parse().map_err(Fault::internal)?;
        if let Some((user, _)) = self.catalog.user_at(&email)? {
            return match caller {
                Some(caller) if caller.user_uuid() == Some(user.uuid) => {
                    caller.needs(Scope::WriteUser)?;
                    Ok(Guest::User(user.uuid))
                }
                Some(_) => Err(Fault::new(
                    Reason::Forbidden,
                    "the invitation is another user's than the access token",
                )),
                None => {
                    let message =
                        "the invited is a user already: accept it with an API access token of theirs";
                    Err(Fault::new(Reason::Unauthenticated, message))
                }
            };
        }
        let mut problems = Problems::default();
        let name = request.name.unwrap_or_default();
        problems.check_name(&name);
        let sent = Secret::new(request.password.unwrap_or_default());
        let password = problems.take("password", Password::parse(sent));
        problems.verdict()?;
        let Some(password) = password else { return Err(invalid("password is required")) };
        let hash = self.passwords.hash(password).await?;
        let (uuid, created_at_ms) = (Uuid::now_v7(), Moment::now());
        let user = User { uuid, name, email: email.as_str().to_owned(), created_at_ms };
        Ok(Guest::New { user, email, hash })
    }

    /// Puts the user into the change: one who is new, or one who is still there.
    fn seat(&self, draft: &mut Draft, guest: &Guest, now: Moment) -> Result<(User, bool), Fault> {
        match guest {
            Guest::New { user, email, hash } => {
                if self.catalog.user_at(email)?.is_some() {
                    let message =
                        "somebody with the address of the invitation became a user at the same time";
                    return Err(Fault::new(Reason::Conflict, message));
                }
                self.check_users()?;
                draft.require(Condition::Absent(table::user_email(email)));
                draft.put(table::user(user.uuid), user);
                draft.put(table::user_email(email), &Pointer { uuid: user.uuid });
                let password = UserPassword { hash: hash.clone(), changed_at_ms: now };
                draft.put(table::password(user.uuid), &password);
                Ok((user.clone(), true))
            }
            Guest::User(uuid) => {
                let (user, read_at) = self.catalog.user(*uuid)?.ok_or_else(no_invitation)?;
                // They are rewritten, so that it is noticed when they end at the same time, or are given another place.
                draft.require(Condition::Revision(table::user(user.uuid), read_at));
                draft.put(table::user(user.uuid), &user);
                Ok((user, false))
            }
        }
    }
}

/// Removes an invitation: nobody can accept it any more.
fn remove(draft: &mut Draft, invitation: &Invitation) {
    let organization = draft.organization.uuid;
    draft.delete(table::invitation(organization, invitation.uuid));
    draft.delete(table::invitation_place(&invitation.fingerprint));
}

fn happening<'a>(r#type: &'static str, invitation: &'a Invitation, data: Value) -> Happening<'a> {
    let Invitation { uuid, email, .. } = invitation;
    Happening { r#type, subject: "organization_invitation", uuid: *uuid, name: email, data }
}

/// What ended in between is like what never was.
fn gone(fault: Fault) -> Fault {
    if fault.reason() == Reason::NotFound { no_invitation() } else { fault }
}

fn no_invitation() -> Fault {
    Fault::new(Reason::NotFound, "No invitation found: it is unknown, accepted, revoked or expired")
}
