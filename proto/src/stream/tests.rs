//! What is written and read here is what tonic reads and writes.

use super::*;
use crate::{
    MAX_MESSAGE_BYTES, channel,
    executor::v1::{Answer, Call, session_request::Event, session_response::Outcome},
};
use bytes::BytesMut;
use futures_util::{FutureExt, future::BoxFuture, stream, stream::BoxStream};
use http::uri::PathAndQuery;
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tonic::{
    Code, Streaming,
    server::{Grpc, StreamingService},
};
use tonic_prost::ProstCodec;

fn call(id: u64) -> SessionRequest {
    let variables = Bytes::from("v".repeat(usize::try_from(id).unwrap() * 3));
    SessionRequest { event: Some(Event::Call(Call { id, variables, ..Call::default() })) }
}

fn answer(id: u64, bytes: usize) -> SessionResponse {
    let body = Bytes::from(vec![b'x'; bytes]);
    SessionResponse { id, outcome: Some(Outcome::Answer(Answer { status: 200, body, ..Answer::default() })) }
}

/// Answers of all kinds of sizes, one for each call, and then a status.
fn answered(request: &SessionRequest) -> SessionResponse {
    let Some(Event::Call(call)) = &request.event else { panic!("a call was expected") };
    answer(call.id, usize::try_from(call.id).unwrap() * 1000)
}

const CALLS: std::ops::Range<u64> = 0..70;

async fn echo<B>(request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut asked = SESSION.asked(request);
    let mut answers = Vec::new();
    while let Some(request) = asked.message().await.unwrap() {
        answers.push(Ok(answered(&request)));
    }
    answers.push(Err(Status::data_loss("as agreed")));
    SESSION.answer(stream::iter(answers))
}

#[tokio::test]
async fn a_client_of_tonic_is_understood_and_understands() {
    let channel = channel::local(tower::service_fn(|request| echo(request).map(Ok)));
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    client.ready().await.unwrap();
    let codec = ProstCodec::<SessionRequest, SessionResponse>::default();
    let path = PathAndQuery::from_static(SESSION.path);
    let request = tonic::Request::new(stream::iter(CALLS.map(call)));
    let mut answers = client.streaming(request, path, codec).await.unwrap().into_inner();
    for id in CALLS {
        assert!(answers.message().await.unwrap().unwrap() == answered(&call(id)), "{id}");
    }
    assert_eq!(answers.message().await.unwrap_err().code(), Code::DataLoss);
}

/// The same as `echo`, by tonic.
struct Echo;

impl StreamingService<SessionRequest> for Echo {
    type Response = SessionResponse;
    type ResponseStream = BoxStream<'static, Result<SessionResponse, Status>>;
    type Future = BoxFuture<'static, Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<SessionRequest>>) -> Self::Future {
        let answers = request.into_inner().map(|request| request.map(|request| answered(&request)));
        let ended = stream::iter([Err(Status::data_loss("as agreed"))]);
        async { Ok(tonic::Response::new(answers.chain(ended).boxed())) }.boxed()
    }
}

#[tokio::test]
async fn a_service_of_tonic_is_understood_and_understands() {
    let channel = channel::local(tower::service_fn(|request| async {
        let codec = ProstCodec::<SessionResponse, SessionRequest>::default();
        let mut server = Grpc::new(codec).max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(server.streaming(Echo, request).await)
    }));
    let mut answers = SESSION.call(channel, stream::iter(CALLS.map(call))).await.unwrap();
    for id in CALLS {
        assert!(answers.message().await.unwrap().unwrap() == answered(&call(id)), "{id}");
    }
    let status = answers.message().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::DataLoss, "as agreed"));
}

#[tokio::test]
async fn a_service_that_refuses_is_heard() {
    let refused = |answer: fn() -> Response<Body>| {
        let channel = channel::local(tower::service_fn(move |_| std::future::ready(Ok(answer()))));
        SESSION.call(channel, stream::iter([call(1)])).map(|refused| refused.unwrap_err().code())
    };
    assert_eq!(refused(|| Status::not_found("no").into_http()).await, Code::NotFound);
    let bad_gateway = || Response::builder().status(502).body(Body::empty()).unwrap();
    assert_eq!(refused(bad_gateway).await, Code::Unavailable);
}

#[tokio::test]
async fn answers_that_just_stop_are_not_whole() {
    let whole = written([answer(1, 300)]);
    let channel = channel::local(tower::service_fn(move |_| {
        std::future::ready(Ok(Response::new(Body::new(Full::new(whole.clone())))))
    }));
    let mut answers = SESSION.call(channel, stream::iter([call(1)])).await.unwrap();
    assert!(answers.message().await.unwrap().unwrap() == answer(1, 300));
    assert_eq!(answers.message().await.unwrap_err().code(), Code::Unavailable);
}

/// What is read of a body that comes in these pieces.
async fn read(pieces: impl IntoIterator<Item = Bytes>) -> Result<Vec<SessionResponse>, Status> {
    let frames: Vec<_> = pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(piece))).collect();
    let mut incoming = Incoming::<SessionResponse>::asked(Body::new(StreamBody::new(stream::iter(frames))));
    let mut messages = Vec::new();
    while let Some(message) = incoming.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

fn written(messages: impl IntoIterator<Item = SessionResponse>) -> Bytes {
    let mut buffer = BytesMut::new();
    for message in messages {
        let rest = message.write(&mut buffer).unwrap();
        buffer.extend_from_slice(&rest);
    }
    buffer.freeze()
}

#[tokio::test]
async fn messages_are_read_however_they_are_cut() {
    let messages = || [answer(1, 0), answer(2, 300), SessionResponse::default(), answer(3, 7)];
    let whole = written(messages());
    for size in 1..=whole.len() {
        let pieces = whole.chunks(size).flat_map(|piece| [Bytes::new(), whole.slice_ref(piece)]);
        assert!(read(pieces).await.unwrap() == messages(), "pieces of {size}");
    }
    for end in 1..whole.len() {
        match read([whole.slice(..end)]).await {
            Ok(messages) => assert!(written(messages) == whole.slice(..end), "{end}"),
            Err(status) => assert_eq!(status.code(), Code::Internal, "{end}"),
        }
    }
}

#[tokio::test]
async fn a_body_is_a_part_of_the_frame_in_which_it_came() {
    let whole = written([answer(1, 30_000)]);
    let messages = read([whole.clone()]).await.unwrap();
    let Some(Outcome::Answer(Answer { body, .. })) = &messages[0].outcome else { panic!() };
    assert!(whole.as_ptr_range().contains(&body.as_ptr()));
}

#[tokio::test]
async fn what_cannot_be_a_message_is_refused() {
    let too_long = u32::try_from(MAX_MESSAGE_BYTES).unwrap() + 1;
    let too_long = [&[0], too_long.to_be_bytes().as_slice()].concat();
    for (bytes, code) in [
        (vec![1, 0, 0, 0, 0], Code::Unimplemented),
        (too_long, Code::OutOfRange),
        (vec![0, 0, 0, 0, 1, 0xFF], Code::Internal),
        (vec![0, 0, 0], Code::Internal),
    ] {
        assert_eq!(read([Bytes::from(bytes)]).await.unwrap_err().code(), code);
    }
}
