//! The way out of every call: its fault is logged once, with what the caller does not learn, and becomes a status.

use model::{Fault, Reason, fault::Chain};
use tonic::{Response, Status};

/// Answers a call.
pub(crate) fn answer<Message>(
    call: &'static str,
    request_id: Option<&str>,
    outcome: Result<Message, Fault>,
) -> Result<Response<Message>, Status> {
    outcome.map(Response::new).map_err(|fault| {
        let code = fault.reason().code();
        match fault.reason() {
            Reason::Internal | Reason::StorageUnavailable => {
                tracing::error!(call, code, request_id, error = %Chain(&fault), "call failed");
            }
            _ => tracing::debug!(call, code, request_id, "call refused"),
        }
        proto::fault::write_status(&fault)
    })
}
