//! A session with an executor, over whatever channel leads there.

use super::{Granted, House};
use bytes::Bytes;
use model::{Fingerprint, Reason};
use proto::{
    Channel,
    executor::v1::{
        Answer, Call, FetchRequest, FetchResponse, SessionRequest, SessionResponse,
        executor_service_client::ExecutorServiceClient, session_request::Event, session_response::Outcome,
    },
    stream::{FETCH, Incoming, SESSION},
};
use std::time::Duration;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

pub struct Session {
    pub requests: mpsc::Sender<SessionRequest>,
    pub answers: Incoming<SessionResponse>,
}

pub fn channel(house: &House) -> Channel {
    proto::channel::local(house.executor.service())
}

/// Calls by hand.
pub fn client(house: &House) -> ExecutorServiceClient<Channel> {
    ExecutorServiceClient::new(channel(house)).max_decoding_message_size(proto::MAX_MESSAGE_BYTES)
}

impl Session {
    pub async fn open(channel: Channel) -> Self {
        let (requests, stream) = mpsc::channel(512);
        let answers = SESSION.call(channel, ReceiverStream::new(stream)).await.unwrap();
        Self { requests, answers }
    }

    pub async fn send(&self, event: Event) {
        self.requests.send(SessionRequest { event: Some(event) }).await.unwrap();
    }

    pub async fn call(&self, id: u64, grant: &Granted) {
        self.send(Event::Call(introduced(id, grant))).await;
    }

    pub async fn next(&mut self) -> (u64, Result<Answer, Reason>) {
        let response =
            timeout(Duration::from_secs(10), self.answers.message()).await.unwrap().unwrap().unwrap();
        let outcome = match response.outcome.unwrap() {
            Outcome::Answer(answer) => Ok(answer),
            Outcome::Fault(fault) => Err(Reason::from_code(&fault.reason).unwrap()),
            Outcome::Leaving(_) => panic!("an answer was expected"),
        };
        (response.id, outcome)
    }
}

/// A call that carries its grant.
pub fn introduced(id: u64, grant: &Granted) -> Call {
    Call { grant: grant.jwt(), ..hashed(id, grant) }
}

/// A call that carries the grant's hash alone.
pub fn hashed(id: u64, grant: &Granted) -> Call {
    let hash = Fingerprint::of(grant.jwt().as_bytes());
    Call {
        id,
        grant_hash: Bytes::copy_from_slice(hash.as_bytes()),
        request_id: id.to_string(),
        ..Call::default()
    }
}

/// Begins to fetch the body that a ticket is for.
pub async fn begin_fetch(channel: Channel, ticket: Bytes) -> Result<Incoming<FetchResponse>, Status> {
    FETCH.call(channel, tokio_stream::iter([FetchRequest { ticket }])).await
}

pub async fn fetch(channel: Channel, ticket: Bytes) -> Result<Vec<u8>, Status> {
    let mut parts = begin_fetch(channel, ticket).await?;
    let mut whole = Vec::new();
    while let Some(part) = parts.message().await? {
        assert!(part.chunk.len() <= 64 << 10);
        whole.extend_from_slice(&part.chunk);
    }
    Ok(whole)
}
