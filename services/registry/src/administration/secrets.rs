//! Secrets of portals: made, revoked, told.

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
    record::{End, Mark, Moment, PortalSecret},
    table::{self, Mortal},
};
use model::{Bearer, BearerKind, Fault, Reason};
use proto::{registry::v1, time};
use serde_json::json;
use std::time::SystemTime;
use uuid::Uuid;

/// The most live secrets of a portal: one that is in use, and one to change over to. Those that have expired do not
/// count.
const MAX_SECRETS: usize = 2;

impl Administration<'_> {
    pub(crate) fn list_secrets(
        &self,
        request: &v1::ListPortalSecretsRequest,
        window: Window,
    ) -> Result<v1::ListPortalSecretsResponse, Fault> {
        let portal = self.portal(&request.organization, &request.portal)?;
        let all = self.catalog.secrets(portal.uuid, MAX_SECRETS)?;
        let total = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let mut secrets = Vec::with_capacity(all.len());
        for secret in all.into_iter().skip(window.skip).take(window.limit) {
            let last_used_at = self.last_use(secret.uuid)?;
            let created_by = self.creator(secret.created_by)?;
            secrets.push(wire::secret(secret, created_by, last_used_at));
        }
        Ok(v1::ListPortalSecretsResponse { secrets, total })
    }

    pub(crate) async fn create_secret(
        &self,
        caller: &Caller,
        request: v1::CreatePortalSecretRequest,
    ) -> Result<(v1::PortalSecret, Bearer), Fault> {
        self.portal(&request.organization, &request.portal)?;
        let mut problems = Problems::default();
        problems.check_description(request.description.as_deref());
        let now = SystemTime::now();
        let expires_at = problems.read_end(request.expires_at, now);
        let wanted = Wanted::read_of_tokens(&mut problems, request.restrictions);
        problems.verdict()?;
        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            let portal = self.portal(&request.organization, &request.portal)?;
            let restrictions = wanted.of(&portal, self.runnable(&portal)?)?;
            let listed = self.catalog.secrets(portal.uuid, MAX_SECRETS)?;
            let (expired, live): (Vec<_>, Vec<_>) =
                listed.into_iter().partition(|secret| secret.has_expired(now));
            if live.len() >= MAX_SECRETS {
                return Err(invalid(format_args!(
                    "the portal has {MAX_SECRETS} live secrets, which is the most: delete one first"
                )));
            }
            for secret in expired {
                draft.delete(table::secret_order(portal.uuid, secret.uuid));
            }
            let bearer = Bearer::generate(BearerKind::PortalSecret);
            let fingerprint = bearer.fingerprint();
            let secret = PortalSecret {
                uuid: Uuid::now_v7(),
                organization: portal.organization,
                portal: portal.uuid,
                description: request.description.clone(),
                created_at_ms: now.into(),
                expires_at_ms: expires_at,
                created_by: caller.user_uuid(),
                restrictions,
            };
            draft.put(table::secret(&fingerprint), &secret);
            draft.put(table::secret_order(portal.uuid, secret.uuid), &Mark { fingerprint });
            let mut data = json!({
                "portal": {"uuid": portal.uuid, "slug": portal.slug},
                "expires_at": expires_at.and_then(|at| time::text(at.into())),
            });
            audit(&mut data, secret.restrictions.as_ref());
            let happening = Happening {
                r#type: "PORTAL_SECRET_CREATED",
                subject: "portal_secret",
                uuid: secret.uuid,
                name: secret.description.as_deref().unwrap_or_default(),
                data,
            };
            Ok(Plan::Write(draft.record(caller, secret.created_at_ms, happening), (secret, bearer)))
        };
        let ((secret, bearer), _) = self.turns.change(self.catalog, &request.organization, plan).await?;
        let created_by = self.creator(secret.created_by)?;
        Ok((wire::secret(secret, created_by, None), bearer))
    }

    /// Revokes a secret: when this returns, every token that it was exchanged for is dead on every edge.
    pub(crate) async fn delete_secret(
        &self,
        caller: &Caller,
        request: v1::DeletePortalSecretRequest,
    ) -> Result<(), Fault> {
        let no_secret = || Fault::new(Reason::NotFound, "No secret found");
        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            let portal = self.portal(&request.organization, &request.portal)?;
            let uuid: Uuid = request.uuid.parse().map_err(|_| no_secret())?;
            let Mark { fingerprint } = self.catalog.secret_mark(portal.uuid, uuid)?.ok_or_else(no_secret)?;
            let secret = self.catalog.secret(&fingerprint)?.ok_or_else(no_secret)?;
            let now = Moment::now();
            // The edges learn from this key whose tokens they must ask about anew.
            draft.delete(table::secret_order(portal.uuid, uuid));
            draft.put(table::end(Mortal::Secret, uuid), &End { ended_at_ms: now });
            let happening = Happening {
                r#type: "PORTAL_SECRET_REVOKED",
                subject: "portal_secret",
                uuid,
                name: secret.description.as_deref().unwrap_or_default(),
                data: json!({"portal": {"uuid": portal.uuid, "slug": portal.slug}}),
            };
            Ok(Plan::Write(draft.record(caller, now, happening), ()))
        };
        self.withdraw(&request.organization, plan).await
    }
}
