//! What an exchanged token may do less than its portal: what was said of whatever is exchanged for it, and within that what
//! the exchange asks for.

use crate::{
    administration::{
        problems::Problems,
        restrictions::{MAX_ASKED_BYTES, Wanted},
    },
    caller::Origin,
    catalog::Catalog,
    record::{Portal, Restrictions},
};
use model::{AllowedAddresses, Fault, Reason};
use proto::registry::v1;

/// Reads what an exchange asks for.
///
/// # Errors
///
/// BAD_REQUEST for what are no restrictions, or too long ones.
pub(super) fn read(asked: Option<&v1::Restrictions>) -> Result<Wanted, Fault> {
    let mut problems = Problems::default();
    let wanted = Wanted::read_within(&mut problems, asked.cloned(), MAX_ASKED_BYTES);
    match problems.told() {
        None => Ok(wanted),
        Some(told) => Err(Fault::new(Reason::BadRequest, told)),
    }
}

/// The restrictions of a token for what is restricted by `held`.
///
/// # Errors
///
/// BAD_REQUEST where more is asked for than is held, or what does not fit the document that the token is to run.
pub(super) fn within(
    catalog: &Catalog,
    portal: &Portal,
    held: Option<&Restrictions>,
    wanted: &Wanted,
) -> Result<Option<Restrictions>, Fault> {
    if wanted.is_none() {
        return Ok(held.cloned());
    }
    let held = held.map(model::Restrictions::try_from).transpose().map_err(Fault::internal)?;
    let held = held.unwrap_or_default();
    let document = match held.revision() {
        None => catalog.document(portal)?,
        Some(revision) => catalog.document_saved(portal, revision)?.ok_or_else(|| {
            let message = format!("revision {revision} alone may be run, which the portal no longer has");
            Fault::new(Reason::BadRequest, message)
        })?,
    };
    wanted.within(&held, portal, catalog.claim(portal.organization, document)?)
}

/// Checks that the call comes from where tokens may be used that are exchanged for what is restricted by `held`; nobody's
/// address is in no range.
///
/// # Errors
///
/// IP_NOT_ALLOWED.
pub(super) fn check_address(held: Option<&Restrictions>, origin: &Origin) -> Result<(), Fault> {
    let ranges = held.and_then(|held| held.allowed_ip_addresses.as_deref()).unwrap_or_default();
    let allowed = AllowedAddresses::parse(ranges).map_err(Fault::internal)?;
    let everywhere = allowed.ranges().next().is_none();
    if everywhere || origin.address.is_some_and(|address| allowed.allows(address)) {
        return Ok(());
    }
    let message = "the client's address is not in the ranges that tokens are restricted to here";
    Err(Fault::new(Reason::IpNotAllowed, message))
}
