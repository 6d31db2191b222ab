//! One connection: HTTP/1.1 or HTTP/2, as its first bytes say, under limits and a clock.

use super::{
    answering::{Answers, Calling},
    pace::{LOOK, Pace, STALLED},
    shutdown::Shutdown,
    unread::Answered,
};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, SelectAll, StreamExt};
use http::{HeaderValue, Request, Response, Version, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{self, Instant},
};
use tower::Service;

/// Calls beside each other on one HTTP/2 connection.
const MAX_STREAMS: u32 = 100;
/// Calls beside each other on one HTTP/2 connection of another service of ours.
const MAX_INTERNAL_STREAMS: u32 = 10_000;
/// Streams that a peer may have reset before they were looked at: more ends the connection.
const MAX_RESETS: usize = 20;
/// Bytes of a request's header fields; a service that wants less says so itself.
const MAX_HEADER_BYTES: u32 = 64 << 10;
/// Bytes of an answer that HTTP/2 takes before its stream has room for them.
const MAX_UNSENT_BYTES: usize = 128 << 10;
/// How often an HTTP/2 peer is asked whether it is still there, and how long it may take to answer.
const PING: Duration = Duration::from_secs(20);

/// How long a silent HTTP/1.1 connection is kept after the shutdown has begun. A caller who does not know of it yet
/// sends his next request into a connection that answers, and is told then that it closes.
pub(crate) const FAREWELL: Duration = Duration::from_secs(1);

/// How long the rest of a request may take after the shutdown has begun, before the request counts as endless.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Whom a listener is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Peers {
    /// Anybody.
    Public,
    /// Other services of ours.
    Internal,
}

/// What answers the requests of a connection.
#[derive(Clone)]
pub(crate) enum Room {
    /// The edge.
    Edge(edge::Service),
    /// Another room, by its routes.
    Routes(axum::Router),
}

impl Room {
    #[allow(clippy::manual_async_fn, reason = "it would keep the request twice")]
    fn answer(
        self,
        connection: &edge::Connection,
        request: Request<Incoming>,
        shutdown: Option<Shutdown>,
    ) -> impl Future<Output = Response<edge::Body>> + Send {
        async move {
            let mut router = match self {
                Self::Edge(service) => return service.answer(connection, request).await,
                Self::Routes(router) => router,
            };
            let request = match shutdown {
                None => request.map(axum::body::Body::new),
                Some(shutdown) => request.map(|body| axum::body::Body::new(Ending::new(body, shutdown))),
            };
            let Ok(response) = router.call(request).await;
            response.map(edge::Body::from)
        }
    }
}

/// What speaks the protocol on each connection.
pub(crate) fn protocol(peers: Peers) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The clock of a connection is ours (`pace`): hyper's would count idle time as time of reading a head.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(usize::try_from(MAX_HEADER_BYTES).unwrap_or(usize::MAX));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(match peers {
            Peers::Public => MAX_STREAMS,
            Peers::Internal => MAX_INTERNAL_STREAMS,
        })
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_send_buf_size(MAX_UNSENT_BYTES)
        .max_header_list_size(MAX_HEADER_BYTES);
    if peers == Peers::Internal {
        // Messages are of up to 4 MiB, and the peer is trusted with the memory.
        builder.http2().initial_stream_window_size(1 << 20).initial_connection_window_size(4 << 20);
    }
    builder
}

/// Serves `room` on `stream` until it ends, is silent for too long, or has drained after `shutdown`.
pub(crate) async fn serve<S>(
    protocol: &auto::Builder<TokioExecutor>,
    stream: S,
    peers: Peers,
    peer: Option<SocketAddr>,
    room: Room,
    shutdown: Shutdown,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pace = Arc::new(Pace::new());
    let edge = match &room {
        Room::Edge(service) => Some(service.clone()),
        Room::Routes(_) => None,
    };
    let paced = Paced { stream, pace: Arc::clone(&pace) };
    let stream = TokioIo::new(Answered::new(paced, Arc::clone(&pace), edge));
    let at = Arc::clone(&pace);
    let answers = Answers::default();
    let begun_answers = answers.clone();
    let ending = (peers == Peers::Internal).then(|| shutdown.clone());
    let end = shutdown.clone();
    let from = Arc::new(edge::Connection::new(peer));
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let multiplexed = request.version() == Version::HTTP_2;
        let call = Calling::new(&at, multiplexed);
        let end = (!multiplexed).then(|| end.clone());
        let answers = begun_answers.clone();
        let (room, ending, from) = (room.clone(), ending.clone(), Arc::clone(&from));
        async move {
            let response = room.answer(&from, request, ending).await;
            let mut response = response.map(|body| answers.begin(body, call));
            if end.is_some_and(|end| end.has_begun()) {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(protocol.serve_connection(stream, service));
    let mut due = next_look(&pace);
    let mut events = SelectAll::from_iter([farewell(shutdown, peers, &pace), look_at(due)]);
    let mut closing = false;
    loop {
        let event = poll_fn(|context| {
            // What a peer did wrong with its connection concerns nobody else.
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            // A head that has begun has less time than the idleness before it had.
            if let Some(sooner) = pace.silent_until().filter(|until| !closing && *until < due) {
                due = sooner;
                events.push(look_at(due));
            }
            events.poll_next_unpin(context)
        });
        let Some(event) = event.await else { return };
        let (over, looked) = match event {
            Event::Farewell => (!closing, None),
            Event::Look(at) => {
                at.checked_sub(STALLED).into_iter().for_each(|limit| answers.let_go(limit));
                (pace.is_over(), Some(at))
            }
        };
        if over {
            // An idle connection closes by itself now; one that is stuck is dropped at the next look.
            if closing {
                return;
            }
            closing = true;
            connection.as_mut().graceful_shutdown();
        }
        // One that came after a sooner one leads to no other.
        if over || looked.is_some_and(|at| at >= due) {
            due = if closing { Instant::now() + LOOK } else { next_look(&pace) };
            events.push(look_at(due));
        }
    }
}

fn next_look(pace: &Pace) -> Instant {
    pace.silent_until().unwrap_or_else(|| Instant::now() + LOOK)
}

/// What happens to a connection besides what comes on it.
///
/// Seldom, and each is asked only when it has woken the connection: calls pay nothing for them.
enum Event {
    /// The shutdown has begun and the connection should hear of it.
    Farewell,
    /// It is time to look at the clock, as was to be done then.
    Look(Instant),
}

fn farewell(shutdown: Shutdown, peers: Peers, pace: &Arc<Pace>) -> BoxStream<'static, Event> {
    let pace = Arc::clone(pace);
    let farewell = async move {
        shutdown.begun().await;
        // HTTP/2 has a word for it, and services of ours ask again.
        if peers == Peers::Public && !pace.is_multiplexed() {
            time::sleep(FAREWELL).await;
        }
        Event::Farewell
    };
    stream::once(farewell).boxed()
}

fn look_at(due: Instant) -> BoxStream<'static, Event> {
    stream::once(async move {
        time::sleep_until(due).await;
        Event::Look(due)
    })
    .boxed()
}

/// The body of a service's request: one that would never end by itself ends a little after the shutdown begins.
///
/// So a session with an executor drains as calls do: what it has asked is answered, and then it is over.
struct Ending {
    body: Incoming,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Ending {
    fn new(body: Incoming, shutdown: Shutdown) -> Self {
        let end = Box::pin(async move {
            shutdown.begun().await;
            time::sleep(LAST_WORDS).await;
        });
        Self { body, end }
    }
}

impl Body for Ending {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Pending => self.end.as_mut().poll(context).map(|()| None),
            ready => ready,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that tells the clock what it does.
struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
}

impl<S> Paced<S> {
    fn wrote<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.pace.wrote(written.is_ready());
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.pace.read();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
