//! Makes a token that ends by itself, within a change.

use crate::{
    administration::restrictions::audit,
    catalog::Catalog,
    change::{Author, Draft, Happening, Write},
    record::{Ending, Mark, Moment, Portal, PortalSecret, Restrictions, Token, TokenKind, TokenMember},
    table,
};
use model::{Bearer, BearerKind, Fault, Reason};
use proto::time;
use serde_json::json;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// The most tokens of a portal that end by themselves and were made within an hour, which is as long as most of them
/// last.
pub(super) const MAX_TOKENS: usize = 10_000;
const HOUR: Duration = Duration::from_secs(60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

/// A token that was made.
pub(crate) struct Minted {
    pub(crate) uuid: Uuid,
    pub(crate) expires_at: SystemTime,
    /// From when it was made until it ends.
    pub(crate) life: Duration,
}

/// What a token is to be.
pub(super) struct Order<'a> {
    pub(super) portal: &'a Portal,
    pub(super) kind: TokenKind,
    /// The secret that it is exchanged for: it ends with it.
    pub(super) secret: Option<&'a PortalSecret>,
    /// The trusted issuer that vouched for its holder: it ends with that trust.
    pub(super) trusted_issuer: Option<Uuid>,
    /// The member in whose name it is to run.
    pub(super) member: Option<TokenMember>,
    /// What it may do less than its portal.
    pub(super) restrictions: Option<Restrictions>,
    pub(super) life: Duration,
    /// Who holds what it is exchanged for.
    pub(super) author: Author,
}

impl<'a> Order<'a> {
    /// A token of `portal` that rests on nothing else yet.
    pub(super) fn new(portal: &'a Portal, kind: TokenKind, life: Duration, author: Author) -> Self {
        let (secret, trusted_issuer, member, restrictions) = (None, None, None, None);
        Self { portal, kind, secret, trusted_issuer, member, restrictions, life, author }
    }
}

/// How long a token is to last.
///
/// # Errors
///
/// BAD_REQUEST for what is not 1 to `most` minutes.
pub(super) fn life(minutes: Option<u32>, most: u32) -> Result<Duration, Fault> {
    let minutes = minutes.unwrap_or(most);
    if !(1..=most).contains(&minutes) {
        let message = format!("expires_in must be 1 to {most}: it counts minutes");
        return Err(Fault::new(Reason::BadRequest, message));
    }
    Ok(MINUTE.saturating_mul(minutes))
}

/// Makes a token and completes the change; the bearer is for the one answer that tells it.
///
/// # Errors
///
/// RATE_LIMITED when the portal has had as many within the last hour as it may have.
pub(super) fn mint(
    catalog: &Catalog,
    mut draft: Draft,
    order: Order<'_>,
    now: SystemTime,
) -> Result<(Box<Write>, Bearer, Minted), Fault> {
    let Order { portal, kind, secret, trusted_issuer, member, restrictions, life, author } = order;
    let made_at = Moment::from(now);
    if catalog.has_ephemeral_since(portal.uuid, made_at.before(HOUR), MAX_TOKENS)? {
        let message = format!("the portal has made {MAX_TOKENS} tokens within an hour, which is the most");
        return Err(Fault::new(Reason::RateLimited, message).retry_after(MINUTE));
    }
    let (expires_at, life) = end(now, life, secret.and_then(|secret| secret.expires_at_ms));
    let bearer = Bearer::generate(BearerKind::PortalToken);
    let fingerprint = bearer.fingerprint();
    let token = Token {
        uuid: Uuid::now_v7(),
        organization: portal.organization,
        portal: portal.uuid,
        description: None,
        created_at_ms: made_at,
        expires_at_ms: Some(expires_at.into()),
        kind,
        secret: secret.map(|secret| secret.uuid),
        trusted_issuer,
        rate_limit_per_minute: None,
        created_by: member.as_ref().map(|member| member.user),
        restrictions,
        member,
    };
    draft.put(table::token(&fingerprint), &token);
    draft.put(table::ephemeral_order(portal.uuid, token.uuid), &Mark { fingerprint });
    let ending = Ending { portal: portal.uuid, fingerprint };
    draft.put(table::ending(expires_at.into(), token.uuid), &ending);
    let mut data = json!({
        "portal": {"uuid": portal.uuid, "slug": portal.slug},
        "kind": kind,
        "secret": token.secret,
        "trusted_issuer": token.trusted_issuer,
        "expires_at": time::text(expires_at),
    });
    audit(&mut data, token.restrictions.as_ref());
    let happening = Happening {
        r#type: "PORTAL_TOKEN_CREATED",
        subject: "portal_token",
        uuid: token.uuid,
        name: "",
        data,
    };
    let write = draft.record(author, made_at, happening);
    Ok((write, bearer, Minted { uuid: token.uuid, expires_at, life }))
}

/// When a token ends, in whole seconds as it is told, and in how many that is; never after `latest`.
fn end(now: SystemTime, life: Duration, latest: Option<Moment>) -> (SystemTime, Duration) {
    let whole = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
    };
    let end = whole(now) + life;
    match latest.map(|latest| whole(latest.into())) {
        Some(latest) if latest < end => (latest, latest.duration_since(now).unwrap_or_default()),
        _ => (end, life),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        administration::desk::{operator, registry},
        record,
        store::Batch,
    };
    use model::Fingerprint;

    #[tokio::test]
    async fn a_portal_makes_so_many_within_an_hour_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path()).await;
        let (catalog, now) = (registry.catalog(), SystemTime::now());
        let portal = registry.administration().portal("acme", "viewer").unwrap();
        let made_at = |ago: Duration, number: u64| {
            let mut random = [0; 10];
            random[..8].copy_from_slice(&number.to_be_bytes());
            uuid::Builder::from_unix_timestamp_millis(Moment::from(now).before(ago).ms(), &random).into_uuid()
        };
        let mark = record::write(&Mark { fingerprint: Fingerprint::of(b"any") });
        let marks = |count: u64, ago: Duration| {
            let put = |batch: Batch, number| {
                batch.put(table::ephemeral_order(portal.uuid, made_at(ago, number)), mark.clone())
            };
            catalog.commit((0..count).fold(Batch::new(), put))
        };
        let try_one = || {
            let draft = Draft::of(catalog, "acme").unwrap();
            let (kind, author) = (TokenKind::Ephemeral, Author::from(&operator()));
            let order = Order::new(&portal, kind, MINUTE, author);
            mint(catalog, draft, order, now).map(drop).map_err(|fault| fault.reason())
        };
        let most = u64::try_from(MAX_TOKENS).unwrap();
        marks(most, HOUR + MINUTE).await.unwrap();
        assert_eq!(try_one(), Ok(()), "those of before do not count");
        marks(most - 1, MINUTE).await.unwrap();
        assert_eq!(try_one(), Ok(()));
        marks(1, HOUR - MINUTE).await.unwrap();
        assert_eq!(try_one(), Err(Reason::RateLimited));
    }

    #[test]
    fn a_token_ends_at_a_whole_second_and_not_after_what_it_was_exchanged_for() {
        let at = |ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        let minutes = |minutes| MINUTE * minutes;
        assert_eq!(end(at(1_999), minutes(60), None), (at(3_601_000), minutes(60)));
        let later = Some(Moment::from(at(4_000_000)));
        assert_eq!(end(at(1_999), minutes(60), later), (at(3_601_000), minutes(60)));
        let sooner = Some(Moment::from(at(61_500)));
        assert_eq!(end(at(1_000), minutes(60), sooner), (at(61_000), minutes(1)));
    }

    #[test]
    fn a_life_is_of_so_many_minutes() {
        assert_eq!(life(None, 60).unwrap(), HOUR);
        assert_eq!(life(Some(1), 60).unwrap(), MINUTE);
        for minutes in [0, 61, u32::MAX] {
            assert_eq!(life(Some(minutes), 60).unwrap_err().reason(), Reason::BadRequest, "{minutes}");
        }
    }
}
