//! Calls, many at once: in a closed loop, where each connection makes the next call when the last is answered, or by
//! a schedule that waits for nobody.

mod alarm;
mod probe;
mod schedule;

pub(crate) use probe::Probe;
pub(crate) use schedule::Schedule;

use crate::{Failure, request};
use alarm::Alarm;
use serde_json::Value;
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
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<Vec<Vec<u8>>>,
}

/// What came of a run.
#[derive(Default)]
pub(crate) struct Run {
    /// How long each good answer took, in no order: by a schedule, from when the call was due.
    pub(crate) latencies: Vec<Duration>,
    /// The same from when the call was sent.
    pub(crate) from_sending: Vec<Duration>,
    /// How long it took from sending to be told that there is no room (503).
    pub(crate) refused: Vec<Duration>,
    pub(crate) took: Duration,
    /// Other answers, and connections that broke.
    pub(crate) failed: u32,
    /// Calls that were due and could not be sent in time.
    pub(crate) unsent: u32,
}

/// Calls once, and compares the data of the answer with what the upstream says.
pub(crate) async fn check(target: &Target, expected: &str) -> Result<(), Failure> {
    let mut connection = Connection::open(target.address).await?;
    let request = target.requests.first().ok_or("there are requests")?;
    let status = connection.call(request).await?;
    let body = request::body(&connection.last).unwrap_or_default();
    let data = |text: &[u8]| serde_json::from_slice::<Value>(text).ok()?.get("data").cloned();
    if status != 200 || data(&body).is_none() || data(&body) != data(expected.as_bytes()) {
        let said: String = String::from_utf8_lossy(&connection.last).chars().take(1000).collect();
        return Err(format!("{} answers {said}", target.address).into());
    }
    Ok(())
}

/// Calls over so many connections for so long, each with one call at a time.
pub(crate) async fn closed(target: &Target, connections: u32, time: Duration) -> Result<Run, Failure> {
    in_a_loop(target, connections, time, None).await
}

/// The same with a new connection for each call, as curl makes; connecting counts as part of the call.
pub(crate) async fn closed_anew(target: &Target, callers: u32, time: Duration) -> Result<Run, Failure> {
    in_a_loop(target, callers, time, Some(target.address)).await
}

async fn in_a_loop(
    target: &Target,
    connections: u32,
    time: Duration,
    anew: Option<SocketAddr>,
) -> Result<Run, Failure> {
    let mut callers = JoinSet::new();
    let open = open_all(target, connections).await?;
    let began = Instant::now();
    for (number, connection) in open.into_iter().enumerate() {
        let requests = Arc::clone(&target.requests);
        // Callers begin at different places of the list.
        callers.spawn(in_turn(connection, anew, requests, number * 61, began + time));
    }
    gathered(callers, began).await
}

/// Calls at the times of a schedule, over so many connections.
pub(crate) async fn open(target: &Target, connections: u32, schedule: Schedule) -> Result<Run, Failure> {
    let schedule = Arc::new(schedule);
    let mut callers = JoinSet::new();
    let open = open_all(target, connections).await?;
    let began = schedule.begin();
    for (number, connection) in open.into_iter().enumerate() {
        let requests = Arc::clone(&target.requests);
        callers.spawn(on_time(connection, target.address, requests, number * 61, Arc::clone(&schedule)));
    }
    let run = gathered(callers, began).await?;
    Ok(Run { unsent: schedule.unsent(), ..run })
}

async fn open_all(target: &Target, connections: u32) -> io::Result<Vec<Connection>> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(target.address).await?);
    }
    Ok(open)
}

async fn gathered(mut callers: JoinSet<io::Result<Run>>, began: Instant) -> Result<Run, Failure> {
    let mut all = Run::default();
    while let Some(ended) = callers.join_next().await {
        let run = ended??;
        all.latencies.extend(run.latencies);
        all.from_sending.extend(run.from_sending);
        all.refused.extend(run.refused);
        all.failed += run.failed;
    }
    Ok(Run { took: began.elapsed(), ..all })
}

async fn in_turn(
    mut connection: Connection,
    anew: Option<SocketAddr>,
    requests: Arc<Vec<Vec<u8>>>,
    first: usize,
    until: Instant,
) -> io::Result<Run> {
    let mut run = Run { latencies: Vec::with_capacity(64 * 1024), ..Run::default() };
    for request in requests.iter().cycle().skip(first) {
        let began = Instant::now();
        if began >= until {
            break;
        }
        if let Some(address) = anew {
            connection = Connection::open(address).await?;
        }
        match connection.call(request).await? {
            200 => run.latencies.push(began.elapsed()),
            503 => run.refused.push(began.elapsed()),
            _ => run.failed += 1,
        }
    }
    Ok(run)
}

async fn on_time(
    mut connection: Connection,
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    first: usize,
    schedule: Arc<Schedule>,
) -> io::Result<Run> {
    let mut alarm = Alarm::new()?;
    let mut run = Run::default();
    let mut requests = requests.iter().cycle().skip(first);
    while let (Some(due), Some(request)) = (schedule.take(), requests.next()) {
        alarm.wait_until(due).await?;
        let sent = Instant::now();
        match connection.call(request).await {
            Ok(200) => {
                run.latencies.push(due.elapsed());
                run.from_sending.push(sent.elapsed());
            }
            Ok(503) => run.refused.push(sent.elapsed()),
            Ok(_) => run.failed += 1,
            Err(_) => {
                run.failed += 1;
                connection = Connection::open(address).await?;
            }
        }
    }
    Ok(run)
}

/// A connection with one call at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    /// The last answer, whole.
    pub(crate) last: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, last: Vec::with_capacity(4096) })
    }

    /// Sends a request, reads the answer, and tells its status.
    pub(crate) async fn call(&mut self, request: &[u8]) -> io::Result<u16> {
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
