//! Keeps the lease: hears from the registry what no longer holds, and says when it is done.

use crate::{
    authorization::{Scope, grants::Grants},
    jitter::Backoff,
    observe::Metrics,
};
use model::{Secret, fault::Chain};
use proto::{
    Channel,
    registry::v1::{
        Acknowledge, RenewLease, WatchRequest, WatchResponse, Withdrawn,
        registry_service_client::RegistryServiceClient, watch_request, watch_response, withdrawn,
    },
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, time};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, metadata::MetadataValue};
use uuid::Uuid;

const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How long opening the stream may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// Renewals that may be on their way; the registry answers each, so more means that it does not hear.
const MAX_RENEWALS: usize = 5;
/// Words to the registry that may wait to be sent.
const OUTGOING: usize = 256;
/// No registry promises more.
const LONGEST_LEASE: Duration = Duration::from_secs(60);

/// Why a watch ended.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error("the edge key cannot stand in a header field")]
    Key,
    #[error("opening the watch took too long")]
    Opening,
    #[error("the registry refused or broke the watch")]
    Broken(#[source] Box<Status>),
    #[error("the registry ended the watch")]
    Ended,
    #[error("the registry does not answer")]
    Silent,
}

/// One watch over one stream.
struct Watch<'a> {
    grants: &'a Grants,
    outgoing: mpsc::Sender<WatchRequest>,
    /// Number and time of the renewals that were not answered yet.
    renewals: VecDeque<(u64, Instant)>,
    next_number: u64,
    /// Whether the registry has said from where on it tells of changes.
    told: bool,
}

/// Watches until `shutdown`, over as many streams as it takes.
pub(crate) async fn run(
    grants: &Grants,
    registry: Channel,
    edge_key: &Secret,
    metrics: &Metrics,
    shutdown: impl Future<Output = ()>,
) {
    let watching = async {
        let mut backoff = Backoff::default();
        loop {
            let error = once(grants, registry.clone(), edge_key, metrics, &mut backoff).await;
            metrics.lease(grants.lease().lasts(Instant::now()));
            tracing::warn!(error = %Chain(&error), "watch broken");
            time::sleep(backoff.next()).await;
        }
    };
    tokio::select! {
        never = watching => never,
        () = shutdown => {}
    }
}

async fn once(
    grants: &Grants,
    registry: Channel,
    edge_key: &Secret,
    metrics: &Metrics,
    backoff: &mut Backoff,
) -> WatchError {
    let (outgoing, requests) = mpsc::channel(OUTGOING);
    let mut watch = Watch { grants, outgoing, renewals: VecDeque::new(), next_number: 1, told: false };
    let mut responses = match open(registry, edge_key, requests).await {
        Ok(responses) => responses,
        Err(error) => return error,
    };
    let mut tick = time::interval(RENEW_EVERY);
    tick.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        let step = tokio::select! {
            // What was withdrawn comes before another second of lease is asked for.
            biased;
            message = responses.message() => match message {
                Ok(Some(message)) => watch.hear(message),
                Ok(None) => Err(WatchError::Ended),
                Err(status) => Err(WatchError::Broken(Box::new(status))),
            },
            _ = tick.tick() => watch.renew(Instant::now()),
        };
        if let Err(error) = step {
            return error;
        }
        let lasts = grants.lease().lasts(Instant::now());
        metrics.lease(lasts);
        if lasts {
            backoff.reset();
        }
    }
}

async fn open(
    registry: Channel,
    edge_key: &Secret,
    requests: mpsc::Receiver<WatchRequest>,
) -> Result<Streaming<WatchResponse>, WatchError> {
    let mut request = tonic::Request::new(ReceiverStream::new(requests));
    let mut authorization =
        MetadataValue::try_from(format!("Bearer {}", edge_key.expose())).map_err(|_| WatchError::Key)?;
    authorization.set_sensitive(true);
    request.metadata_mut().insert("authorization", authorization);
    let mut registry = RegistryServiceClient::new(registry);
    let opened = time::timeout(OPEN_TIMEOUT, registry.watch(request)).await;
    let response =
        opened.map_err(|_| WatchError::Opening)?.map_err(|status| WatchError::Broken(Box::new(status)))?;
    Ok(response.into_inner())
}

impl Watch<'_> {
    fn hear(&mut self, message: WatchResponse) -> Result<(), WatchError> {
        match message.event {
            Some(watch_response::Event::LeaseRenewed(renewed)) => {
                self.renewed(renewed.number, Duration::from_millis(renewed.lease_ms.into()));
                Ok(())
            }
            Some(watch_response::Event::Withdrawn(withdrawn)) => {
                self.grants.withdraw(withdrawn.store_revision, scope(&withdrawn));
                tracing::debug!(revision = withdrawn.store_revision, "withdrawn");
                self.acknowledge(withdrawn.store_revision)
            }
            Some(watch_response::Event::AllWithdrawn(all)) => {
                self.grants.withdraw_all(all.store_revision);
                self.told = true;
                tracing::info!(revision = all.store_revision, "watching");
                self.acknowledge(all.store_revision)
            }
            // A word of a later version: it may be a withdrawal, so nothing of before is used any more.
            None => {
                self.grants.withdraw(u64::MAX, Scope::Everything);
                Err(WatchError::Ended)
            }
        }
    }

    fn renewed(&mut self, number: u64, lease: Duration) {
        while let Some((renewal, sent)) = self.renewals.front().copied() {
            if renewal > number {
                return;
            }
            self.renewals.pop_front();
            // A lease counts from when the renewal was sent, and only on a watch that tells of every change.
            if renewal == number && self.told {
                self.grants.lease().extend(sent + lease.min(LONGEST_LEASE));
            }
        }
    }

    fn renew(&mut self, now: Instant) -> Result<(), WatchError> {
        if self.renewals.len() >= MAX_RENEWALS {
            return Err(WatchError::Silent);
        }
        let number = self.next_number;
        self.next_number += 1;
        self.renewals.push_back((number, now));
        self.say(watch_request::Event::Renew(RenewLease { number }))
    }

    fn acknowledge(&self, store_revision: u64) -> Result<(), WatchError> {
        self.say(watch_request::Event::Acknowledge(Acknowledge { store_revision }))
    }

    fn say(&self, event: watch_request::Event) -> Result<(), WatchError> {
        // A registry that does not read would have to be waited for: better a new stream.
        self.outgoing.try_send(WatchRequest { event: Some(event) }).map_err(|_| WatchError::Silent)
    }
}

fn scope(withdrawn: &Withdrawn) -> Scope {
    let read = |text: &str, scope: fn(Uuid) -> Scope| Uuid::parse_str(text).map_or(Scope::Everything, scope);
    match &withdrawn.scope {
        Some(withdrawn::Scope::OrganizationUuid(uuid)) => read(uuid, Scope::Organization),
        Some(withdrawn::Scope::PortalUuid(uuid)) => read(uuid, Scope::Portal),
        Some(withdrawn::Scope::TokenUuid(uuid)) => read(uuid, Scope::Token),
        None => Scope::Everything,
    }
}
