//! The executor's gRPC service: reads a message, makes one call, writes a message.
//!
//! Calls by hand are tonic's; on the streams, answers pass as they are (`proto::stream`).

use crate::{
    executor::{Executor, Invocation},
    session,
    tickets::Held,
};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, future::BoxFuture, stream};
use http::{Request, Response};
use model::{Fault, Reason, Secret, fault::Chain};
use proto::{
    Answer, Body, MAX_MESSAGE_BYTES,
    executor::v1::{
        ExecuteRequest, ExecuteResponse, FetchRequest, FetchResponse,
        executor_service_server::{ExecutorService, ExecutorServiceServer},
    },
    fault::write_status,
    stream::{FETCH, Incoming, SESSION},
};
use std::{
    convert::Infallible,
    error::Error,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tonic::{Status, metadata::MetadataMap, server::NamedService};

/// What of an answer fits into a message with room for the rest of it.
const UNARY_BYTES: usize = 3 << 20;
/// A part of a fetched body: small enough that other streams of the connection have their turn.
const FETCH_BYTES: usize = 64 << 10;
/// Where neither caller nor upstream says when to stop.
const NO_DEADLINE: Duration = Duration::from_secs(3600);

/// `portals.executor.v1.ExecutorService`.
#[derive(Clone)]
pub struct Service {
    executor: Executor,
    calls: ExecutorServiceServer<Calls>,
}

/// Calls by hand.
struct Calls {
    executor: Executor,
}

impl Service {
    pub(crate) fn new(executor: Executor) -> Self {
        let calls = ExecutorServiceServer::new(Calls { executor: executor.clone() })
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self { executor, calls }
    }
}

impl NamedService for Service {
    const NAME: &'static str = <ExecutorServiceServer<Calls> as NamedService>::NAME;
}

impl<B> tower::Service<Request<B>> for Service
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>> + Send,
{
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match request.uri().path() {
            path if path == SESSION.path => {
                let answers = session::open(self.executor.clone(), SESSION.asked(request));
                std::future::ready(Ok(SESSION.answer(answers))).boxed()
            }
            path if path == FETCH.path => {
                let (executor, asked) = (self.executor.clone(), FETCH.asked(request));
                async move { Ok(fetch(&executor, asked).await.unwrap_or_else(Status::into_http)) }.boxed()
            }
            _ => tower::Service::call(&mut self.calls, request.map(tonic::body::Body::new)),
        }
    }
}

#[tonic::async_trait]
impl ExecutorService for Calls {
    async fn execute(
        &self,
        request: tonic::Request<ExecuteRequest>,
    ) -> Result<tonic::Response<ExecuteResponse>, Status> {
        let arrived = Instant::now();
        let deadline = arrived + timeout(request.metadata()).unwrap_or(NO_DEADLINE);
        let request = request.into_inner();
        let request_id = request.request_id.clone();
        self.call(request, arrived, deadline).await.map(tonic::Response::new).map_err(|fault| {
            report(&fault, &request_id);
            write_status(&fault)
        })
    }
}

impl Calls {
    async fn call(
        &self,
        request: ExecuteRequest,
        arrived: Instant,
        deadline: Instant,
    ) -> Result<ExecuteResponse, Fault> {
        let ExecuteRequest { grant, operation_name, variables, request_id } = request;
        let grant = self.executor.verify(&Secret::new(grant))?;
        let patience = Duration::ZERO;
        let invocation =
            Invocation { grant, operation_name, variables, arrived, deadline, patience, request_id };
        let Answer { status, ignored_variables, body } = self.executor.invoke(invocation).await?;
        let (body, ticket) = match gather(body).await? {
            Ok(whole) => (whole, Bytes::new()),
            Err(held) => (Bytes::new(), Bytes::copy_from_slice(&self.executor.tickets().keep(held)?)),
        };
        Ok(ExecuteResponse { status: status.into(), body, ignored_variables, ticket })
    }
}

/// Gives what is kept for a ticket.
async fn fetch(
    executor: &Executor,
    mut asked: Incoming<FetchRequest>,
) -> Result<Response<tonic::body::Body>, Status> {
    let none = || Status::invalid_argument("one message with a ticket was expected");
    let FetchRequest { ticket } = asked.message().await?.ok_or_else(none)?;
    let held = executor.tickets().take(&ticket).ok_or_else(|| {
        write_status(&Fault::new(Reason::NotFound, "there is no answer for this ticket, or no longer"))
    })?;
    Ok(FETCH.answer(Box::pin(stream::unfold((held, Bytes::new()), part))))
}

/// Collects what fits into one message; what does not is held, beginning with what was read.
async fn gather(body: Body) -> Result<Result<Bytes, Held>, Fault> {
    let mut held = match body {
        Body::Whole(bytes) => return Ok(Ok(bytes)),
        Body::Stream(_) => Held::from(body),
    };
    let mut read = BytesMut::new();
    let Some(rest) = &mut held.rest else { return Ok(Ok(Bytes::new())) };
    while let Some(chunk) = rest.recv().await {
        read.extend_from_slice(&chunk?);
        if read.len() > UNARY_BYTES {
            held.read.push_front(read.freeze());
            return Ok(Err(held));
        }
    }
    Ok(Ok(read.freeze()))
}

/// The next part of a body, and what is left.
async fn part((mut held, mut left): (Held, Bytes)) -> Option<(Result<FetchResponse, Status>, (Held, Bytes))> {
    while left.is_empty() {
        match held.next().await? {
            Ok(bytes) => left = bytes,
            Err(fault) => {
                held.rest = None;
                return Some((Err(write_status(&fault)), (held, Bytes::new())));
            }
        }
    }
    let chunk = left.split_to(left.len().min(FETCH_BYTES));
    Some((Ok(FetchResponse { chunk }), (held, left)))
}

/// Tells the log what the caller is not told. What has no cause is said in full to whoever called.
pub(crate) fn report(fault: &Fault, request_id: &str) {
    if Error::source(fault).is_some() {
        let reason = fault.reason().code();
        tracing::warn!(request_id, reason, error = %Chain(fault), "call failed");
    }
}

/// `grpc-timeout`: up to eight digits and a unit.
fn timeout(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    let limit = match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    };
    Some(limit.min(NO_DEADLINE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_time_limit_is_read_as_grpc_writes_it() {
        let read = |text: &'static str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", text.parse().unwrap());
            timeout(&metadata)
        };
        assert_eq!(read("150m"), Some(Duration::from_millis(150)));
        assert_eq!(read("2S"), Some(Duration::from_secs(2)));
        assert_eq!(read("99999999H"), Some(NO_DEADLINE));
        for text in ["", "S", "123456789S", "1d", "-1S", "1ä"] {
            let mut metadata = MetadataMap::new();
            if let Ok(value) = text.parse() {
                metadata.insert("grpc-timeout", value);
            }
            assert_eq!(timeout(&metadata), None, "{text}");
        }
    }
}
