//! One edge's stream: who it is, what it says, and that it is let go when it ends.

use crate::{
    caller::{bearer, same},
    lease::EdgeId,
    withdrawals::{Closed, Heard, Withdrawals},
};
use futures_util::Stream;
use model::{Fault, Fingerprint, Reason};
use proto::registry::v1::{Acknowledge, RenewLease, WatchRequest, WatchResponse, watch_request::Event};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::timeout;
use tonic::{Status, Streaming, metadata::MetadataMap};

/// How long an edge may say nothing before it is let go; it renews each second.
const SILENCE: Duration = Duration::from_secs(15);
/// When an edge that is not let in may try again.
const RETRY: Duration = Duration::from_secs(1);

/// What an edge hears, until one of the two goes.
pub struct Hearing {
    heard: Heard,
    _place: Place,
}

/// An edge's place among those who are told.
struct Place {
    edge: EdgeId,
    withdrawals: Arc<Withdrawals>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.withdrawals.leave(self.edge);
    }
}

impl Stream for Hearing {
    type Item = Result<WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.heard.poll_recv(context)
    }
}

/// Refuses whoever does not present the edge key.
///
/// # Errors
///
/// UNAUTHENTICATED.
pub(crate) fn admit(metadata: &MetadataMap, edge_key: &Fingerprint) -> Result<(), Fault> {
    let presented = bearer(metadata).map(|bearer| bearer.fingerprint());
    if presented.is_some_and(|presented| same(&presented, edge_key)) {
        return Ok(());
    }
    Err(Fault::new(Reason::Unauthenticated, "the edge key is missing or wrong"))
}

/// Begins to tell an edge, and to listen to it.
///
/// # Errors
///
/// REGISTRY_UNAVAILABLE when the registry is about to end or has too many edges.
pub(crate) fn begin(withdrawals: &Arc<Withdrawals>, said: Streaming<WatchRequest>) -> Result<Hearing, Fault> {
    let (edge, heard) = withdrawals.join().map_err(|closed| {
        let message = match closed {
            Closed::Closing => "the registry is about to end",
            Closed::TooMany => "the registry has too many edges",
        };
        Fault::new(Reason::RegistryUnavailable, message).retry_after(RETRY)
    })?;
    let place = Place { edge, withdrawals: Arc::clone(withdrawals) };
    tokio::spawn(listen(said, Arc::clone(withdrawals), edge));
    Ok(Hearing { heard, _place: place })
}

/// Does what an edge says, until it says nothing more.
async fn listen(mut said: Streaming<WatchRequest>, withdrawals: Arc<Withdrawals>, edge: EdgeId) {
    while let Ok(Ok(Some(request))) = timeout(SILENCE, said.message()).await {
        let goes_on = match request.event {
            Some(Event::Renew(RenewLease { number })) => withdrawals.renew(edge, number),
            Some(Event::Acknowledge(Acknowledge { store_revision })) => {
                withdrawals.acknowledge(edge, store_revision);
                true
            }
            // Of a newer edge than this registry: what it does not know cannot be its.
            None => true,
        };
        if !goes_on {
            break;
        }
    }
    withdrawals.leave(edge);
}
