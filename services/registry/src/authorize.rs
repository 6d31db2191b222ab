//! Says who may call what: a few reads and one signature.
//!
//! It begins with the bearer and ends with the portal, never the other way round. So a refusal cannot depend on
//! whether the portal exists.

use crate::{
    catalog::Catalog,
    grant::Signer,
    record::{ExtraVariables, Organization, Portal, Token},
    store::Revision,
    table::Mortal,
    usage::Usage,
};
use model::{Bearer, BearerKind, Fault, Fingerprint, Reason, Secret};
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
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        iat: issued_at,
        exp: expires_at,
        organization: organization.uuid.to_string(),
        portal: portal.uuid.to_string(),
        revision: portal.revision,
        token: token.uuid.to_string(),
        document: catalog.document(&portal)?.into_claim(),
        ignore_extra_variables: portal.extra_variables == ExtraVariables::Ignore,
        upstream: UpstreamClaim {
            url: organization.upstream_url.clone(),
            sealed: organization.upstream_sealed.clone(),
            timeout_ms: u64::from(organization.upstream_timeout_seconds) * 1_000,
        },
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
    // A token that was exchanged for a secret ends with it.
    let secret = token.secret.map(|secret| (Mortal::Secret, secret));
    for (what, uuid) in ends.into_iter().chain(secret) {
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
