//! The executor's streams, on which answers travel: gRPC over HTTP/2, written and read without copying them.
//!
//! tonic writes every message into a buffer and reads it out of another. Here the bytes of an answer go out as they came in, in
//! a frame of their own, and are given on as a part of what was read. Nothing else is different on the wire.

mod incoming;
mod message;
mod outgoing;

pub use incoming::Incoming;
pub use message::Carried;

use crate::{
    Channel,
    executor::v1::{FetchRequest, FetchResponse, SessionRequest, SessionResponse},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use outgoing::Outgoing;
use std::{error::Error, marker::PhantomData};
use tonic::{Status, body::Body};
use tower::ServiceExt;

/// Many calls on one stream.
pub const SESSION: Method<SessionRequest, SessionResponse> =
    Method::at("/portals.executor.v1.ExecutorService/Session");
/// The body of a large answer.
pub const FETCH: Method<FetchRequest, FetchResponse> =
    Method::at("/portals.executor.v1.ExecutorService/Fetch");

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// A method by its path, with what it takes and gives.
#[derive(Debug)]
pub struct Method<Q, A> {
    /// The path, as HTTP/2 has it.
    pub path: &'static str,
    messages: PhantomData<fn(Q) -> A>,
}

impl<Q, A> Method<Q, A> {
    const fn at(path: &'static str) -> Self {
        Self { path, messages: PhantomData }
    }
}

impl<Q, A> Method<Q, A>
where
    Q: Carried + 'static,
    A: Carried + 'static,
{
    /// Calls it: says `messages`, and gives what is answered.
    ///
    /// # Errors
    ///
    /// The status of a service that refuses, or of a channel that leads nowhere.
    pub async fn call<S>(&self, channel: Channel, messages: S) -> Result<Incoming<A>, Status>
    where
        S: Stream<Item = Q> + Send + Unpin + 'static,
    {
        let mut request = Request::new(Body::new(Outgoing::asking(messages.map(Ok))));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = Uri::from_static(self.path);
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
        request.headers_mut().insert(header::CONTENT_TYPE, GRPC);
        let response = channel.oneshot(request).await.map_err(|error| Status::from_error(Box::new(error)))?;
        refusal(response.status(), response.headers())?;
        Ok(Incoming::answered(response.into_body()))
    }

    /// What is said by whoever calls it.
    pub fn asked<B>(&self, request: Request<B>) -> Incoming<Q>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Incoming::asked(Body::new(request.into_body()))
    }

    /// Answers it with `messages`; a status ends them.
    pub fn answer<S>(&self, messages: S) -> Response<Body>
    where
        S: Stream<Item = Result<A, Status>> + Send + Unpin + 'static,
    {
        let mut response = Response::new(Body::new(Outgoing::answering(messages)));
        response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
        response
    }
}

/// What a service says before its first message, if that is all.
fn refusal(status: StatusCode, headers: &HeaderMap) -> Result<(), Status> {
    match Status::from_header_map(headers) {
        Some(said) if said.code() != tonic::Code::Ok => Err(said),
        _ if status != StatusCode::OK => {
            Err(Status::unavailable(format!("the service answered with {status}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
