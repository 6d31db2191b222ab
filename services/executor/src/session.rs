//! A session: many calls on one stream, told apart by the ids that the edge gave them.
//!
//! Every call runs in a task of its own, answers when it is done, and is dropped when it is cancelled or the
//! session ends. Whoever does not read its answers holds up nobody but itself.

use crate::{
    executor::{Executor, Invocation, grant_unknown},
    gate::overloaded,
    service::report,
};
use bytes::Bytes;
use futures_util::FutureExt;
use model::{Fault, Fingerprint, Numbered, Secret};
use proto::{
    Body,
    executor::v1::{
        self, SessionRequest, SessionResponse, session_request::Event, session_response::Outcome,
    },
    stream::Incoming,
};
use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Answers that wait to be written. With at most 64 KiB each, what a reader that stands still costs.
const QUEUED_ANSWERS: usize = 64;
/// A body of so many bytes travels in the session; a larger one would stand in the others' way.
const INLINE_BYTES: usize = 64 << 10;
/// How long an answer waits for its place in the queue before the session is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Where the edge leaves it to the upstream's own limit.
const NO_DEADLINE: Duration = Duration::from_secs(3600);

/// The id of what answers no call.
const NO_CALL: u64 = u64::MAX;

type Answers = mpsc::Sender<Result<SessionResponse, Status>>;

/// A session under way.
struct Session {
    executor: Executor,
    answers: Answers,
    /// Each ends with the id of its call.
    running: JoinSet<u64>,
    calls: HashMap<u64, AbortHandle, Numbered>,
    /// Above every call that was taken.
    not_taken_from: u64,
}

/// Serves a session until its stream ends, and gives its answers.
pub(crate) fn open(
    executor: Executor,
    requests: Incoming<SessionRequest>,
) -> ReceiverStream<Result<SessionResponse, Status>> {
    let (answers, reader) = mpsc::channel(QUEUED_ANSWERS);
    let (running, calls) = (JoinSet::new(), HashMap::default());
    let session = Session { executor, answers, running, calls, not_taken_from: 0 };
    tokio::spawn(session.serve(requests));
    ReceiverStream::new(reader)
}

impl Session {
    /// Ends with the edge's stream, or when nobody reads the answers; what still runs then is dropped.
    async fn serve(mut self, mut requests: Incoming<SessionRequest>) {
        let gone = self.answers.clone();
        loop {
            tokio::select! {
                biased;
                () = gone.closed() => return,
                Some(done) = self.running.join_next_with_id() => self.finished(done),
                request = requests.message() => match request {
                    Ok(Some(SessionRequest { event: Some(event) })) => {
                        if self.take(event).await.is_err() {
                            return;
                        }
                    }
                    Ok(Some(SessionRequest { event: None })) => {}
                    Ok(None) => return self.drain().await,
                    Err(status) => {
                        // Where it is the connection that broke, nobody hears it.
                        self.answers.try_send(Err(status)).ok();
                        return;
                    }
                },
            }
        }
    }

    /// Nothing more is heard of the edge, though it may still read, and say what it does not know to be in vain.
    async fn drain(&mut self) {
        let gone = self.answers.clone();
        let leaving = Outcome::Leaving(v1::Leaving { not_taken_from: self.not_taken_from });
        if say(&self.answers, NO_CALL, leaving).await.is_err() {
            return;
        }
        loop {
            tokio::select! {
                biased;
                () = gone.closed() => return,
                done = self.running.join_next_with_id() => match done {
                    Some(done) => self.finished(done),
                    None => return,
                },
            }
        }
    }

    async fn take(&mut self, event: Event) -> Result<(), Closed> {
        let call = match event {
            Event::Cancel(cancel) => {
                if let Some(call) = self.calls.remove(&cancel.id) {
                    call.abort();
                }
                return Ok(());
            }
            Event::Call(call) => call,
        };
        self.not_taken_from = self.not_taken_from.max(call.id.saturating_add(1));
        if self.calls.contains_key(&call.id) {
            let status = Status::invalid_argument("the id of a call under way was used for another");
            self.answers.try_send(Err(status)).ok();
            return Err(Closed);
        }
        if self.running.len() >= self.executor.config().max_calls_per_session {
            let fault = overloaded("more calls of this session are in flight than can be taken on");
            return answer(&self.answers, call.id, Err(fault)).await;
        }
        let (id, executor, answers) = (call.id, self.executor.clone(), self.answers.clone());
        // Boxed, so that a task is small wherever it is moved.
        let handle = self.running.spawn(Box::pin(async move {
            let outcome = AssertUnwindSafe(run(&executor, call)).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| Err(Fault::internal("a call panicked")));
            // A session that nobody reads ends by itself.
            answer(&answers, id, outcome).await.ok();
            id
        }));
        self.calls.insert(id, handle);
        Ok(())
    }

    fn finished(&mut self, done: Result<(Id, u64), JoinError>) {
        // One that was cancelled is forgotten already, and its id may belong to another call.
        let Ok((task, id)) = done else { return };
        if self.calls.get(&id).is_some_and(|call| call.id() == task) {
            self.calls.remove(&id);
        }
    }
}

/// Nobody reads the answers.
struct Closed;

async fn answer(answers: &Answers, id: u64, outcome: Result<v1::Answer, Fault>) -> Result<(), Closed> {
    let outcome = match outcome {
        Ok(answer) => Outcome::Answer(answer),
        Err(fault) => Outcome::Fault((&fault).into()),
    };
    say(answers, id, outcome).await
}

async fn say(answers: &Answers, id: u64, outcome: Outcome) -> Result<(), Closed> {
    let response = SessionResponse { id, outcome: Some(outcome) };
    let waiting = match answers.try_send(Ok(response)) {
        Ok(()) => return Ok(()),
        Err(TrySendError::Closed(_)) => return Err(Closed),
        Err(TrySendError::Full(response)) => response,
    };
    match timeout(WRITE_TIMEOUT, answers.send(waiting)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Closed),
    }
}

async fn run(executor: &Executor, call: v1::Call) -> Result<v1::Answer, Fault> {
    let request_id = call.request_id.clone();
    invoke(executor, call).await.inspect_err(|fault| report(fault, &request_id))
}

async fn invoke(executor: &Executor, call: v1::Call) -> Result<v1::Answer, Fault> {
    let v1::Call {
        grant_hash, grant, operation_name, variables, timeout_ms, request_id, patience_ms, ..
    } = call;
    let arrived = Instant::now();
    let known = <[u8; 32]>::try_from(&*grant_hash)
        .ok()
        .and_then(|hash| executor.known(&Fingerprint::from(hash), arrived));
    let grant = match (known, grant) {
        (Some(known), _) => known,
        (None, jwt) if jwt.is_empty() => return Err(grant_unknown()),
        (None, jwt) => executor.verify(&Secret::new(jwt))?,
    };
    let limit = match timeout_ms {
        0 => NO_DEADLINE,
        limit => Duration::from_millis(limit.into()).min(NO_DEADLINE),
    };
    let invocation = Invocation {
        grant,
        operation_name,
        variables,
        arrived,
        deadline: arrived + limit,
        patience: Duration::from_millis(patience_ms.into()),
        request_id,
    };
    let proto::Answer { status, ignored_variables, body } = executor.invoke(invocation).await?;
    let (body, ticket) = match body {
        Body::Whole(bytes) if bytes.len() <= INLINE_BYTES => (bytes, Bytes::new()),
        large => (Bytes::new(), Bytes::copy_from_slice(&executor.tickets().keep(large.into())?)),
    };
    Ok(v1::Answer { status: status.into(), body, ignored_variables, ticket })
}
