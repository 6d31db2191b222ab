//! API access tokens of users: made, revoked, told.

use super::{
    Administration,
    portals::read_allowed,
    problems::{Problems, invalid},
    users::no_user,
    wire,
};
use crate::{
    caller::Caller,
    catalog::{Listed, Window},
    change::{Draft, Happening, NO_ORGANIZATION, Plan},
    record::{AccessToken, AccessTokenKind, End, Mark, Moment, Scope},
    table::{self, Mortal},
};
use model::{AllowedAddresses, Bearer, BearerKind, Fault, Reason};
use proto::{
    registry::v1::{self, AccessTokenProperties},
    time,
};
use serde_json::json;
use std::time::SystemTime;
use uuid::Uuid;

/// The most scopes that are sent; there are fewer.
const MAX_SCOPES: usize = 32;
/// The most live access tokens of a user; those that have expired do not count.
const MAX_ACCESS_TOKENS: usize = 100;

impl Administration<'_> {
    pub(crate) fn list_access_tokens(
        &self,
        user: Uuid,
        window: Window,
    ) -> Result<Listed<v1::AccessToken>, Fault> {
        let Listed { items, total } = self.catalog.access_tokens(user, window, MAX_ACCESS_TOKENS)?;
        let mut tokens = Vec::with_capacity(items.len());
        for token in items {
            let last_used_at = self.last_use(token.uuid)?;
            tokens.push(wire::access_token(token, last_used_at));
        }
        Ok(Listed { items: tokens, total })
    }

    /// Makes an access token for `user`, which can do no more than that of `maker`, where there is one.
    pub(crate) async fn create_access_token(
        &self,
        caller: &Caller,
        user: Uuid,
        properties: Option<AccessTokenProperties>,
        maker: Option<&AccessToken>,
    ) -> Result<(v1::AccessToken, Bearer), Fault> {
        let now = SystemTime::now();
        let token = new_token(user, properties.unwrap_or_default(), maker, now)?;
        let bearer = Bearer::generate(BearerKind::AccessToken);
        let plan = || {
            let mut draft = Draft::of_house(self.catalog)?;
            let (owner, _) = self.catalog.user(user)?.ok_or_else(no_user)?;
            let every = Window { skip: 0, limit: MAX_ACCESS_TOKENS };
            let listed = self.catalog.access_tokens(user, every, MAX_ACCESS_TOKENS)?.items;
            let (expired, live): (Vec<_>, Vec<_>) =
                listed.into_iter().partition(|token| token.has_expired(now));
            if live.len() >= MAX_ACCESS_TOKENS {
                return Err(invalid(format_args!(
                    "the user has {MAX_ACCESS_TOKENS} live access tokens, which is the most: revoke one first"
                )));
            }
            for token in expired {
                draft.delete(table::access_token_order(user, token.uuid));
            }
            let fingerprint = bearer.fingerprint();
            draft.put(table::access_token(&fingerprint), &token);
            draft.put(table::access_token_order(user, token.uuid), &Mark { fingerprint });
            let data = json!({
                "user": {"uuid": user, "email": owner.email},
                "scopes": token.scopes,
                "allowed_ip_addresses": token.allowed_ip_addresses,
                "expires_at": token.expires_at_ms.and_then(|at| time::text(at.into())),
            });
            let happening = Happening {
                r#type: "API_ACCESS_TOKEN_CREATED",
                subject: "api_access_token",
                uuid: token.uuid,
                name: &token.description,
                data,
            };
            Ok(Plan::Write(draft.record(caller, token.created_at_ms, happening), ()))
        };
        self.turns.change(self.catalog, NO_ORGANIZATION, plan).await?;
        Ok((wire::access_token(token, None), bearer))
    }

    /// Revokes an access token of `user`: no call that comes after this is let in by it.
    pub(crate) async fn delete_access_token(
        &self,
        caller: &Caller,
        user: Uuid,
        uuid: &str,
    ) -> Result<(), Fault> {
        let no_token = || Fault::new(Reason::NotFound, "No access token found");
        let uuid: Uuid = uuid.parse().map_err(|_| no_token())?;
        let plan = || {
            let mut draft = Draft::of_house(self.catalog)?;
            let (owner, _) = self.catalog.user(user)?.ok_or_else(no_user)?;
            let Mark { fingerprint } = self.catalog.access_token_mark(user, uuid)?.ok_or_else(no_token)?;
            let token = self.catalog.access_token(&fingerprint)?.ok_or_else(no_token)?;
            let now = Moment::now();
            draft.delete(table::access_token_order(user, uuid));
            draft.put(table::end(Mortal::AccessToken, uuid), &End { ended_at_ms: now });
            let happening = Happening {
                r#type: "API_ACCESS_TOKEN_REVOKED",
                subject: "api_access_token",
                uuid,
                name: &token.description,
                data: json!({"user": {"uuid": user, "email": owner.email}}),
            };
            Ok(Plan::Write(draft.record(caller, now, happening), ()))
        };
        self.turns.change(self.catalog, NO_ORGANIZATION, plan).await.map(drop)
    }
}

/// The token that is to be; where `maker` is given, it is good for nothing that `maker` is not good for.
fn new_token(
    user: Uuid,
    properties: AccessTokenProperties,
    maker: Option<&AccessToken>,
    now: SystemTime,
) -> Result<AccessToken, Fault> {
    let mut problems = Problems::default();
    problems.check_description(properties.description.as_deref());
    let scopes = read_scopes(&mut problems, &properties.scopes, maker);
    let mut expires_at = problems.read_end(properties.expires_at, now);
    let mut allowed = read_allowed(&mut problems, properties.allowed_ip_addresses.as_deref());
    if let Some(maker) = maker {
        // A session ends soon because it is made by a password; what is made with it need not.
        let latest = maker.expires_at_ms.filter(|_| maker.kind != AccessTokenKind::Session);
        expires_at = expires_at.or(latest);
        if latest.zip(expires_at).is_some_and(|(latest, sent)| sent > latest) {
            problems.add("expires_at must not be later than that of the API access token which asks");
        }
        allowed = allowed.or_else(|| maker.allowed_ip_addresses.clone());
        if !is_within(allowed.as_deref(), maker.allowed_ip_addresses.as_deref()) {
            problems.add("allowed_ip_addresses must be among those of the API access token which asks");
        }
    }
    problems.verdict()?;
    Ok(AccessToken {
        uuid: Uuid::now_v7(),
        description: properties.description.unwrap_or_default(),
        kind: AccessTokenKind::User,
        scopes,
        created_at_ms: now.into(),
        user: Some(user),
        expires_at_ms: expires_at,
        allowed_ip_addresses: allowed,
    })
}

/// What a token is to be good for: each scope once, and none that a user or `maker` cannot have.
fn read_scopes(problems: &mut Problems, sent: &[String], maker: Option<&AccessToken>) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for name in sent.iter().take(MAX_SCOPES) {
        match Scope::named(name) {
            None => {
                let known = Scope::ALL.into_iter().filter(|scope| scope.is_for_users()).map(Scope::name);
                problems.add(format!(
                    "scopes: `{}` is none of {}",
                    name.chars().take(64).collect::<String>().escape_debug(),
                    known.collect::<Vec<_>>().join(", ")
                ));
            }
            Some(scope) if !scope.is_for_users() => {
                problems.add(format!("scopes: {} is the operator's alone", scope.name()));
            }
            Some(scope) if maker.is_some_and(|maker| !maker.scopes.contains(&scope)) => {
                problems.add(format!("scopes: the API access token which asks lacks {}", scope.name()));
            }
            Some(scope) if scopes.contains(&scope) => {}
            Some(scope) => scopes.push(scope),
        }
    }
    if sent.is_empty() || sent.len() > MAX_SCOPES {
        problems.add(format!("scopes must name 1 to {MAX_SCOPES}"));
    }
    scopes
}

fn is_within(text: Option<&str>, other: Option<&str>) -> bool {
    let read = |text: Option<&str>| AllowedAddresses::parse(text.unwrap_or_default()).ok();
    read(text).zip(read(other)).is_none_or(|(one, other)| one.within(&other))
}
