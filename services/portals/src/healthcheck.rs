//! `portals healthcheck`: asks a process of this machine whether it can serve, for whoever restarts it if not.

use crate::{
    cli::manage::Healthcheck,
    client::{self, api::Api},
    exit::Failure,
};
use http::Method;
use std::time::Duration;
use tokio::time;

/// Whoever checks wants to know soon.
const PATIENCE: Duration = Duration::from_secs(3);

/// Runs it; the reason is all it says.
pub(crate) fn run(command: &Healthcheck) -> Result<(), Failure> {
    let api = Api::local(command.ops_url.clone(), None)?;
    client::run(async move {
        let asked = time::timeout(PATIENCE, api.send(Method::GET, "/readyz", &[], None)).await;
        let reply = match asked {
            Ok(Ok(reply)) => reply,
            Ok(Err(failure)) => return Err(Failure::refused(failure.to_string())),
            Err(_) => return Err(Failure::refused("no answer in time")),
        };
        if reply.status.is_success() {
            return Ok(());
        }
        Err(Failure::refused(String::from_utf8_lossy(&reply.body).trim().to_owned()))
    })
}
