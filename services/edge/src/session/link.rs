//! One executor: its channel, and the stream that is kept open to it.

use super::{
    Config, Way,
    outbox::{Outbox, Outcome},
};
use crate::jitter::Backoff;
use model::{Reason, fault::Chain};
use proto::{
    Channel,
    executor::v1::{self, SessionResponse, session_response::Outcome as SessionOutcome},
    stream::{Incoming, SESSION},
};
use std::sync::Arc;
use tokio::time;
use tonic::Status;

/// One executor.
#[derive(Debug)]
pub(super) struct Link {
    way: Way,
    pub(super) outbox: Arc<Outbox>,
    config: Config,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("opening the session took too long")]
    Opening,
    #[error("the executor refused or broke the session")]
    Broken(#[source] Box<Status>),
    #[error("the executor ended the session")]
    Ended,
}

/// Fails the calls of a stream however it ends.
struct Closing<'a>(&'a Outbox);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Link {
    pub(super) fn new(way: Way, config: Config) -> Self {
        Self { way, outbox: Arc::new(Outbox::new(config.max_calls)), config }
    }

    pub(super) fn fetches(&self) -> Channel {
        self.way.fetches.clone()
    }

    /// Keeps a stream open for ever.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut backoff = Backoff::default();
        loop {
            let error = self.once(&mut backoff).await;
            tracing::warn!(error = %Chain(&error), "session broken");
            time::sleep(backoff.next()).await;
        }
    }

    async fn once(&self, backoff: &mut Backoff) -> SessionError {
        let _closing = Closing(&self.outbox);
        let opening = SESSION.call(self.way.session.clone(), self.outbox.begin());
        let mut responses = match time::timeout(self.config.open_timeout, opening).await {
            Ok(Ok(responses)) => responses,
            Ok(Err(status)) => return SessionError::Broken(Box::new(status)),
            Err(_) => return SessionError::Opening,
        };
        self.outbox.open();
        tracing::info!("session opened");
        self.hear(&mut responses, backoff).await
    }

    async fn hear(&self, responses: &mut Incoming<SessionResponse>, backoff: &mut Backoff) -> SessionError {
        loop {
            match responses.message().await {
                Ok(Some(SessionResponse { outcome: Some(SessionOutcome::Leaving(leaving)), .. })) => {
                    tracing::info!("the executor is leaving");
                    self.outbox.leave(leaving.not_taken_from);
                }
                Ok(Some(SessionResponse { id, outcome })) => {
                    backoff.reset();
                    self.outbox.answer(id, read(outcome));
                }
                Ok(None) => return SessionError::Ended,
                Err(status) => return SessionError::Broken(Box::new(status)),
            }
        }
    }
}

fn read(outcome: Option<SessionOutcome>) -> Outcome {
    match outcome {
        Some(SessionOutcome::Answer(answer)) => Outcome::Answer(answer),
        Some(SessionOutcome::Fault(fault)) => Outcome::Fault(fault),
        // An outcome of a later version, which this edge cannot pass on.
        Some(SessionOutcome::Leaving(_)) | None => Outcome::Fault(v1::Fault {
            reason: Reason::Internal.code().to_owned(),
            message: "something went wrong on our side".to_owned(),
            ..v1::Fault::default()
        }),
    }
}
