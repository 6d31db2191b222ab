//! A JWT of an issuer that the portal trusts for an ephemeral token (RFC 8693, RFC 7523).

use super::{
    Exchange, Refused, Wanted,
    client_credentials::check_address,
    mint::{self, Minted, Order},
    narrow,
};
use crate::{
    administration::MAX_TRUSTED_ISSUERS,
    change::{Author, Draft, Plan},
    identity::{self, Condition, Trust},
    record::{Actor, ActorKind, Portal, TokenKind, TrustedIssuer},
    table::Mortal,
};
use model::{Bearer, Fault, Reason};
use proto::registry::v1::IdentityToken;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// How long an ephemeral token lasts at most, in minutes.
const MOST_MINUTES: u32 = 60;
/// When an issuer may be asked again that did not answer.
const RETRY: Duration = Duration::from_secs(30);

impl Exchange<'_> {
    /// Makes an ephemeral token for whoever an issuer vouches for that the portal trusts.
    ///
    /// # Errors
    ///
    /// BAD_REQUEST for a time out of range and for restrictions that are not within the trust's, INVALID_GRANT, which says what does not hold, IP_NOT_ALLOWED, RATE_LIMITED,
    /// REGISTRY_UNAVAILABLE where the issuer's keys cannot be read.
    pub(super) async fn identity_token(
        self,
        wanted: Wanted<'_>,
        held: &IdentityToken,
    ) -> Result<(Bearer, Minted), Refused> {
        let life = mint::life(wanted.minutes, MOST_MINUTES)?;
        let now = SystemTime::now();
        // A portal that does not exist trusts nobody, as one does that trusts nobody.
        let trusts = match self.wanted_portal(wanted)? {
            Some(portal) => self.trusts(portal.uuid)?,
            None => Vec::new(),
        };
        let verified = identity::verify(self.issuers, &held.token, &trusts, now).await;
        let (issuer, subject) = verified.map_err(refused)?;
        let (issuer, name) = (*issuer, subject.unwrap_or_default());
        let narrowing = narrow::read(wanted.restrictions)?;
        let actor = Actor { r#type: ActorKind::Workload, uuid: issuer, name };
        let plan = || {
            let draft = Draft::of(self.catalog, wanted.organization).map_err(gone)?;
            let portal = self.wanted_portal(wanted)?.ok_or_else(|| refused(identity::Refused::Issuer))?;
            // Again, now that the end of the trust in between would be noticed.
            if self.catalog.has_ended(Mortal::TrustedIssuer, issuer)? {
                return Err(refused(identity::Refused::Issuer));
            }
            let trusted = self.catalog.trusted_issuers(portal.uuid, MAX_TRUSTED_ISSUERS)?;
            let trusted = trusted.into_iter().find(|trusted| trusted.uuid == issuer);
            let held = trusted.ok_or_else(|| refused(identity::Refused::Issuer))?.restrictions;
            check_address(&portal, wanted.origin)?;
            narrow::check_address(held.as_ref(), wanted.origin)?;
            let restrictions = narrow::within(self.catalog, &portal, held.as_ref(), &narrowing)?;
            let author = Author { actor: actor.clone(), origin: wanted.origin.clone() };
            let order = Order {
                trusted_issuer: Some(issuer),
                restrictions,
                ..Order::new(&portal, TokenKind::Ephemeral, life, author)
            };
            let (write, bearer, minted) = mint::mint(self.catalog, draft, order, now)?;
            Ok(Plan::Write(write, (bearer, minted)))
        };
        let minted = self.turns.change(self.catalog, wanted.organization, plan).await;
        let (minted, _) = minted.map_err(|fault| Refused { fault, actor: Some(actor.clone()) })?;
        self.usage.note(issuer, now.into());
        Ok(minted)
    }

    /// The portal that the caller names, where there is one.
    fn wanted_portal(self, wanted: Wanted<'_>) -> Result<Option<Portal>, Fault> {
        let Some(organization) = self.catalog.organization_named(wanted.organization)? else {
            return Ok(None);
        };
        Ok(self.catalog.portal_named(organization.uuid, wanted.portal)?)
    }

    /// Whom a portal trusts.
    fn trusts(self, portal: Uuid) -> Result<Vec<(Uuid, Trust)>, Fault> {
        let trusted = self.catalog.trusted_issuers(portal, MAX_TRUSTED_ISSUERS)?;
        trusted.into_iter().map(|issuer| Ok((issuer.uuid, trust(issuer)?))).collect()
    }
}

/// What was written when the issuer was trusted.
fn trust(issuer: TrustedIssuer) -> Result<Trust, Fault> {
    let read =
        |(claim, pattern): (&String, &String)| Condition::parse(claim, pattern).map_err(Fault::internal);
    let conditions = issuer.conditions.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Trust { issuer: issuer.issuer, audience: issuer.audience, conditions })
}

fn refused(refused: identity::Refused) -> Fault {
    let message = refused.to_string();
    match refused {
        identity::Refused::Unavailable(_) => {
            Fault::new(Reason::RegistryUnavailable, message).retry_after(RETRY).because(refused)
        }
        identity::Refused::Unreadable(_)
        | identity::Refused::Issuer
        | identity::Refused::Key
        | identity::Refused::Signature
        | identity::Refused::Claim { .. } => Fault::new(Reason::InvalidGrant, message),
    }
}

/// What ended in between trusts nobody.
fn gone(fault: Fault) -> Fault {
    if fault.reason() == Reason::NotFound { refused(identity::Refused::Issuer) } else { fault }
}

#[cfg(test)]
mod tests;
