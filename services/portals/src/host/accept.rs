//! Accepting connections: as long as there is room for them, and until the shutdown. Each is served by the thread that has
//! the fewest.

use super::{
    address::{Connections, Counted},
    connection::{self, Peers, Room},
    listener::ListeningSocket,
    quiet::Quiet,
    share::{Seat, Share},
    shutdown::Shutdown,
};
use hyper_util::{rt::TokioExecutor, server::conn::auto};
use std::{
    io,
    net::{self, SocketAddr},
    os,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, mpsc},
    time,
};

/// The first wait after an error of the system, such as too many open files; it doubles up to a second.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// An error that lasts is logged once in this time.
const LOG_EACH: Duration = Duration::from_secs(5);

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// A connection on its way to another thread, known to no runtime.
#[derive(Debug)]
pub(crate) struct Handed {
    stream: Stream,
    held: Held,
}

#[derive(Debug)]
enum Stream {
    Tcp(net::TcpStream, SocketAddr),
    Unix(os::unix::net::UnixStream),
}

/// What a connection holds for as long as it lives.
#[derive(Debug)]
struct Held {
    _place: OwnedSemaphorePermit,
    _counted: Option<Counted>,
    seat: Seat,
}

/// What serves connections on this thread.
struct Serving {
    protocol: Arc<auto::Builder<TokioExecutor>>,
    room: Room,
    peers: Peers,
    shutdown: Shutdown,
    alive: mpsc::Sender<()>,
}

impl Listener {
    fn new(socket: ListeningSocket) -> io::Result<Self> {
        match socket {
            ListeningSocket::Tcp(socket) => TcpListener::from_std(socket).map(Self::Tcp),
            ListeningSocket::Unix(socket) => UnixListener::from_std(socket).map(Self::Unix),
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, peer)| Accepted::Tcp(stream, peer)),
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Accepted::Unix(stream)),
        }
    }
}

impl Accepted {
    /// For another thread's runtime.
    fn leave(self) -> io::Result<Stream> {
        match self {
            Self::Tcp(stream, peer) => stream.into_std().map(|stream| Stream::Tcp(stream, peer)),
            Self::Unix(stream) => stream.into_std().map(Stream::Unix),
        }
    }
}

impl Stream {
    /// For this thread's runtime.
    fn arrive(self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(stream, peer) => TcpStream::from_std(stream).map(|stream| Accepted::Tcp(stream, peer)),
            Self::Unix(stream) => UnixStream::from_std(stream).map(Accepted::Unix),
        }
    }
}

impl Serving {
    /// Serves a connection in a task of its own.
    fn begin(&self, accepted: Accepted, held: Held) {
        let (protocol, room, peers) = (Arc::clone(&self.protocol), self.room.clone(), self.peers);
        let (shutdown, alive) = (self.shutdown.clone(), self.alive.clone());
        tokio::spawn(async move {
            match accepted {
                Accepted::Tcp(stream, peer) => {
                    connection::serve(&protocol, stream, peers, Some(peer), room, shutdown).await;
                }
                Accepted::Unix(stream) => match stream.into_std().and_then(Quiet::new) {
                    Ok(stream) => connection::serve(&protocol, stream, peers, None, room, shutdown).await,
                    Err(error) => tracing::error!(%error, "a connection cannot be served"),
                },
            }
            drop((alive, held));
        });
    }

    /// Serves a connection that another thread has accepted.
    fn take(&self, Handed { stream, held }: Handed) {
        match stream.arrive() {
            Ok(accepted) => self.begin(accepted, held),
            Err(error) => tracing::error!(%error, "a connection cannot be served"),
        }
    }

    /// Serves a connection here, or has the thread serve it that has the fewest.
    fn share(&self, share: &Share<Handed>, accepted: Accepted, held: Held) {
        if share.is_own(&held.seat) {
            return self.begin(accepted, held);
        }
        let thread = held.seat.thread();
        match accepted.leave() {
            // One that has no room for it leaves it here.
            Ok(stream) => {
                if let Err(handed) = share.hand(thread, Handed { stream, held }) {
                    self.take(handed);
                }
            }
            Err(error) => tracing::error!(%error, "a connection cannot be handed over"),
        }
    }
}

/// Serves `room` to whoever connects to `socket`, and whom other threads hand over, until `shutdown` and then until
/// the last connection has ended.
///
/// Whoever calls gives it the time that this may take.
///
/// # Errors
///
/// When the runtime cannot take the socket.
pub(crate) async fn serve(
    socket: ListeningSocket,
    mut share: Share<Handed>,
    room: Room,
    peers: Peers,
    connections: Connections,
    shutdown: Shutdown,
) -> io::Result<()> {
    let listener = Listener::new(socket)?;
    let (alive, mut ended) = mpsc::channel::<()>(1);
    let mut begun = pin!(shutdown.clone().begun());
    let serving = Serving { protocol: Arc::new(connection::protocol(peers)), room, peers, shutdown, alive };
    loop {
        let next = async {
            let place = connections.room().await;
            (place, accept(&listener).await)
        };
        tokio::select! {
            biased;
            // Who was let in by another thread has waited longer.
            Some(handed) = share.next() => serving.take(handed),
            // Before the shutdown is looked at: whom the kernel has let in would be cut off without a word.
            (place, accepted) = next => {
                let Some(counted) = admit(&accepted, &connections) else { continue };
                let held = Held { _place: place, _counted: counted, seat: share.seat() };
                serving.share(&share, accepted, held);
            }
            () = &mut begun => break,
        }
    }
    drop(listener);
    // The others may have accepted one for this thread just now.
    share.close();
    while let Some(handed) = share.next().await {
        serving.take(handed);
    }
    drop(serving);
    // Nothing is ever sent: this ends when the last connection has dropped its end.
    ended.recv().await;
    Ok(())
}

/// Sets up an accepted connection; `None` when its address has too many.
fn admit(accepted: &Accepted, connections: &Connections) -> Option<Option<Counted>> {
    match accepted {
        Accepted::Unix(_) => Some(None),
        Accepted::Tcp(stream, peer) => {
            // Only a connection that is gone already refuses this.
            let _gone = stream.set_nodelay(true);
            let counted = connections.count(peer.ip()).ok();
            if counted.is_none() {
                metrics::counter!("portals_connections_refused_total").increment(1);
            }
            counted
        }
    }
}

/// The next connection; errors are waited out, for none of them is the listener's end.
async fn accept(listener: &Listener) -> Accepted {
    let mut wait = FIRST_WAIT;
    let mut logged: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The peer went away while it waited in the queue.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if logged.is_none_or(|at| at.elapsed() > LOG_EACH) {
                    tracing::error!(%error, "accepting connections fails");
                    logged = Some(Instant::now());
                }
                time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}
