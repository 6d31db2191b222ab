//! Says who may call what: a few reads and one signature.
//!
//! It begins with the bearer and ends with the portal, never the other way round. So a refusal cannot depend on
//! whether the portal exists.

use crate::{
    catalog::Catalog,
    grant::Signer,
    record::{Document, ExtraVariables, Organization, Portal, Restrictions, Token, TokenMember},
    store::Revision,
    table::Mortal,
    usage::Usage,
};
use model::{Bearer, BearerKind, Fault, Fingerprint, Reason, Secret, restriction::Rule};
use proto::grant::{AUDIENCE, Claims, DocumentClaim, ISSUER, UpstreamClaim};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// How long a grant lasts at most.
pub(crate) const LIFE: Duration = Duration::from_secs(5 * 60);

/// How long a grant lasts that is good for one call: long enough to be carried to an executor.
const LIFE_OF_ONE_CALL: Duration = Duration::from_secs(30);

/// A grant, and what the edge itself must see to.
pub(crate) struct Authorization {
    /// Nothing where uses are counted and none was spent.
    pub(crate) grant: Option<Secret>,
    pub(crate) expires_at: SystemTime,
    pub(crate) organization: Organization,
    pub(crate) portal: Portal,
    pub(crate) token: Token,
    /// A withdrawal of a later revision may concern it.
    pub(crate) revision: Revision,
}

/// A bearer that may call the portal that it names, as that was read.
pub(crate) struct Admitted {
    pub(crate) token: Token,
    organization: Organization,
    portal: Portal,
    pub(crate) document: DocumentClaim,
    portal_revision: u64,
    revision: Revision,
    now: SystemTime,
    expires_at: SystemTime,
    /// What it runs with upstream, sealed.
    sealed: String,
}

/// For how many calls a grant is good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Good {
    /// As many as one likes, until it runs out.
    ForAll,
    /// One.
    ForOne,
}

/// Says whether `bearer` may call the portal that the two slugs name.
///
/// # Errors
///
/// UNAUTHENTICATED for a bearer that nobody holds rightfully, FORBIDDEN for one of another portal, TOKEN_RESTRICTED for
/// one that is pinned to what is no longer there, STORAGE_UNAVAILABLE when the store cannot be read.
pub(crate) fn admit(
    catalog: &Catalog,
    (organization_slug, portal_slug, bearer): (&str, &str, &str),
    now: SystemTime,
) -> Result<Admitted, Fault> {
    let revision = catalog.revision();
    let (organization, portal, token) = holder(catalog, bearer, now)?;
    if organization.slug != organization_slug || portal.slug != portal_slug {
        return Err(Fault::new(Reason::Forbidden, "the token is not good for this portal"));
    }
    let expires_at = end(&token, now).ok_or_else(unauthenticated)?;
    let (portal_revision, document) = runnable(catalog, &portal, &token)?;
    let document = catalog.claim(organization.uuid, document)?;
    let sealed = sealed(catalog, &organization, &token)?;
    Ok(Admitted { token, organization, portal, document, portal_revision, revision, now, expires_at, sealed })
}

impl Admitted {
    /// Signs a grant for it.
    ///
    /// # Errors
    ///
    /// INTERNAL, where the claims have no JSON text.
    pub(crate) fn grant(self, signer: &Signer, usage: &Usage, good: Good) -> Result<Authorization, Fault> {
        let Self {
            token,
            organization,
            portal,
            document,
            portal_revision,
            revision,
            now,
            expires_at,
            sealed,
        } = self;
        let (expires_at, jti) = match good {
            Good::ForAll => (expires_at, None),
            Good::ForOne => (expires_at.min(now + LIFE_OF_ONE_CALL), Some(Uuid::now_v7())),
        };
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat: seconds(now),
            exp: seconds(expires_at),
            organization: organization.uuid.to_string(),
            portal: portal.uuid.to_string(),
            revision: portal_revision,
            token: token.uuid.to_string(),
            document,
            ignore_extra_variables: portal.extra_variables == ExtraVariables::Ignore,
            coalesce: portal.coalesce,
            upstream: UpstreamClaim {
                url: organization.upstream_url.clone(),
                sealed,
                timeout_ms: u64::from(organization.upstream_timeout_seconds) * 1_000,
            },
            restrictions: token.restrictions.as_ref().and_then(Restrictions::claim),
            jti,
        };
        let grant = Some(signer.sign(&claims)?);
        usage.note(token.uuid, now.into());
        Ok(Authorization { grant, expires_at, organization, portal, token, revision })
    }

    /// All that an edge must see to, without a grant: no use was spent.
    pub(crate) fn spared(self) -> Authorization {
        let Self { organization, portal, token, revision, expires_at, .. } = self;
        Authorization { grant: None, expires_at, organization, portal, token, revision }
    }
}

/// The one portal that a live bearer is good for.
fn holder(catalog: &Catalog, bearer: &str, now: SystemTime) -> Result<(Organization, Portal, Token), Fault> {
    let fingerprint = fingerprint(bearer).ok_or_else(unauthenticated)?;
    let token = catalog.token(&fingerprint)?.ok_or_else(unauthenticated)?;
    for (what, uuid) in rests_on(&token) {
        if catalog.has_ended(what, uuid)? {
            return Err(unauthenticated());
        }
    }
    if token.has_expired(now) {
        return Err(unauthenticated());
    }
    let organization = catalog.organization(token.organization)?.ok_or_else(unauthenticated)?;
    let portal = catalog.portal(organization.uuid, token.portal)?.ok_or_else(unauthenticated)?;
    if let Some(member) = &token.member
        && !is_good(catalog, member, &portal)?
    {
        return Err(unauthenticated());
    }
    Ok((organization, portal, token))
}

/// Whether a member may still have the token that was made for them.
fn is_good(catalog: &Catalog, member: &TokenMember, portal: &Portal) -> Result<bool, Fault> {
    let invokable = portal.user_invokable && portal.invokable_since == member.invokable_since;
    let ended = catalog.membership_has_ended(portal.organization, member.membership)?;
    Ok(invokable && !ended && catalog.user(member.user)?.is_some())
}

/// What a token runs with upstream: the organization's credential, or that of the member whose it is and nothing else.
fn sealed(catalog: &Catalog, organization: &Organization, token: &Token) -> Result<String, Fault> {
    let Some(member) = &token.member else { return Ok(organization.upstream_sealed.clone()) };
    let none = || {
        let message = "the member whose token this is has no credential for the organization's upstream";
        Fault::new(Reason::Forbidden, message)
    };
    Ok(catalog.member_credential(organization.uuid, member.membership)?.ok_or_else(none)?.sealed)
}

/// What a token ends with: itself, what it belongs to, and what it was exchanged for.
pub(crate) fn rests_on(token: &Token) -> impl Iterator<Item = (Mortal, Uuid)> {
    let owners = [
        (Mortal::Token, token.uuid),
        (Mortal::Portal, token.portal),
        (Mortal::Organization, token.organization),
    ];
    let secret = token.secret.map(|secret| (Mortal::Secret, secret));
    let issuer = token.trusted_issuer.map(|issuer| (Mortal::TrustedIssuer, issuer));
    owners.into_iter().chain(secret).chain(issuer)
}

/// What a token may run: the revision that it is pinned to, or else the live one.
fn runnable(catalog: &Catalog, portal: &Portal, token: &Token) -> Result<(u64, Document), Fault> {
    let pinned = token.restrictions.as_ref().and_then(|restrictions| restrictions.document_revision);
    let Some(revision) = pinned else { return Ok((portal.revision, catalog.document(portal)?)) };
    let gone = || {
        let message = format!("the token may run revision {revision} alone, which the portal no longer has");
        Fault::restricted(Rule::Revision, message)
    };
    Ok((revision, catalog.document_saved(portal, revision)?.ok_or_else(gone)?))
}

fn fingerprint(bearer: &str) -> Option<Fingerprint> {
    let bearer = Bearer::parse(bearer).ok()?;
    bearer.is(BearerKind::PortalToken).then(|| bearer.fingerprint())
}

/// Until when a grant for `token` lasts, in whole seconds; nothing where not even one is left.
fn end(token: &Token, now: SystemTime) -> Option<SystemTime> {
    let until = seconds(now) + LIFE.as_secs();
    let end = token.expires_at_ms.map_or(until, |end| seconds(end.into()).min(until));
    (end > seconds(now)).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(end))
}

/// Whole seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn unauthenticated() -> Fault {
    Fault::new(Reason::Unauthenticated, "the token is missing, malformed, unknown, expired or revoked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::administration::desk::{operator, registry};
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use proto::registry::v1::CreatePortalTokenRequest;

    const FORGERIES: u32 = 1_000_000;

    /// A random number, the same in each run (splitmix64).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
        }
    }

    /// The same text with the checksum that belongs to it: who forges can compute it too.
    fn with_checksum(text: &[u8]) -> Vec<u8> {
        let body = &text[..text.len() - 6];
        let sum = URL_SAFE_NO_PAD.encode(Fingerprint::of(body).as_bytes());
        [body, &sum.as_bytes()[..6]].concat()
    }

    /// Something near a token, and never a token itself.
    fn forged(token: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
        let mut text = token.to_vec();
        let place = dice.below(text.len());
        let characters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        match dice.below(6) {
            0 => text[place] ^= 1 << dice.below(8),
            1 => text.truncate(place),
            2 => text.insert(place, characters[dice.below(characters.len())]),
            3 => text.swap(place, (place + 1) % token.len()),
            // The head of one and the tail of another.
            4 => text = with_checksum(&[&token[..place.clamp(5, 46)], &other[place.clamp(5, 46)..]].concat()),
            _ => {
                text[4 + dice.below(43)] = characters[dice.below(characters.len())];
                text = with_checksum(&text);
            }
        }
        if text == token || text == other {
            text.push(b'A');
        }
        text
    }

    #[tokio::test]
    async fn of_a_million_forged_tokens_none_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path()).await;
        let mut tokens = Vec::new();
        for _ in 0..2 {
            let request = CreatePortalTokenRequest {
                organization: "acme".to_owned(),
                portal: "viewer".to_owned(),
                ..Default::default()
            };
            tokens.push(registry.administration().create_token(&operator(), request).await.unwrap().1);
        }
        let now = SystemTime::now();
        let let_in = |bearer: &str| admit(registry.catalog(), ("acme", "viewer", bearer), now).is_ok();
        let [token, other] = [0, 1].map(|at: usize| tokens[at].expose());
        assert!(let_in(token) && let_in(other));
        let (mut dice, mut looked_up) = (Dice(4), 0);
        for _ in 0..FORGERIES {
            let forged = forged(token.as_bytes(), other.as_bytes(), &mut dice);
            let Ok(forged) = String::from_utf8(forged) else { continue };
            looked_up += u32::from(fingerprint(&forged).is_some());
            assert!(!let_in(&forged), "it is let in, and it is none of those that were made");
        }
        assert!(looked_up > FORGERIES / 4, "{looked_up} of them had a good checksum");
        assert!(let_in(token) && let_in(other));
    }
}
