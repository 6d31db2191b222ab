//! Issuers that a portal trusts: taken on, let go, told.

use super::{
    Administration,
    problems::{Problems, invalid},
    restrictions::{Wanted, audit},
    wire,
};
use crate::{
    caller::Caller,
    catalog::Window,
    change::{Draft, Happening, Plan},
    identity::{Condition, check_issuer},
    record::{End, Moment, TrustedIssuer},
    table::{self, Mortal},
};
use model::{Fault, Reason};
use proto::registry::v1;
use serde_json::json;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The most issuers that a portal trusts.
pub(crate) const MAX_TRUSTED_ISSUERS: usize = 10;
const MAX_CONDITIONS: usize = 20;
const MAX_AUDIENCE_BYTES: usize = 1_024;

impl Administration<'_> {
    pub(crate) fn list_trusted_issuers(
        &self,
        request: &v1::ListTrustedIssuersRequest,
        window: Window,
    ) -> Result<v1::ListTrustedIssuersResponse, Fault> {
        let portal = self.portal(&request.organization, &request.portal)?;
        let all = self.catalog.trusted_issuers(portal.uuid, MAX_TRUSTED_ISSUERS)?;
        let total = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let mut trusted_issuers = Vec::with_capacity(all.len());
        for issuer in all.into_iter().skip(window.skip).take(window.limit) {
            let last_used_at = self.last_use(issuer.uuid)?;
            let created_by = self.creator(issuer.created_by)?;
            trusted_issuers.push(wire::trusted_issuer(issuer, created_by, last_used_at));
        }
        Ok(v1::ListTrustedIssuersResponse { trusted_issuers, total })
    }

    pub(crate) async fn create_trusted_issuer(
        &self,
        caller: &Caller,
        request: v1::CreateTrustedIssuerRequest,
    ) -> Result<v1::TrustedIssuer, Fault> {
        self.portal(&request.organization, &request.portal)?;
        let (conditions, wanted) = read(&request)?;
        let now = Moment::now();
        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            let portal = self.portal(&request.organization, &request.portal)?;
            let trusted = self.catalog.trusted_issuers(portal.uuid, MAX_TRUSTED_ISSUERS)?;
            if trusted.len() >= MAX_TRUSTED_ISSUERS {
                return Err(invalid(format_args!(
                    "the portal trusts {MAX_TRUSTED_ISSUERS} issuers, which is the most: delete one first"
                )));
            }
            let restrictions = wanted.of(&portal, self.runnable(&portal)?)?;
            let issuer = TrustedIssuer {
                uuid: Uuid::now_v7(),
                organization: portal.organization,
                portal: portal.uuid,
                description: request.description.clone(),
                issuer: request.issuer.clone(),
                audience: request.audience.clone(),
                conditions: conditions.clone(),
                created_at_ms: now,
                created_by: caller.user_uuid(),
                restrictions,
            };
            draft.put(table::trusted_issuer(portal.uuid, issuer.uuid), &issuer);
            let mut data = json!({
                "portal": {"uuid": portal.uuid, "slug": portal.slug},
                "audience": issuer.audience,
                "conditions": issuer.conditions,
            });
            audit(&mut data, issuer.restrictions.as_ref());
            let happening = Happening {
                r#type: "PORTAL_TRUSTED_ISSUER_CREATED",
                subject: "trusted_issuer",
                uuid: issuer.uuid,
                name: &issuer.issuer,
                data,
            };
            let write = draft.record(caller, now, happening);
            Ok(Plan::Write(write, issuer))
        };
        let (issuer, _) = self.turns.change(self.catalog, &request.organization, plan).await?;
        let created_by = self.creator(issuer.created_by)?;
        Ok(wire::trusted_issuer(issuer, created_by, None))
    }

    /// Ends the trust in an issuer: when this returns, every token that it led to is dead on every edge.
    pub(crate) async fn delete_trusted_issuer(
        &self,
        caller: &Caller,
        request: v1::DeleteTrustedIssuerRequest,
    ) -> Result<(), Fault> {
        let none = || Fault::new(Reason::NotFound, "No trusted issuer found");
        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            let portal = self.portal(&request.organization, &request.portal)?;
            let uuid: Uuid = request.uuid.parse().map_err(|_| none())?;
            let trusted = self.catalog.trusted_issuers(portal.uuid, MAX_TRUSTED_ISSUERS)?;
            let issuer = trusted.into_iter().find(|issuer| issuer.uuid == uuid).ok_or_else(none)?;
            let now = Moment::now();
            // The edges learn from this key whose tokens they must ask about anew.
            draft.delete(table::trusted_issuer(portal.uuid, uuid));
            draft.put(table::end(Mortal::TrustedIssuer, uuid), &End { ended_at_ms: now });
            let happening = Happening {
                r#type: "PORTAL_TRUSTED_ISSUER_DELETED",
                subject: "trusted_issuer",
                uuid,
                name: &issuer.issuer,
                data: json!({"portal": {"uuid": portal.uuid, "slug": portal.slug}}),
            };
            Ok(Plan::Write(draft.record(caller, now, happening), ()))
        };
        self.withdraw(&request.organization, plan).await
    }
}

/// Checks what is asked for: the conditions by their claims, and what tokens are to do less.
fn read(request: &v1::CreateTrustedIssuerRequest) -> Result<(BTreeMap<String, String>, Wanted), Fault> {
    let mut problems = Problems::default();
    problems.check_description(request.description.as_deref());
    if let Err(expected) = check_issuer(&request.issuer) {
        problems.add(format!("issuer {expected}"));
    }
    if request.audience.is_empty() || request.audience.len() > MAX_AUDIENCE_BYTES {
        problems.add(format!("audience must have 1 to {MAX_AUDIENCE_BYTES} bytes"));
    }
    let count = request.conditions.len();
    if !(1..=MAX_CONDITIONS).contains(&count) {
        problems.add(format!(
            "conditions must be 1 to {MAX_CONDITIONS}: without one, all tokens of the issuer would do"
        ));
    }
    let mut conditions = BTreeMap::new();
    for v1::ClaimCondition { claim, pattern } in request.conditions.iter().take(MAX_CONDITIONS) {
        if let Err(wrong) = Condition::parse(claim, pattern) {
            problems.add(format!("conditions: {wrong}"));
        } else if conditions.insert(claim.clone(), pattern.clone()).is_some() {
            problems.add(format!("conditions: `{claim}` must stand once"));
        }
    }
    let wanted = Wanted::read_of_tokens(&mut problems, request.restrictions.clone());
    problems.verdict()?;
    Ok((conditions, wanted))
}
