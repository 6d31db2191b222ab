//! Whether something is still what its caller believes it to be.

use model::{Fault, Reason};

/// Refuses a change of a revision that is no longer the newest.
///
/// # Errors
///
/// PRECONDITION_FAILED.
pub(crate) fn check_revision(believed: Option<u64>, newest: u64) -> Result<(), Fault> {
    match believed {
        Some(believed) if believed != newest => {
            let message = format!("it is at revision {newest}, not {believed}");
            Err(Fault::new(Reason::PreconditionFailed, message))
        }
        _ => Ok(()),
    }
}
