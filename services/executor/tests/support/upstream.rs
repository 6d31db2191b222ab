//! An upstream on a real socket that does what its script says, one entry for each request, and records what it
//! was sent. When the script has ended it is a good GraphQL API.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

pub const GOOD: &str = r#"{"data":{"node":{"id":"1"}}}"#;

/// What to do with a request.
#[derive(Clone)]
pub enum Act {
    /// Writes these bytes and goes on.
    Write(Vec<u8>),
    /// Writes these bytes and closes.
    Close(Vec<u8>),
    /// Writes these bytes and resets the connection.
    Reset(Vec<u8>),
    /// Writes these bytes, and then nothing more, until the other side has closed.
    Hang(Vec<u8>),
    /// Waits until it is let go on, then answers well.
    Wait(Arc<Notify>),
    /// Writes the first bytes, waits until it is let go on, and writes the others.
    Pause(Vec<u8>, Arc<Notify>, Vec<u8>),
    /// Writes the first bytes, then so many times the second, and no faster than they are taken.
    Stream(Vec<u8>, Vec<u8>, usize),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub head: String,
    pub body: String,
}

#[derive(Clone)]
pub struct Upstream {
    pub url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    script: Mutex<VecDeque<Act>>,
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<usize>,
    /// Connections that the other side closed while they hung.
    left: Mutex<usize>,
    /// Connections that have come to their end.
    ended: Mutex<usize>,
    changed: Notify,
}

impl Upstream {
    pub async fn start(script: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(State { script: Mutex::new(script.into_iter().collect()), ..State::default() });
        let upstream = Self { url: format!("http://{}/graphql", listener.local_addr().unwrap()), state };
        let accepting = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *accepting.state.connections.lock().unwrap() += 1;
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        upstream
    }

    pub fn script(&self, acts: impl IntoIterator<Item = Act>) {
        self.state.script.lock().unwrap().extend(acts);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    pub fn calls(&self) -> usize {
        self.state.seen.lock().unwrap().len()
    }

    pub fn connections(&self) -> usize {
        *self.state.connections.lock().unwrap()
    }

    /// Waits until so many requests have come.
    pub async fn until_called(&self, times: usize) {
        self.until(|state| state.seen.lock().unwrap().len() >= times).await;
    }

    /// Waits until so many connections were closed by the other side in the middle of an answer.
    pub async fn until_left(&self, times: usize) {
        self.until(|state| *state.left.lock().unwrap() >= times).await;
    }

    /// Waits until so many connections have come to their end.
    pub async fn until_ended(&self, times: usize) {
        self.until(|state| *state.ended.lock().unwrap() >= times).await;
    }

    async fn until(&self, reached: impl Fn(&State) -> bool) {
        let wait = async {
            loop {
                let changed = self.state.changed.notified();
                if reached(&self.state) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.expect("it happens within ten seconds");
    }

    async fn serve(self, stream: TcpStream) {
        self.converse(stream).await;
        *self.state.ended.lock().unwrap() += 1;
        self.state.changed.notify_waiters();
    }

    async fn converse(&self, mut stream: TcpStream) {
        while let Some(seen) = request(&mut stream).await {
            self.state.seen.lock().unwrap().push(seen);
            self.state.changed.notify_waiters();
            let act = self.state.script.lock().unwrap().pop_front();
            if !self.act(&mut stream, act.unwrap_or_else(|| Act::Write(ok(GOOD)))).await {
                return;
            }
        }
    }

    /// Whether the connection goes on.
    async fn act(&self, stream: &mut TcpStream, act: Act) -> bool {
        match act {
            Act::Write(bytes) => stream.write_all(&bytes).await.is_ok(),
            Act::Close(bytes) => {
                stream.write_all(&bytes).await.ok();
                stream.shutdown().await.ok();
                false
            }
            Act::Reset(bytes) => {
                stream.write_all(&bytes).await.ok();
                stream.set_zero_linger().unwrap();
                false
            }
            Act::Hang(bytes) => {
                stream.write_all(&bytes).await.ok();
                stream.read_u8().await.ok();
                self.leave();
                false
            }
            Act::Wait(notify) => {
                tokio::select! {
                    () = notify.notified() => stream.write_all(&ok(GOOD)).await.is_ok(),
                    _ = stream.read_u8() => {
                        self.leave();
                        false
                    }
                }
            }
            Act::Pause(first, notify, rest) => {
                stream.write_all(&first).await.ok();
                notify.notified().await;
                stream.write_all(&rest).await.is_ok()
            }
            Act::Stream(first, piece, times) => {
                let mut went = stream.write_all(&first).await;
                for _ in 0..times {
                    if went.is_ok() {
                        went = stream.write_all(&piece).await;
                    }
                }
                if went.is_err() {
                    self.leave();
                }
                stream.shutdown().await.ok();
                false
            }
        }
    }

    fn leave(&self) {
        *self.state.left.lock().unwrap() += 1;
        self.state.changed.notify_waiters();
    }
}

/// Reads one request with `Content-Length`.
async fn request(stream: &mut TcpStream) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().to_owned())
        })
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { head, body: String::from_utf8(body).unwrap() })
}

/// A 200 with this body.
pub fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    reply("200 OK", "", body)
}

/// A whole reply. `fields` end with `\r\n`.
pub fn reply(status: &str, fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let mut reply = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n").into_bytes();
    reply.extend_from_slice(body);
    reply
}
