//! An upstream that costs next to nothing: it reads a request and gives the same answer each time.

use std::{
    fmt::Write,
    io,
    net::{Ipv4Addr, SocketAddr},
    thread,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::request;

/// What the house must send and callers must not see.
pub(crate) const CREDENTIAL: &str = "upstream-credential-0123456789abcdef";

/// Which answer it gives.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Answer {
    Small,
    Large,
}

impl Answer {
    pub(crate) const ALL: [Self; 2] = [Self::Small, Self::Large];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }

    fn nodes(self) -> u32 {
        match self {
            Self::Small => 4,
            Self::Large => 434,
        }
    }
}

/// The body of an answer: builds of a pipeline, about 300 bytes or 30 KB.
pub(crate) fn body(answer: Answer) -> String {
    let mut body = String::from(r#"{"data":{"pipeline":{"builds":{"edges":["#);
    for node in 0..answer.nodes() {
        let comma = if node == 0 { "" } else { "," };
        // Writing to a string does not fail.
        let _written = write!(
            body,
            r#"{comma}{{"node":{{"url":"https://ci.example.test/acme/web/builds/{:05}"}}}}"#,
            1000 + node
        );
    }
    body.push_str("]}}}}");
    body
}

/// An upstream on a thread of its own, until the process ends.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
}

impl Upstream {
    pub(crate) fn open() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || runtime.block_on(serve(listener)));
        Ok(Self { address })
    }
}

async fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A connection that breaks is the other side's to tell.
        tokio::spawn(async move { answer(stream).await.ok() });
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let ok = |answer| {
        let body = body(answer);
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let answers = Answer::ALL.map(|answer| (answer.name(), ok(answer)));
    let mut read = Vec::with_capacity(16 * 1024);
    loop {
        let (head, length) = loop {
            if let Some(whole) = request::measure(&read) {
                break whole;
            }
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        };
        let head = read.get(..head).unwrap_or_default();
        let allowed = memchr::memmem::find(head, CREDENTIAL.as_bytes()).is_some();
        let known = answers.iter().find(|(name, _)| head.starts_with(format!("POST /{name} ").as_bytes()));
        match known {
            Some((_, whole)) if allowed => stream.write_all(whole.as_bytes()).await?,
            _ => stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await?,
        }
        read.drain(..length);
    }
}
