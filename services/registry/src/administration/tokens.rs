//! Tokens of portals: minted, revoked, told.

use super::{
    Administration,
    problems::{Problems, invalid},
    wire,
};
use crate::{
    caller::Caller,
    catalog::{Listed, Window},
    change::{Draft, Happening, Plan},
    record::{End, Mark, Moment, Portal, Token},
    table::{self, Mortal},
};
use model::{Bearer, BearerKind, Fault, Reason};
use proto::{registry::v1, time};
use serde_json::json;
use std::time::SystemTime;
use uuid::Uuid;

/// The most live tokens of a portal.
const MAX_TOKENS: usize = 100;

/// Makes a token within a change; the bearer is for the one answer that tells it.
pub(crate) fn mint(
    draft: &mut Draft,
    portal: &Portal,
    description: Option<String>,
    expires_at: Option<Moment>,
    now: Moment,
) -> (Bearer, Token) {
    let bearer = Bearer::generate(BearerKind::PortalToken);
    let fingerprint = bearer.fingerprint();
    let token = Token {
        uuid: Uuid::now_v7(),
        organization: portal.organization,
        portal: portal.uuid,
        description,
        created_at_ms: now,
        expires_at_ms: expires_at,
    };
    draft.put(table::token(&fingerprint), &token);
    draft.put(table::token_order(portal.uuid, token.uuid), &Mark { fingerprint });
    (bearer, token)
}

impl Administration<'_> {
    pub(crate) fn list_tokens(
        &self,
        request: &v1::ListPortalTokensRequest,
        window: Window,
    ) -> Result<v1::ListPortalTokensResponse, Fault> {
        let portal = self.portal(&request.organization, &request.portal)?;
        let Listed { items, total } = self.catalog.tokens(portal.uuid, window, MAX_TOKENS)?;
        let mut tokens = Vec::with_capacity(items.len());
        for token in items {
            let last_used_at = match self.usage.last(token.uuid) {
                Some(noted) => Some(noted),
                None => self.catalog.token_use(token.uuid)?.map(|written| written.last_used_at_ms),
            };
            tokens.push(wire::token(token, last_used_at));
        }
        Ok(v1::ListPortalTokensResponse { tokens, total })
    }

    pub(crate) async fn create_token(
        &self,
        caller: &Caller,
        request: v1::CreatePortalTokenRequest,
    ) -> Result<(v1::PortalToken, Bearer), Fault> {
        self.portal(&request.organization, &request.portal)?;
        let mut problems = Problems::default();
        problems.check_description(request.description.as_deref());
        let now = SystemTime::now();
        let expires_at = match request.expires_at.map(time::read) {
            None => None,
            Some(Some(end)) if end > now && jiff::Timestamp::try_from(end).is_ok() => Some(Moment::from(end)),
            Some(_) => {
                problems.add("expires_at must be a time in the future");
                None
            }
        };
        problems.verdict()?;
        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            let portal = self.portal(&request.organization, &request.portal)?;
            if self.catalog.tokens_up_to(portal.uuid, MAX_TOKENS)? >= MAX_TOKENS {
                return Err(invalid(format_args!(
                    "the portal has {MAX_TOKENS} tokens, which is the most: revoke one first"
                )));
            }
            let description = request.description.clone();
            let (bearer, token) = mint(&mut draft, &portal, description, expires_at, now.into());
            let data = json!({
                "portal": {"uuid": portal.uuid, "slug": portal.slug},
                "expires_at": expires_at.and_then(|at| jiff::Timestamp::try_from(SystemTime::from(at)).ok()).map(|at| at.to_string()),
            });
            let happening = Happening {
                r#type: "PORTAL_TOKEN_CREATED",
                subject: "portal_token",
                uuid: token.uuid,
                name: token.description.as_deref().unwrap_or_default(),
                data,
            };
            Ok(Plan::Write(draft.record(caller, token.created_at_ms, happening), (token, bearer)))
        };
        let ((token, bearer), _) = self.turns.change(self.catalog, &request.organization, plan).await?;
        Ok((wire::token(token, None), bearer))
    }

    /// Revokes a token: when this returns, it is dead on every edge.
    pub(crate) async fn delete_token(
        &self,
        caller: &Caller,
        request: v1::DeletePortalTokenRequest,
    ) -> Result<(), Fault> {
        let no_token = || Fault::new(Reason::NotFound, "No token found");
        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            let portal = self.portal(&request.organization, &request.portal)?;
            let uuid: Uuid = request.uuid.parse().map_err(|_| no_token())?;
            let Mark { fingerprint } = self.catalog.token_mark(portal.uuid, uuid)?.ok_or_else(no_token)?;
            let token = self.catalog.token(&fingerprint)?.ok_or_else(no_token)?;
            let now = Moment::now();
            draft.delete(table::token_order(portal.uuid, uuid));
            draft.put(table::end(Mortal::Token, uuid), &End { ended_at_ms: now });
            let happening = Happening {
                r#type: "PORTAL_TOKEN_REVOKED",
                subject: "portal_token",
                uuid,
                name: token.description.as_deref().unwrap_or_default(),
                data: json!({"portal": {"uuid": portal.uuid, "slug": portal.slug}}),
            };
            Ok(Plan::Write(draft.record(caller, now, happening), ()))
        };
        self.withdraw(&request.organization, plan).await
    }
}
