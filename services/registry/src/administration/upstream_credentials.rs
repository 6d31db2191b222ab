//! What a member's own tokens run with upstream: stored by them alone, sealed, and never told.

use super::{
    Administration,
    organizations::no_organization,
    problems::{Problems, invalid},
    upstream,
    users::no_user,
};
use crate::{
    caller::Caller,
    catalog::{Listed, Window},
    change::{Draft, Happening, Plan},
    record::{MemberCredential, Membership, Moment, User},
    table,
};
use model::{Fault, Reason};
use proto::{grant::UpstreamSecrets, registry::v1, time};
use serde_json::json;

impl Administration<'_> {
    /// A page of those of the caller.
    pub(crate) fn list_upstream_credentials(
        &self,
        caller: &Caller,
        window: Window,
    ) -> Result<Listed<v1::UpstreamCredential>, Fault> {
        let user = caller.user_uuid().ok_or_else(no_user)?;
        let mut every = Vec::new();
        for organization in self.all_organizations_of(user)? {
            let Some(membership) = self.catalog.membership(organization.uuid, user)? else { continue };
            let credential = self.catalog.member_credential(organization.uuid, membership.uuid)?;
            every.extend(credential.map(|credential| v1::UpstreamCredential {
                organization: organization.slug,
                updated_at: Some(time::write(credential.updated_at_ms.into())),
            }));
        }
        let total = u64::try_from(every.len()).unwrap_or(u64::MAX);
        Ok(Listed { items: every.into_iter().skip(window.skip).take(window.limit).collect(), total })
    }

    /// Stores the caller's, in place of what was there: when this returns, nothing runs with that any more.
    pub(crate) async fn set_upstream_credential(
        &self,
        caller: &Caller,
        request: v1::SetUpstreamCredentialRequest,
    ) -> Result<(), Fault> {
        let v1::SetUpstreamCredentialRequest { organization: slug, upstream_token: credential } = request;
        let mut problems = Problems::default();
        upstream::check_credential(&mut problems, &credential);
        problems.verdict()?;
        if credential.is_empty() {
            return Err(invalid("upstream_token must not be empty"));
        }
        let secrets = UpstreamSecrets { credential, headers: Vec::new() };
        let now = Moment::now();
        let plan = || {
            let mut draft = Draft::of(self.catalog, &slug)?;
            let (user, Membership { uuid, organization, .. }) = self.member_who_asks(&draft, caller)?;
            let sealed = upstream::seal(self.credentials, organization, &secrets)?;
            let credential = MemberCredential { sealed, updated_at_ms: now };
            draft.put(table::member_credential(organization, uuid), &credential);
            let happening = happening("ORGANIZATION_MEMBER_CREDENTIAL_UPDATED", user);
            Ok(Plan::Write(draft.record(caller, now, happening), ()))
        };
        self.withdraw(&slug, plan).await
    }

    /// Removes the caller's: when this returns, nothing runs with it.
    pub(crate) async fn delete_upstream_credential(
        &self,
        caller: &Caller,
        request: v1::DeleteUpstreamCredentialRequest,
    ) -> Result<(), Fault> {
        let none = || Fault::new(Reason::NotFound, "No upstream credential found");
        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            let (user, Membership { uuid, organization, .. }) = self.member_who_asks(&draft, caller)?;
            self.catalog.member_credential(organization, uuid)?.ok_or_else(none)?;
            draft.delete(table::member_credential(organization, uuid));
            let happening = happening("ORGANIZATION_MEMBER_CREDENTIAL_DELETED", user);
            Ok(Plan::Write(draft.record(caller, Moment::now(), happening), ()))
        };
        self.withdraw(&request.organization, plan).await
    }

    /// Who asks, and their place in the organization; within a change.
    fn member_who_asks<'a>(
        &self,
        draft: &Draft,
        caller: &'a Caller,
    ) -> Result<(&'a User, Membership), Fault> {
        let user = caller.user().ok_or_else(no_user)?;
        let membership = self.catalog.membership(draft.organization.uuid, user.uuid)?;
        Ok((user, membership.ok_or_else(no_organization)?))
    }
}

fn happening<'a>(r#type: &'static str, user: &'a User) -> Happening<'a> {
    let data = json!({"email": user.email});
    Happening { r#type, subject: "organization_member", uuid: user.uuid, name: &user.name, data }
}
