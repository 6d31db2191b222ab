//! Tokens of portals: minted, revoked, told.

use super::{
    Administration,
    problems::{Problems, invalid},
    restrictions::{Wanted, audit},
    upstream::check_rate_limit,
    wire,
};
use crate::{
    caller::Caller,
    catalog::{Listed, Window},
    change::{Draft, Happening, Plan},
    record::{End, Mark, Moment, Portal, Restrictions, Token, TokenKind},
    table::{self, Mortal},
};
use model::{Bearer, BearerKind, Fault, Reason};
use proto::{registry::v1, time};
use serde_json::json;
use std::time::SystemTime;
use uuid::Uuid;

/// The most live tokens of a portal; those that have expired do not count.
const MAX_TOKENS: usize = 100;

/// What a service token is to be.
#[derive(Default)]
pub(crate) struct New {
    pub(crate) description: Option<String>,
    pub(crate) expires_at: Option<Moment>,
    pub(crate) restrictions: Option<Restrictions>,
    /// Calls in a window, where it has a limit of its own.
    pub(crate) rate_limit_per_minute: Option<u32>,
    /// The user who makes it, where one does.
    pub(crate) created_by: Option<Uuid>,
}

/// Makes a token within a change; the bearer is for the one answer that tells it.
pub(crate) fn mint(draft: &mut Draft, portal: &Portal, new: New, now: Moment) -> (Bearer, Token) {
    let New { description, expires_at, restrictions, rate_limit_per_minute, created_by } = new;
    let bearer = Bearer::generate(BearerKind::PortalToken);
    let fingerprint = bearer.fingerprint();
    let token = Token {
        uuid: Uuid::now_v7(),
        organization: portal.organization,
        portal: portal.uuid,
        description,
        created_at_ms: now,
        expires_at_ms: expires_at,
        kind: TokenKind::Service,
        secret: None,
        trusted_issuer: None,
        member: None,
        created_by,
        restrictions,
        rate_limit_per_minute,
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
            let last_used_at = self.last_use(token.uuid)?;
            let created_by = self.creator(token.created_by)?;
            let uses = match token.max_uses() {
                Some(_) => Some(self.catalog.spent_uses(token.uuid)?.map_or(0, |(uses, _)| uses.spent)),
                None => None,
            };
            tokens.push(wire::token(token, created_by, last_used_at, uses));
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
        let expires_at = problems.read_end(request.expires_at, now);
        let wanted = Wanted::read(&mut problems, request.restrictions);
        check_rate_limit(&mut problems, request.rate_limit_per_minute);
        problems.verdict()?;
        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            let portal = self.portal(&request.organization, &request.portal)?;
            let restrictions = wanted.of(&portal, self.runnable(&portal)?)?;
            let all = Window { skip: 0, limit: MAX_TOKENS };
            let listed = self.catalog.tokens(portal.uuid, all, MAX_TOKENS)?.items;
            let (expired, live): (Vec<_>, Vec<_>) =
                listed.into_iter().partition(|token| token.has_expired(now));
            if live.len() >= MAX_TOKENS {
                return Err(invalid(format_args!(
                    "the portal has {MAX_TOKENS} live tokens, which is the most: revoke one first"
                )));
            }
            // Nobody can use these any more: they need no place, and no later mint has to pass them over.
            for token in expired {
                draft.delete(table::token_order(portal.uuid, token.uuid));
            }
            let new = New {
                description: request.description.clone(),
                expires_at,
                restrictions,
                rate_limit_per_minute: request.rate_limit_per_minute,
                created_by: caller.user_uuid(),
            };
            let (bearer, token) = mint(&mut draft, &portal, new, now.into());
            let mut data = json!({
                "portal": {"uuid": portal.uuid, "slug": portal.slug},
                "kind": token.kind,
                "expires_at": expires_at.and_then(|at| time::text(at.into())),
            });
            audit(&mut data, token.restrictions.as_ref());
            if let (Some(limit), Some(data)) = (token.rate_limit_per_minute, data.as_object_mut()) {
                data.insert("rate_limit_per_minute".to_owned(), json!(limit));
            }
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
        let created_by = self.creator(token.created_by)?;
        let uses = token.max_uses().map(|_| 0);
        Ok((wire::token(token, created_by, None, uses), bearer))
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
            let Mark { fingerprint } = self.mark_of_token(portal.uuid, uuid)?.ok_or_else(no_token)?;
            let token = self.catalog.token(&fingerprint)?.ok_or_else(no_token)?;
            let now = Moment::now();
            draft.delete(table::token_order(portal.uuid, uuid));
            draft.delete(table::ephemeral_order(portal.uuid, uuid));
            draft.put(table::end(Mortal::Token, uuid), &End { ended_at_ms: now });
            let happening = Happening {
                r#type: "PORTAL_TOKEN_REVOKED",
                subject: "portal_token",
                uuid,
                name: token.description.as_deref().unwrap_or_default(),
                data: json!({"portal": {"uuid": portal.uuid, "slug": portal.slug}, "kind": token.kind}),
            };
            Ok(Plan::Write(draft.record(caller, now, happening), ()))
        };
        self.withdraw(&request.organization, plan).await
    }

    /// Where a token of a portal lies that is not revoked, whatever its kind.
    fn mark_of_token(&self, portal: Uuid, token: Uuid) -> Result<Option<Mark>, Fault> {
        match self.catalog.token_mark(portal, token)? {
            Some(mark) => Ok(Some(mark)),
            None => Ok(self.catalog.ephemeral_mark(portal, token)?),
        }
    }

    /// When a token or a secret was last used.
    pub(super) fn last_use(&self, uuid: Uuid) -> Result<Option<Moment>, Fault> {
        match self.usage.last(uuid) {
            Some(noted) => Ok(Some(noted)),
            None => Ok(self.catalog.token_use(uuid)?.map(|written| written.last_used_at_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Registry,
        administration::desk::{operator, registry},
        authorize::admit,
    };
    use std::time::Duration;

    const NOBODY_MAY_CALL: &str = "the token is missing, malformed, unknown, expired or revoked";

    /// As many tokens as `ends` says, without asking whether there is room.
    async fn minted(registry: &Registry, ends: &[SystemTime]) -> Vec<Bearer> {
        let administration = registry.administration();
        let plan = || {
            let mut draft = Draft::of(administration.catalog, "acme")?;
            let portal = administration.portal("acme", "viewer")?;
            let now = Moment::now();
            let mint = |end: &SystemTime| {
                let new = New { expires_at: Some((*end).into()), ..New::default() };
                mint(&mut draft, &portal, new, now).0
            };
            let bearers: Vec<_> = ends.iter().map(mint).collect();
            let happening = Happening {
                r#type: "PORTAL_TOKEN_CREATED",
                subject: "portal_token",
                uuid: portal.uuid,
                name: "",
                data: json!({}),
            };
            Ok(Plan::Write(draft.record(&operator(), now, happening), bearers))
        };
        administration.turns.change(administration.catalog, "acme", plan).await.unwrap().0
    }

    fn request(expires_at: Option<SystemTime>) -> v1::CreatePortalTokenRequest {
        v1::CreatePortalTokenRequest {
            organization: "acme".to_owned(),
            portal: "viewer".to_owned(),
            expires_at: expires_at.map(time::write),
            ..Default::default()
        }
    }

    fn listed(registry: &Registry) -> u64 {
        let request = v1::ListPortalTokensRequest {
            organization: "acme".to_owned(),
            portal: "viewer".to_owned(),
            page: None,
        };
        registry.administration().list_tokens(&request, Window { skip: 0, limit: 1 }).unwrap().total
    }

    #[tokio::test]
    async fn a_token_is_refused_from_the_moment_of_its_expiry() {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path()).await;
        let end = SystemTime::from(Moment::now()) + Duration::from_secs(3_600);
        let bearers = minted(&registry, &[end]).await;
        let bearer = bearers[0].expose();
        let at = |now| admit(registry.catalog(), ("acme", "viewer", bearer), now);

        assert!(at(end - Duration::from_secs(2)).unwrap().spared().expires_at <= end);
        for now in [end, end + Duration::from_millis(1), end + Duration::from_secs(86_400)] {
            let Err(fault) = at(now) else { panic!("a grant at {now:?}") };
            assert_eq!((fault.reason(), fault.message()), (Reason::Unauthenticated, NOBODY_MAY_CALL));
        }
    }

    #[tokio::test]
    async fn a_token_may_last_until_the_last_year_of_four_digits_ends() {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path()).await;
        let last = time::parse("9999-12-31T23:59:59.999Z").unwrap();
        let (token, _) =
            registry.administration().create_token(&operator(), request(Some(last))).await.unwrap();
        assert_eq!(token.expires_at.and_then(time::read), Some(last));
        let later = last + Duration::from_millis(1);
        let refused = registry.administration().create_token(&operator(), request(Some(later))).await;
        assert_eq!(refused.unwrap_err().reason(), Reason::ValidationFailed);
    }

    #[tokio::test]
    async fn tokens_that_have_expired_take_no_place() {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path()).await;
        let past = SystemTime::now() - Duration::from_secs(1);
        minted(&registry, &[past; MAX_TOKENS - 1]).await;
        assert_eq!(listed(&registry), 100);

        registry.administration().create_token(&operator(), request(None)).await.unwrap();

        assert_eq!(listed(&registry), 2, "the portal's first and the new one");
        let later = SystemTime::now() + Duration::from_secs(3_600);
        minted(&registry, &[later; MAX_TOKENS - 2]).await;
        let fault = registry.administration().create_token(&operator(), request(None)).await.unwrap_err();
        assert!(fault.message().contains("revoke one first"), "{fault}");
    }
}
