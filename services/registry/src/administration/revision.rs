//! Whether something is still what its caller believes it to be.

use model::{Fault, Reason};

/// Refuses a change of a revision that is no longer the newest: neither the one believed in nor any `or` it.
///
/// # Errors
///
/// PRECONDITION_FAILED.
pub(crate) fn check_revision(believed: Option<u64>, or: &[u64], newest: u64) -> Result<(), Fault> {
    match believed {
        Some(believed) if believed != newest && !or.contains(&newest) => {
            let message = format!("it is at revision {newest}, which is not what the change depends on");
            Err(Fault::new(Reason::PreconditionFailed, message))
        }
        _ => Ok(()),
    }
}
