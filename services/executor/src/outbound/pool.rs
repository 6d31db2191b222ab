//! The connections to one host that are free: taken newest first, given back when an answer has been read.

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// What is read at most of an answer that nobody wants, and how long it is waited for.
const UNWANTED_BYTES: usize = 64 << 10;
const UNWANTED_FOR: Duration = Duration::from_millis(100);
/// How long a connection stays without a request.
const IDLE: Duration = Duration::from_secs(90);

/// The free connections of one client; its clones share them.
pub(super) struct Pool {
    most: usize,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    /// Of HTTP/1.1, longest idle first.
    free: VecDeque<(Http1, Instant)>,
    /// Of HTTP/2, which takes requests beside each other.
    shared: Option<http2::SendRequest<Full<Bytes>>>,
}

/// A connection that takes a request.
pub(super) enum Connection {
    Http1(Http1),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// A connection that takes one request at a time.
pub(super) struct Http1 {
    pub(super) sender: http1::SendRequest<Full<Bytes>>,
    /// Whether it leads to a proxy, which is told the whole URI.
    pub(super) proxied: bool,
}

/// The body of an answer. Once it has been read to its end, its connection is free again; dropped before, it ends it.
pub struct Body {
    incoming: Incoming,
    lease: Option<Lease>,
    began: Instant,
}

/// A connection that is a body's until that has been read, and where it goes then.
pub(super) struct Lease(Http1, Arc<Pool>);

impl Connection {
    /// What a body holds of it until it has been read.
    pub(super) fn into_lease(self, pool: &Arc<Pool>) -> Option<Lease> {
        match self {
            Self::Http1(connection) => Some(Lease(connection, Arc::clone(pool))),
            Self::Http2(_) => None,
        }
    }
}

impl Pool {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, connections: Mutex::default() })
    }

    /// A connection that takes a request now.
    pub(super) fn take(&self, now: Instant) -> Option<Connection> {
        let mut connections = self.lock();
        connections.shared.take_if(|shared| shared.is_closed());
        if let Some(shared) = &connections.shared {
            return Some(Connection::Http2(shared.clone()));
        }
        let limit = now.checked_sub(IDLE);
        while connections.free.front().is_some_and(|(_, since)| limit.is_some_and(|limit| *since < limit)) {
            connections.free.pop_front();
        }
        // One whose task has not yet seen the end of its last answer keeps its place.
        let mut unready = Vec::new();
        let mut taken = None;
        while let Some((connection, since)) = connections.free.pop_back() {
            if connection.sender.is_ready() {
                taken = Some(Connection::Http1(connection));
                break;
            }
            if !connection.sender.is_closed() {
                unready.push((connection, since));
            }
        }
        connections.free.extend(unready.into_iter().rev());
        taken
    }

    /// Lets others use a connection of HTTP/2 too.
    pub(super) fn share(&self, connection: http2::SendRequest<Full<Bytes>>) {
        self.lock().shared = Some(connection);
    }

    fn give_back(&self, connection: Http1, since: Instant) {
        let mut connections = self.lock();
        if connections.free.len() < self.most && !connection.sender.is_closed() {
            connections.free.push_back((connection, since));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        // Each change is whole before anything can panic.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body {
    /// The body of an answer whose head has just come.
    pub(super) fn new(incoming: Incoming, lease: Option<Lease>) -> Self {
        let mut body = Self { incoming, lease, began: Instant::now() };
        if body.incoming.is_end_stream() {
            body.ended();
        }
        body
    }

    /// When the head of the answer had come.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Reads to the end what nobody wants, if that is little and comes at once, before `deadline` too: a new connection
    /// would cost more.
    pub(crate) async fn drain(mut self, deadline: Instant) {
        let mut left = UNWANTED_BYTES;
        let drained = async {
            while self.lease.is_some()
                && let Some(Ok(frame)) = self.frame().await
                && let Some(less) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len))
            {
                left = less;
            }
        };
        // What has not ended by then ends with its connection.
        let until = deadline.min(Instant::now() + UNWANTED_FOR);
        tokio::time::timeout_at(until.into(), drained).await.ok();
    }

    fn ended(&mut self) {
        if let Some(Lease(connection, pool)) = self.lease.take() {
            // Idle since the head and not since the end: few answers take so long that it matters, and those cost a
            // connection.
            pool.give_back(connection, self.began);
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(context);
        let ended = match &polled {
            Poll::Ready(Some(Ok(_))) => self.incoming.is_end_stream(),
            Poll::Ready(None) => true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => false,
        };
        if ended {
            self.ended();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Body").field(&self.incoming).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Client, Config},
        *,
    };
    use http::{Request, Uri};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        time::timeout,
    };

    #[tokio::test]
    async fn an_end_that_does_not_come_is_not_waited_for_longer_than_the_call_has() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let host = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            stream
                .write_all(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 10\r\n\r\n1")
                .await
                .unwrap();
            stream
        });
        let client = Client::new(&Config::default(), &uri).unwrap();
        let response = client.send(Request::post("/").body(Full::default()).unwrap()).await.unwrap();
        let stream = host.await.unwrap();
        let drained = timeout(UNWANTED_FOR / 2, response.into_body().drain(Instant::now())).await;
        drop(stream);
        assert!(drained.is_ok());
    }
}
