//! Says who may call what: a few reads and one signature.
//!
//! It begins with the bearer and ends with the portal, never the other way round. So a refusal cannot depend on
//! whether the portal exists.

use crate::{
    catalog::Catalog,
    grant::Signer,
    record::{Document, ExtraVariables, Organization, Portal, Restrictions, Token},
    store::Revision,
    table::Mortal,
    usage::Usage,
};
use model::{Bearer, BearerKind, Fault, Fingerprint, Reason, Secret, restriction::Rule};
use proto::grant::{AUDIENCE, Claims, ISSUER, UpstreamClaim};
use std::time::{Duration, SystemTime};

/// How long a grant lasts at most.
pub(crate) const LIFE: Duration = Duration::from_secs(5 * 60);

/// A grant, and what the edge itself must see to.
pub(crate) struct Authorization {
    pub(crate) grant: Secret,
    pub(crate) expires_at: SystemTime,
    pub(crate) organization: Organization,
    pub(crate) portal: Portal,
    pub(crate) token: Token,
    /// A withdrawal of a later revision may concern it.
    pub(crate) revision: Revision,
}

/// Grants `bearer` the portal that the two slugs name.
///
/// # Errors
///
/// UNAUTHENTICATED for a bearer that nobody holds rightfully, FORBIDDEN for one of another portal,
/// STORAGE_UNAVAILABLE when the store cannot be read.
pub(crate) fn authorize(
    catalog: &Catalog,
    signer: &Signer,
    usage: &Usage,
    (organization_slug, portal_slug, bearer): (&str, &str, &str),
    now: SystemTime,
) -> Result<Authorization, Fault> {
    let revision = catalog.revision();
    let (organization, portal, token) = holder(catalog, bearer, now)?;
    if organization.slug != organization_slug || portal.slug != portal_slug {
        return Err(Fault::new(Reason::Forbidden, "the token is not good for this portal"));
    }
    let (issued_at, expires_at) = life(&token, now).ok_or_else(unauthenticated)?;
    let (portal_revision, document) = runnable(catalog, &portal, &token)?;
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        iat: issued_at,
        exp: expires_at,
        organization: organization.uuid.to_string(),
        portal: portal.uuid.to_string(),
        revision: portal_revision,
        token: token.uuid.to_string(),
        document: document.into_claim(),
        ignore_extra_variables: portal.extra_variables == ExtraVariables::Ignore,
        upstream: UpstreamClaim {
            url: organization.upstream_url.clone(),
            sealed: organization.upstream_sealed.clone(),
            timeout_ms: u64::from(organization.upstream_timeout_seconds) * 1_000,
        },
        restrictions: token.restrictions.as_ref().and_then(Restrictions::claim),
    };
    let grant = signer.sign(&claims)?;
    usage.note(token.uuid, now.into());
    let expires_at = SystemTime::UNIX_EPOCH + Duration::from_secs(expires_at);
    Ok(Authorization { grant, expires_at, organization, portal, token, revision })
}

/// The one portal that a live bearer is good for.
fn holder(catalog: &Catalog, bearer: &str, now: SystemTime) -> Result<(Organization, Portal, Token), Fault> {
    let fingerprint = fingerprint(bearer).ok_or_else(unauthenticated)?;
    let token = catalog.token(&fingerprint)?.ok_or_else(unauthenticated)?;
    let ends = [
        (Mortal::Token, token.uuid),
        (Mortal::Portal, token.portal),
        (Mortal::Organization, token.organization),
    ];
    // A token that was exchanged for something ends with it.
    let secret = token.secret.map(|secret| (Mortal::Secret, secret));
    let issuer = token.trusted_issuer.map(|issuer| (Mortal::TrustedIssuer, issuer));
    for (what, uuid) in ends.into_iter().chain(secret).chain(issuer) {
        if catalog.has_ended(what, uuid)? {
            return Err(unauthenticated());
        }
    }
    if token.has_expired(now) {
        return Err(unauthenticated());
    }
    let organization = catalog.organization(token.organization)?.ok_or_else(unauthenticated)?;
    let portal = catalog.portal(organization.uuid, token.portal)?.ok_or_else(unauthenticated)?;
    Ok((organization, portal, token))
}

/// What a token may run: the revision that it is pinned to, or else the live one.
fn runnable(catalog: &Catalog, portal: &Portal, token: &Token) -> Result<(u64, Document), Fault> {
    let pinned = token.restrictions.as_ref().and_then(|restrictions| restrictions.document_revision);
    let Some(revision) = pinned else { return Ok((portal.revision, catalog.document(portal)?)) };
    let gone = || {
        let message = format!("the token may run revision {revision} alone, which the portal no longer has");
        Fault::restricted(Rule::Revision, message)
    };
    Ok((revision, catalog.document_saved(portal.uuid, revision)?.ok_or_else(gone)?))
}

fn fingerprint(bearer: &str) -> Option<Fingerprint> {
    let bearer = Bearer::parse(bearer).ok()?;
    bearer.is(BearerKind::PortalToken).then(|| bearer.fingerprint())
}

/// From when to when a grant for `token` lasts, in seconds since 1970; nothing where not even a second is left.
fn life(token: &Token, now: SystemTime) -> Option<(u64, u64)> {
    let seconds =
        |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_secs()).ok();
    let issued_at = seconds(now)?;
    let until = issued_at + LIFE.as_secs();
    let expires_at = match token.expires_at_ms {
        Some(end) => seconds(end.into())?.min(until),
        None => until,
    };
    (expires_at > issued_at).then_some((issued_at, expires_at))
}

fn unauthenticated() -> Fault {
    Fault::new(Reason::Unauthenticated, "the token is missing, malformed, unknown, expired or revoked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::administration::desk::{keyring, operator, registry};
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
        let (signer, usage, now) = (Signer::new(&keyring()), Usage::default(), SystemTime::now());
        let let_in = |bearer: &str| {
            let named = ("acme", "viewer", bearer);
            authorize(registry.catalog(), &signer, &usage, named, now).is_ok()
        };
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
