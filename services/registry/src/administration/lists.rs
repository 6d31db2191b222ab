//! Pages of lists, the newest first.

use super::{Administration, problems::invalid, wire};
use crate::{
    catalog::{Listed, Window},
    change::HOUSE,
};
use model::Fault;
use proto::registry::v1;
use uuid::Uuid;

/// The most entries of a page, and how many it has where nothing is said.
const MAX_SIZE: u32 = 100;
const SIZE: u32 = 30;

/// Which part of the list a page is.
pub(crate) fn window(page: Option<v1::Page>) -> Result<Window, Fault> {
    let v1::Page { number, size } = page.unwrap_or(v1::Page { number: 1, size: SIZE });
    let size = if size == 0 { SIZE } else { size };
    if size > MAX_SIZE {
        return Err(invalid(format_args!("per_page must be 1 to {MAX_SIZE}")));
    }
    let skip = u64::from(number.max(1) - 1) * u64::from(size);
    Ok(Window {
        skip: usize::try_from(skip).unwrap_or(usize::MAX),
        limit: usize::try_from(size).unwrap_or(usize::MAX),
    })
}

impl Administration<'_> {
    /// All organizations, or those where `user` is a member.
    pub(crate) fn list_organizations(
        &self,
        user: Option<Uuid>,
        window: Window,
    ) -> Result<v1::ListOrganizationsResponse, Fault> {
        let Listed { items, total } = match user {
            Some(user) => self.organizations_of(user, window)?,
            None => self.catalog.organizations(window)?,
        };
        let organizations = items.into_iter().map(|organization| self.show_organization(organization, user));
        Ok(v1::ListOrganizationsResponse { organizations: organizations.collect::<Result<_, _>>()?, total })
    }

    pub(crate) fn list_portals(
        &self,
        organization: &str,
        window: Window,
    ) -> Result<v1::ListPortalsResponse, Fault> {
        let owner = self.organization(organization)?;
        let Listed { items, total } = self.catalog.portals(owner.uuid, window)?;
        let portals = items.into_iter().map(|portal| self.show_portal(portal, &owner.slug));
        Ok(v1::ListPortalsResponse { portals: portals.collect::<Result<_, _>>()?, total })
    }

    pub(crate) fn list_audit_events(
        &self,
        organization: &str,
        window: Window,
    ) -> Result<v1::ListAuditEventsResponse, Fault> {
        let owner = match organization {
            "" => HOUSE,
            slug => self.organization(slug)?.uuid,
        };
        let Listed { items, total } = self.catalog.audit_events(owner, window)?;
        Ok(v1::ListAuditEventsResponse { events: items.into_iter().map(wire::audit_event).collect(), total })
    }
}
