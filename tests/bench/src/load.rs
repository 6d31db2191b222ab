//! A closed loop: each connection has one call at a time and makes the next when the last is answered.

use crate::{Failure, request};
use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

/// The longest that one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where to send, and what: whole requests, each with variables of its own, so that nothing can be answered twice.
pub(crate) struct Target<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) requests: &'a Arc<Vec<Vec<u8>>>,
}

/// What came of a run.
pub(crate) struct Run {
    /// How long each good answer took, in no order.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) took: Duration,
    /// Answers other than 200.
    pub(crate) failed: u32,
}

/// Calls once, and compares the answer with what the upstream says.
pub(crate) async fn check(target: &Target<'_>, expected: &[u8]) -> Result<(), Failure> {
    let mut connection = Connection::open(target.address).await?;
    let request = target.requests.first().ok_or("there are requests")?;
    let status = connection.call(request).await?;
    let body = memchr::memmem::find(&connection.last, expected);
    // In chunks, a long body does not stand in one piece.
    if status != 200 || (body.is_none() && connection.last.len() < expected.len()) {
        let said = String::from_utf8_lossy(&connection.last).into_owned();
        return Err(format!("{} answers {said}", target.address).into());
    }
    Ok(())
}

/// Calls over so many connections for so long.
pub(crate) async fn run(target: &Target<'_>, connections: u32, time: Duration) -> Result<Run, Failure> {
    let mut callers = JoinSet::new();
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(target.address).await?);
    }
    let began = Instant::now();
    for (number, connection) in open.into_iter().enumerate() {
        let requests = Arc::clone(target.requests);
        // Callers begin at different places of the list.
        callers.spawn(calls(connection, requests, number * 61, began + time));
    }
    let mut latencies = Vec::new();
    let mut failed = 0;
    while let Some(ended) = callers.join_next().await {
        let (took, wrong) = ended??;
        latencies.extend(took);
        failed += wrong;
    }
    Ok(Run { latencies, took: began.elapsed(), failed })
}

async fn calls(
    mut connection: Connection,
    requests: Arc<Vec<Vec<u8>>>,
    first: usize,
    until: Instant,
) -> io::Result<(Vec<Duration>, u32)> {
    let mut latencies = Vec::with_capacity(64 * 1024);
    let mut failed = 0;
    for request in requests.iter().cycle().skip(first) {
        let began = Instant::now();
        if began >= until {
            break;
        }
        match connection.call(request).await? {
            200 => latencies.push(began.elapsed()),
            _ => failed += 1,
        }
    }
    Ok((latencies, failed))
}

struct Connection {
    stream: TcpStream,
    /// The last answer, whole.
    last: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, last: Vec::with_capacity(64 * 1024) })
    }

    /// Sends a request, reads the answer, and tells its status.
    async fn call(&mut self, request: &[u8]) -> io::Result<u16> {
        self.last.clear();
        self.stream.write_all(request).await?;
        loop {
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.last)).await??;
            if let Some((_, length)) = request::measure(&self.last) {
                self.last.truncate(length);
                return Ok(request::status(&self.last));
            }
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
