//! Pages of lists, the newest first.

use super::{Administration, problems::invalid, wire};
use crate::catalog::{Listed, Window};
use model::Fault;
use proto::{MAX_MESSAGE_BYTES, registry::v1};

/// The most entries of a page, and how many it has where nothing is said.
const MAX_SIZE: u32 = 100;
const SIZE: u32 = 30;
/// What of a message is left for what is not counted.
const SPARE_BYTES: usize = 64 << 10;

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
    pub(crate) fn list_organizations(&self, window: Window) -> Result<v1::ListOrganizationsResponse, Fault> {
        let Listed { items, total } = self.catalog.organizations(window)?;
        let organizations = items.into_iter().map(|organization| self.show_organization(organization));
        Ok(v1::ListOrganizationsResponse { organizations: organizations.collect::<Result<_, _>>()?, total })
    }

    pub(crate) fn list_portals(
        &self,
        organization: &str,
        window: Window,
    ) -> Result<v1::ListPortalsResponse, Fault> {
        let owner = self.organization(organization)?;
        let Listed { items, total } = self.catalog.portals(owner.uuid, window)?;
        let mut portals = Vec::with_capacity(items.len());
        let mut bytes = SPARE_BYTES;
        for portal in items {
            let portal = self.show_portal(portal, &owner.slug)?;
            bytes += weight(&portal);
            if bytes > MAX_MESSAGE_BYTES {
                return Err(invalid(
                    "per_page must be smaller: the documents of this page are too large for one answer",
                ));
            }
            portals.push(portal);
        }
        Ok(v1::ListPortalsResponse { portals, total })
    }

    pub(crate) fn list_audit_events(
        &self,
        organization: &str,
        window: Window,
    ) -> Result<v1::ListAuditEventsResponse, Fault> {
        let organization = self.organization(organization)?;
        let Listed { items, total } = self.catalog.audit_events(organization.uuid, window)?;
        Ok(v1::ListAuditEventsResponse { events: items.into_iter().map(wire::audit_event).collect(), total })
    }
}

/// What a portal weighs as a message, in bytes, or a little more.
fn weight(portal: &v1::Portal) -> usize {
    /// What a message or a text weighs besides its content.
    const FRAME: usize = 8;
    let variable = |variable: &v1::Variable| variable.name.len() + variable.r#type.len() + 4 * FRAME;
    let operation = |operation: &v1::Operation| {
        let name = operation.name.as_ref().map_or(0, String::len);
        name + 3 * FRAME + operation.variables.iter().map(variable).sum::<usize>()
    };
    let texts = [
        portal.name.len(),
        portal.query.len(),
        portal.description.as_ref().map_or(0, String::len),
        portal.allowed_ip_addresses.as_ref().map_or(0, String::len),
    ];
    let warnings = portal.warnings.iter().map(|warning| warning.len() + FRAME).sum::<usize>();
    let operations = portal.operations.iter().map(operation).sum::<usize>();
    1_024 + texts.iter().sum::<usize>() + warnings + operations
}
