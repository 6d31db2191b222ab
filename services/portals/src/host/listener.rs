//! Listening sockets, one for each thread, on the same address.

use crate::{config::Listen, exit::Failure};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::PathBuf,
};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;

/// A bound address with a listener for each thread.
#[derive(Debug)]
pub(crate) struct Bound {
    /// Where it listens, with the port that it has really got.
    pub(crate) address: Listen,
    /// One for each thread.
    pub(crate) sockets: Vec<ListeningSocket>,
    /// Takes the socket's file away in the end.
    pub(crate) file: Option<SocketFile>,
}

/// A listening socket that no runtime knows yet.
#[derive(Debug)]
pub(crate) enum ListeningSocket {
    /// TCP.
    Tcp(TcpListener),
    /// Unix.
    Unix(UnixListener),
}

/// The file of a Unix socket; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The next start removes what is left here.
        let _gone = fs::remove_file(&self.0);
    }
}

impl Bound {
    /// Binds `listen` for `threads` threads.
    pub(crate) fn bind(listen: &Listen, threads: usize) -> Result<Self, Failure> {
        let bound = match listen {
            Listen::Tcp(address) => bind_tcp(*address, threads),
            Listen::Unix(path) => bind_unix(path.clone(), threads),
        };
        bound.map_err(|error| Failure::system(format!("listening on {listen}: {error}")))
    }

    /// The TCP address; `None` for a Unix socket.
    pub(crate) fn tcp(&self) -> Option<SocketAddr> {
        match self.address {
            Listen::Tcp(address) => Some(address),
            Listen::Unix(_) => None,
        }
    }
}

fn bind_tcp(address: SocketAddr, threads: usize) -> io::Result<Bound> {
    // Shared ports would let a second process take half of the connections in silence: first try it alone.
    let alone = tcp_socket(address, false)?;
    let address = alone.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
    drop(alone);
    let mut sockets = Vec::with_capacity(threads);
    for _ in 0..threads.max(1) {
        let socket = tcp_socket(address, true)?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        sockets.push(ListeningSocket::Tcp(socket.into()));
    }
    Ok(Bound { address: Listen::Tcp(address), sockets, file: None })
}

fn tcp_socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn bind_unix(path: PathBuf, threads: usize) -> io::Result<Bound> {
    if UnixStream::connect(&path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    // Nobody listens there: a file of before is only in the way. Where there is none, binding says what else is wrong.
    let _gone = fs::remove_file(&path);
    let first = UnixListener::bind(&path)?;
    let file = SocketFile(path.clone());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660))?;
    first.set_nonblocking(true)?;
    let mut sockets = Vec::with_capacity(threads);
    for _ in 1..threads.max(1) {
        sockets.push(ListeningSocket::Unix(first.try_clone()?));
    }
    sockets.push(ListeningSocket::Unix(first));
    Ok(Bound { address: Listen::Unix(path), sockets, file: Some(file) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_somebody_has_is_not_shared_with_him() {
        let any = "127.0.0.1:0".parse().unwrap();
        let first = Bound::bind(&Listen::Tcp(any), 2).unwrap();
        assert_eq!(first.sockets.len(), 2);
        assert!(Bound::bind(&first.address, 1).is_err());
    }

    #[test]
    fn a_socket_file_of_before_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let listen = Listen::Unix(folder.path().join("socket"));
        drop(UnixListener::bind(folder.path().join("socket")).unwrap());
        let first = Bound::bind(&listen, 2).unwrap();
        assert!(Bound::bind(&listen, 1).is_err());
        drop(first);
        assert!(!folder.path().join("socket").exists());
    }
}
