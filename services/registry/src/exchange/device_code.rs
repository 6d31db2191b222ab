//! A code that a member has approved for a token in their name (RFC 8628); and the code itself.

use super::{
    Exchange, Refused, Wanted,
    client_credentials::check_address,
    mint::{self, Minted, Order},
    narrow,
};
use crate::{
    caller::Origin,
    change::{Author, Draft, Plan},
    codes::{Approval, Asked, Made},
    record::{Organization, Portal, Restrictions, TokenKind, TokenMember},
};
use model::{Bearer, BearerKind, Fault, Fingerprint, Reason};
use proto::registry::v1::DeviceCode;
use std::time::{Instant, SystemTime};

/// How long a token of a member lasts at most, in minutes.
const MOST_MINUTES: u32 = 12 * 60;

impl Exchange<'_> {
    /// Makes a code for whoever wants a token of a portal.
    ///
    /// # Errors
    ///
    /// FORBIDDEN, one and the same for a portal that gives none to members and for one that does not exist;
    /// IP_NOT_ALLOWED, RATE_LIMITED, OVERLOADED.
    pub(crate) fn code(self, origin: &Origin, organization: &str, portal: &str) -> Result<Made, Fault> {
        let closed = || Fault::new(Reason::Forbidden, "the portal gives no tokens to members");
        let organization = self.catalog.organization_named(organization)?.ok_or_else(closed)?;
        let portal = self.catalog.portal_named(organization.uuid, portal)?;
        let portal = portal.filter(|portal| portal.user_invokable).ok_or_else(closed)?;
        check_address(&portal, origin)?;
        let asked = Asked { organization: organization.uuid, portal: portal.uuid, origin: origin.clone() };
        self.codes.make(asked, (Instant::now(), SystemTime::now()))
    }

    /// Makes a token for whoever holds the secret of a code that a member has approved, once.
    ///
    /// # Errors
    ///
    /// BAD_REQUEST for a time out of range and for restrictions that are not within what was approved, IP_NOT_ALLOWED,
    /// RATE_LIMITED, and what [`crate::codes::Codes::spend`] says.
    pub(super) async fn device_code(
        self,
        wanted: Wanted<'_>,
        held: &DeviceCode,
    ) -> Result<(Bearer, Minted), Refused> {
        let life = mint::life(wanted.minutes, MOST_MINUTES)?;
        let secret = fingerprint(&held.secret).ok_or_else(unknown)?;
        let named = held.code.as_ref().map(|code| code.parse()).transpose().map_err(|_| unknown())?;
        let asked = self.codes.asked(&secret).ok_or_else(unknown)?;
        let (organization, portal) = self.asked_portal(&asked)?;
        if organization.slug != wanted.organization || portal.slug != wanted.portal {
            return Err(unknown().into());
        }
        check_address(&portal, wanted.origin)?;
        let spent = self.codes.spend(&secret, named, Instant::now())?;
        let actor = spent.approval.author.actor.clone();
        let author = Author { actor: actor.clone(), origin: wanted.origin.clone() };
        let now = SystemTime::now();
        let plan = || {
            let draft = Draft::of(self.catalog, &organization.slug).map_err(gone)?;
            // Again, now that what ends in between would be noticed.
            let (_, portal) = self.asked_portal(&asked)?;
            let member = self.member(&portal, &spent.approval)?;
            let document_revision = Some(spent.approval.document_revision);
            let approved = Restrictions { document_revision, ..Restrictions::default() };
            let narrowing = narrow::read(wanted.restrictions)?;
            let order = Order {
                member: Some(member),
                restrictions: narrow::within(self.catalog, &portal, Some(&approved), &narrowing)?,
                ..Order::new(&portal, TokenKind::User, life, author.clone())
            };
            let (write, bearer, minted) = mint::mint(self.catalog, draft, order, now)?;
            // Whoever leaves before this finds the code again.
            spent.stays_out();
            Ok(Plan::Write(write, (bearer, minted)))
        };
        match self.turns.change(self.catalog, &organization.slug, plan).await {
            Ok((minted, _)) => Ok(minted),
            Err(fault) => {
                // Whoever waits for it may ask again, unless what was approved has ended.
                match fault.reason() {
                    Reason::AccessDenied => spent.stays_out(),
                    _ => spent.put_back(),
                }
                Err(Refused { fault, actor: Some(actor) })
            }
        }
    }

    /// The portal that a code was asked for, as it is now.
    fn asked_portal(self, asked: &Asked) -> Result<(Organization, Portal), Fault> {
        let organization = self.catalog.organization(asked.organization)?.ok_or_else(unknown)?;
        let portal = self.catalog.portal(organization.uuid, asked.portal)?.ok_or_else(unknown)?;
        Ok((organization, portal))
    }

    /// The member who approved, if they still may.
    fn member(self, portal: &Portal, approval: &Approval) -> Result<TokenMember, Fault> {
        let Approval { user, membership, invokable_since, .. } = *approval;
        let live = self.catalog.membership(portal.organization, user)?;
        let is_member = live.is_some_and(|live| live.uuid == membership);
        if is_member && portal.user_invokable && portal.invokable_since == invokable_since {
            return Ok(TokenMember { user, membership, invokable_since });
        }
        Err(Fault::new(Reason::AccessDenied, "what the member approved has ended since"))
    }
}

fn fingerprint(secret: &str) -> Option<Fingerprint> {
    let bearer = Bearer::parse(secret).ok()?;
    bearer.is(BearerKind::DeviceCode).then(|| bearer.fingerprint())
}

fn unknown() -> Fault {
    Fault::new(Reason::InvalidGrant, "the code is unknown, spent, or not for this portal")
}

/// What ended in between is like what never was.
fn gone(fault: Fault) -> Fault {
    if fault.reason() == Reason::NotFound { unknown() } else { fault }
}
