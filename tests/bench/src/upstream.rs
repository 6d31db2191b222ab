//! An upstream that costs next to nothing: it reads a request and gives the same answer each time.

use crate::request;
use std::{fmt::Write, io, net::SocketAddr, sync::Arc, thread, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// What the house must send and callers must not see.
pub(crate) const CREDENTIAL: &str = "upstream-credential-0123456789abcdef";

/// Which answer it gives, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Answer {
    /// 300 bytes.
    Small,
    /// 30 KB.
    Large,
    /// 300 bytes, as late as a real API gives them.
    #[value(skip)]
    Late,
    /// 30 MB, as fast as they are taken.
    #[value(skip)]
    Huge,
    /// 30 MB, a megabyte at a time.
    #[value(skip)]
    Paced,
}

/// How late the late answer is.
pub(crate) const DELAY: Duration = Duration::from_millis(50);
/// How much of a paced answer is written at once, and how long it takes to the next.
const STEP: (usize, Duration) = (1 << 20, Duration::from_millis(100));

impl Answer {
    const ALL: [Self; 5] = [Self::Small, Self::Large, Self::Late, Self::Huge, Self::Paced];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
            Self::Late => "late",
            Self::Huge => "huge",
            Self::Paced => "paced",
        }
    }

    fn nodes(self) -> u32 {
        match self {
            Self::Small | Self::Late => 4,
            Self::Large => 434,
            Self::Huge | Self::Paced => 440_000,
        }
    }
}

/// The body of an answer: builds of a pipeline.
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
    /// Opens at this address.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || runtime.block_on(serve(listener)));
        Ok(Self { address })
    }
}

/// Answers, each with the whole of it.
type Answers = Arc<Vec<(Answer, String)>>;

async fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let answers: Answers = Arc::new(Answer::ALL.map(prepared).into());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answers = Arc::clone(&answers);
        // A connection that breaks is the other side's to tell.
        tokio::spawn(async move { converse(stream, answers).await.ok() });
    }
}

fn prepared(answer: Answer) -> (Answer, String) {
    let body = body(answer);
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
    (answer, head + &body)
}

/// The name of the answer that a request is for; what is asked besides does not matter.
fn wanted(head: &[u8]) -> Option<&[u8]> {
    let path = head.strip_prefix(b"POST /")?;
    path.split(|byte| matches!(byte, b' ' | b'?')).next()
}

async fn converse(mut stream: TcpStream, answers: Answers) -> io::Result<()> {
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
        let name = wanted(head);
        let known = answers.iter().find(|(answer, _)| name == Some(answer.name().as_bytes()));
        match known {
            Some((answer, whole)) if allowed => say(&mut stream, *answer, whole.as_bytes()).await?,
            _ => stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await?,
        }
        read.drain(..length);
    }
}

async fn say(stream: &mut TcpStream, answer: Answer, whole: &[u8]) -> io::Result<()> {
    match answer {
        Answer::Small | Answer::Large | Answer::Huge => stream.write_all(whole).await,
        Answer::Late => {
            sleep(DELAY).await;
            stream.write_all(whole).await
        }
        Answer::Paced => {
            let (size, pause) = STEP;
            for step in whole.chunks(size) {
                stream.write_all(step).await?;
                sleep(pause).await;
            }
            Ok(())
        }
    }
}
