//! Accepting connections: as long as there is room for them, and until the shutdown.

use super::{
    address::Connections,
    connection::{self, Peers, Room},
    listener::ListeningSocket,
    quiet::Quiet,
    shutdown::Shutdown,
};
use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener},
    sync::mpsc,
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
    Unix(Quiet),
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
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Quiet::new(stream).map(Accepted::Unix)
            }
        }
    }
}

/// Serves `room` to whoever connects to `socket`, until `shutdown` and then until the last connection has ended.
///
/// Whoever calls gives it the time that this may take.
///
/// # Errors
///
/// When the runtime cannot take the socket.
pub(crate) async fn serve(
    socket: ListeningSocket,
    room: Room,
    peers: Peers,
    connections: Connections,
    shutdown: Shutdown,
) -> io::Result<()> {
    let listener = Listener::new(socket)?;
    let protocol = Arc::new(connection::protocol(peers));
    let (alive, mut ended) = mpsc::channel::<()>(1);
    let mut begun = pin!(shutdown.clone().begun());
    loop {
        let next = async {
            let place = connections.room().await;
            (place, accept(&listener).await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            // Before the shutdown is looked at: whom the kernel has let in would be cut off without a word.
            next = next => next,
            () = &mut begun => break,
        };
        let Some(counted) = admit(&accepted, &connections) else { continue };
        let (protocol, serving, shutdown) = (Arc::clone(&protocol), room.clone(), shutdown.clone());
        let alive = alive.clone();
        tokio::spawn(async move {
            match accepted {
                Accepted::Tcp(stream, peer) => {
                    connection::serve(&protocol, stream, peers, Some(peer), serving, shutdown).await;
                }
                Accepted::Unix(stream) => {
                    connection::serve(&protocol, stream, peers, None, serving, shutdown).await
                }
            }
            drop((alive, place, counted));
        });
    }
    drop((listener, alive));
    // Nothing is ever sent: this ends when the last connection has dropped its end.
    ended.recv().await;
    Ok(())
}

/// Sets up an accepted connection; `None` when its address has too many.
fn admit(accepted: &Accepted, connections: &Connections) -> Option<Option<super::address::Counted>> {
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
