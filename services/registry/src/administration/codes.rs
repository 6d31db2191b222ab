//! What members decide on codes: they see for what somebody wants a token in their name, and approve it or do not.

use super::{Administration, portals::no_portal, problems::invalid, revision::check_revision};
use crate::{
    caller::Caller,
    change::{Draft, Happening, Plan},
    codes::{self, Approval, Seen},
    record::{Membership, Moment, Organization, Portal},
};
use model::{Fault, Reason, UserCode};
use proto::{registry::v1, time};
use serde_json::json;
use std::time::Instant;
use uuid::Uuid;

/// A code, and who is to decide on it for which portal.
struct Case {
    seen: Seen,
    organization: Organization,
    membership: Membership,
}

impl Administration<'_> {
    /// What a code is for.
    ///
    /// # Errors
    ///
    /// NOT_FOUND for one that is none, is over, or is of no organization where the user is a member; RATE_LIMITED for
    /// who tries too many such.
    pub(crate) fn code(&self, caller: &Caller, code: &str) -> Result<v1::Code, Fault> {
        let case = self.case(caller, code)?;
        self.show_code(&case)
    }

    /// Approves a code for the revision of the portal that was looked at.
    ///
    /// # Errors
    ///
    /// What [`Self::code`] says; CONFLICT for one that is decided on, PRECONDITION_FAILED where the portal has changed,
    /// VALIDATION_FAILED without an upstream credential, FORBIDDEN where the portal is not `user_invokable`.
    pub(crate) async fn authorize_code(
        &self,
        caller: &Caller,
        request: v1::AuthorizeCodeRequest,
    ) -> Result<v1::Code, Fault> {
        let case = self.case(caller, &request.code)?;
        let Case { seen, organization, membership } = &case;
        let decision = self.codes.decide(seen.code, Instant::now())?;
        let plan = || {
            let draft = Draft::of(self.catalog, &organization.slug)?;
            let portal = self.portal_of(seen)?;
            check_revision(Some(request.revision), &[], portal.revision)?;
            if !portal.user_invokable {
                return Err(Fault::new(Reason::Forbidden, "the portal gives no tokens to members"));
            }
            self.check_credential(organization, membership)?;
            let approval = Approval {
                author: caller.into(),
                user: membership.user,
                membership: membership.uuid,
                invokable_since: portal.invokable_since,
                document_revision: portal.document_revision,
            };
            let happening = happening("PORTAL_TOKEN_CODE_AUTHORIZED", &portal, seen);
            Ok(Plan::Write(draft.record(caller, Moment::now(), happening), approval))
        };
        let (approval, _) = self.turns.change(self.catalog, &organization.slug, plan).await?;
        let phase = codes::Phase::Authorized(Box::new(approval.clone()));
        decision.authorize(approval);
        // As it was decided: by now it may be spent.
        self.show_code(&Case { seen: Seen { phase, ..case.seen }, ..case })
    }

    /// Denies a code.
    ///
    /// # Errors
    ///
    /// What [`Self::code`] says; CONFLICT for one that is decided on.
    pub(crate) async fn deny_code(
        &self,
        caller: &Caller,
        request: v1::DenyCodeRequest,
    ) -> Result<v1::Code, Fault> {
        let case = self.case(caller, &request.code)?;
        let Case { seen, organization, .. } = &case;
        let decision = self.codes.decide(seen.code, Instant::now())?;
        let plan = || {
            let draft = Draft::of(self.catalog, &organization.slug)?;
            let portal = self.portal_of(seen)?;
            let happening = happening("PORTAL_TOKEN_CODE_DENIED", &portal, seen);
            Ok(Plan::Write(draft.record(caller, Moment::now(), happening), ()))
        };
        self.turns.change(self.catalog, &organization.slug, plan).await?;
        decision.deny();
        self.show_code(&Case { seen: Seen { phase: codes::Phase::Denied, ..case.seen }, ..case })
    }

    /// The code that a member types, counted as a wrong one until it is found.
    fn case(&self, caller: &Caller, code: &str) -> Result<Case, Fault> {
        let token = caller.token().uuid.to_string();
        let guess = self.typed.begin(caller.origin().address, &token, Instant::now())?;
        let user = caller.user_uuid().ok_or_else(codes::not_found)?;
        let code: UserCode = code.parse().map_err(|_| codes::not_found())?;
        let seen = self.codes.seen(code, Instant::now()).ok_or_else(codes::not_found)?;
        let organization =
            self.catalog.organization(seen.asked.organization)?.ok_or_else(codes::not_found)?;
        let membership = self.catalog.membership(organization.uuid, user)?.ok_or_else(codes::not_found)?;
        guess.forget();
        Ok(Case { seen, organization, membership })
    }

    fn portal_of(&self, seen: &Seen) -> Result<Portal, Fault> {
        self.catalog.portal(seen.asked.organization, seen.asked.portal)?.ok_or_else(no_portal)
    }

    fn check_credential(&self, organization: &Organization, membership: &Membership) -> Result<(), Fault> {
        if self.has_credential(organization.uuid, membership)? {
            return Ok(());
        }
        Err(invalid(format_args!(
            "you have no credential for the upstream of `{}`, and a token in your name runs with no other: store one \
             with PUT /v2/user/upstream_credentials/{}",
            organization.slug, organization.slug
        )))
    }

    fn has_credential(&self, organization: Uuid, membership: &Membership) -> Result<bool, Fault> {
        Ok(self.catalog.member_credential(organization, membership.uuid)?.is_some())
    }

    fn show_code(&self, Case { seen, organization, membership }: &Case) -> Result<v1::Code, Fault> {
        let portal = self.show_portal(self.portal_of(seen)?, &organization.slug)?;
        let state = match seen.phase {
            codes::Phase::Waiting | codes::Phase::Deciding => v1::CodeState::Pending,
            codes::Phase::Authorized(_) => v1::CodeState::Authorized,
            codes::Phase::Denied => v1::CodeState::Denied,
        };
        Ok(v1::Code {
            code: seen.code.to_string(),
            state: state.into(),
            portal: Some(portal),
            ip: seen.asked.origin.address.map(|address| address.to_string()).unwrap_or_default(),
            created_at: Some(time::write(seen.made_at)),
            expires_at: Some(time::write(seen.expires_at)),
            has_upstream_credential: self.has_credential(organization.uuid, membership)?,
        })
    }
}

/// What was decided, and for whom as far as that is known.
fn happening<'a>(r#type: &'static str, portal: &'a Portal, seen: &Seen) -> Happening<'a> {
    let data = json!({
        "slug": portal.slug,
        "revision": portal.revision,
        "document_revision": portal.document_revision,
        "asked_from": seen.asked.origin.address,
    });
    Happening { r#type, subject: "portal", uuid: portal.uuid, name: &portal.name, data }
}
