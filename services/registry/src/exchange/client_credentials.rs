//! A secret of a portal for an ephemeral token (RFC 6749, section 4.4).

use super::{
    Exchange, Refused, Wanted,
    mint::{self, Minted, Order},
    narrow,
};
use crate::{
    caller::Origin,
    change::{Author, Draft, Plan},
    record::{Actor, ActorKind, Organization, Portal, PortalSecret, TokenKind},
    table::Mortal,
};
use model::{AllowedAddresses, Bearer, BearerKind, Fault, Fingerprint, Reason};
use proto::registry::v1::ClientCredentials;
use std::time::SystemTime;
use uuid::Uuid;

/// How long an ephemeral token lasts at most, in minutes.
const MOST_MINUTES: u32 = 60;

/// A live secret, and all that it is good for.
struct Held {
    organization: Organization,
    portal: Portal,
    secret: PortalSecret,
}

impl Exchange<'_> {
    /// Makes an ephemeral token of the portal whose secret is held.
    ///
    /// # Errors
    ///
    /// BAD_REQUEST for a time out of range and for restrictions that are not within the secret's, INVALID_CLIENT, IP_NOT_ALLOWED, RATE_LIMITED.
    pub(super) async fn client_credentials(
        self,
        wanted: Wanted<'_>,
        held: &ClientCredentials,
    ) -> Result<(Bearer, Minted), Refused> {
        let life = mint::life(wanted.minutes, MOST_MINUTES)?;
        let fingerprint = fingerprint(&held.secret).ok_or_else(refused)?;
        let now = SystemTime::now();
        // Before it is anybody's turn: a stranger keeps nobody waiting.
        let Held { organization, secret, .. } = self.held(wanted, held, &fingerprint, now)?;
        let narrowing = narrow::read(wanted.restrictions)?;
        let actor = Actor {
            r#type: ActorKind::PortalSecret,
            uuid: secret.uuid,
            name: secret.description.unwrap_or_default(),
        };
        let plan = || {
            let draft = Draft::of(self.catalog, &organization.slug).map_err(gone)?;
            // Again, now that a revocation in between would be noticed.
            let Held { portal, secret, .. } = self.held(wanted, held, &fingerprint, now)?;
            check_address(&portal, wanted.origin)?;
            narrow::check_address(secret.restrictions.as_ref(), wanted.origin)?;
            let held = secret.restrictions.as_ref();
            let restrictions = narrow::within(self.catalog, &portal, held, &narrowing)?;
            let author = Author { actor: actor.clone(), origin: wanted.origin.clone() };
            let order = Order {
                secret: Some(&secret),
                restrictions,
                ..Order::new(&portal, TokenKind::Ephemeral, life, author)
            };
            let (write, bearer, minted) = mint::mint(self.catalog, draft, order, now)?;
            Ok(Plan::Write(write, (bearer, minted)))
        };
        let minted = self.turns.change(self.catalog, &organization.slug, plan).await;
        let (minted, _) = minted.map_err(|fault| Refused { fault, actor: Some(actor.clone()) })?;
        self.usage.note(secret.uuid, now.into());
        Ok(minted)
    }

    /// What the secret of that fingerprint is good for, if that is what is wanted.
    fn held(
        self,
        wanted: Wanted<'_>,
        held: &ClientCredentials,
        fingerprint: &Fingerprint,
        now: SystemTime,
    ) -> Result<Held, Fault> {
        let secret = self.catalog.secret(fingerprint)?.ok_or_else(refused)?;
        let ends = [
            (Mortal::Secret, secret.uuid),
            (Mortal::Portal, secret.portal),
            (Mortal::Organization, secret.organization),
        ];
        for (what, uuid) in ends {
            if self.catalog.has_ended(what, uuid)? {
                return Err(refused());
            }
        }
        if secret.has_expired(now) || held.client_id.parse() != Ok::<Uuid, _>(secret.portal) {
            return Err(refused());
        }
        let organization = self.catalog.organization(secret.organization)?.ok_or_else(refused)?;
        let portal = self.catalog.portal(organization.uuid, secret.portal)?.ok_or_else(refused)?;
        if organization.slug != wanted.organization || portal.slug != wanted.portal {
            return Err(refused());
        }
        Ok(Held { organization, portal, secret })
    }
}

fn fingerprint(secret: &str) -> Option<Fingerprint> {
    let bearer = Bearer::parse(secret).ok()?;
    bearer.is(BearerKind::PortalSecret).then(|| bearer.fingerprint())
}

/// Checks from where the call comes; nobody's address is in no range.
pub(super) fn check_address(portal: &Portal, origin: &Origin) -> Result<(), Fault> {
    let ranges = portal.allowed_ip_addresses.as_deref().unwrap_or_default();
    let allowed = AllowedAddresses::parse(ranges).map_err(Fault::internal)?;
    let everywhere = allowed.ranges().next().is_none();
    if everywhere || origin.address.is_some_and(|address| allowed.allows(address)) {
        return Ok(());
    }
    Err(Fault::new(Reason::IpNotAllowed, "the client's address is not in the portal's allowed ranges"))
}

/// The one answer to whoever does not hold a live secret of the portal, whatever it is that is wrong.
fn refused() -> Fault {
    Fault::new(Reason::InvalidClient, "the client id or the secret is not that of this portal")
}

/// What ended in between is like what never was.
fn gone(fault: Fault) -> Fault {
    if fault.reason() == Reason::NotFound { refused() } else { fault }
}
