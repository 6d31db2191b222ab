//! An upstream that costs next to nothing: it reads a request and gives the same answer each time.

mod secure;

use crate::{Failure, request};
use flate2::{Compression, write::GzEncoder};
use std::{
    io,
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};
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
    /// 30 KB as real APIs give them: compressed, in chunks.
    Gzip,
    /// 300 bytes over TLS, with HTTP/1.1.
    Tls,
    /// 300 bytes over TLS, with HTTP/2.
    H2,
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
    /// Those that are given without TLS.
    const PLAIN: [Self; 6] = [Self::Small, Self::Large, Self::Gzip, Self::Late, Self::Huge, Self::Paced];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
            Self::Gzip => "gzip",
            Self::Tls => "tls",
            Self::H2 => "h2",
            Self::Late => "late",
            Self::Huge => "huge",
            Self::Paced => "paced",
        }
    }

    fn nodes(self) -> u32 {
        match self {
            Self::Small | Self::Tls | Self::H2 | Self::Late => 4,
            Self::Large | Self::Gzip => 434,
            Self::Huge | Self::Paced => 440_000,
        }
    }
}

/// The body of an answer: builds of a pipeline.
pub(crate) fn body(answer: Answer) -> String {
    let node = |at: u32| {
        format!(r#"{{"node":{{"url":"https://ci.example.test/acme/web/builds/{:05}"}}}}"#, 1000 + at)
    };
    let nodes: Vec<String> = (0..answer.nodes()).map(node).collect();
    format!(r#"{{"data":{{"pipeline":{{"builds":{{"edges":[{}]}}}}}}}}"#, nodes.join(","))
}

/// An upstream on a thread of its own, until the process ends.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    /// Where it speaks TLS, with HTTP/1.1 and with HTTP/2.
    secure: [SocketAddr; 2],
    /// By whose word it is `localhost` there: a file.
    pub(crate) certificate: PathBuf,
}

impl Upstream {
    /// Opens at this address, and keeps its certificate in `folder`.
    pub(crate) fn open(address: SocketAddr, folder: &Path) -> Result<Self, Failure> {
        let certificate = folder.join("upstream.pem");
        let [tls, http2] = secure::acceptors(&certificate)?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let [(plain, address), (first, tls_at), (second, http2_at)] =
            [listen(address)?, listen(any)?, listen(any)?];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::try_join!(serve(plain), secure::serve(first, tls), secure::serve(second, http2))
            })
        });
        Ok(Self { address, secure: [tls_at, http2_at], certificate })
    }

    /// Where this answer is given.
    pub(crate) fn url(&self, answer: Answer) -> String {
        let [tls, http2] = self.secure.map(|address| address.port());
        match answer {
            Answer::Tls => format!("https://localhost:{tls}/"),
            Answer::H2 => format!("https://localhost:{http2}/"),
            plain => format!("http://{}/{}", self.address, plain.name()),
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<(StdListener, SocketAddr)> {
    let listener = StdListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Answers, each with the whole of it.
type Answers = Arc<Vec<(Answer, Vec<u8>)>>;

async fn serve(listener: StdListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let answers: Answers = Arc::new(Answer::PLAIN.into_iter().map(prepared).collect::<io::Result<_>>()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answers = Arc::clone(&answers);
        // A connection that breaks is the other side's to tell.
        tokio::spawn(async move { converse(stream, answers).await.ok() });
    }
}

fn prepared(answer: Answer) -> io::Result<(Answer, Vec<u8>)> {
    let body = body(answer);
    let mut whole = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n".to_vec();
    if answer == Answer::Gzip {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body.as_bytes())?;
        let body = encoder.finish()?;
        write!(whole, "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len())?;
        whole.extend([&*body, b"\r\n0\r\n\r\n"].concat());
    } else {
        write!(whole, "Content-Length: {}\r\n\r\n{body}", body.len())?;
    }
    Ok((answer, whole))
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
            Some((answer, whole)) if allowed => say(&mut stream, *answer, whole).await?,
            _ => stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await?,
        }
        read.drain(..length);
    }
}

async fn say(stream: &mut TcpStream, answer: Answer, whole: &[u8]) -> io::Result<()> {
    match answer {
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
        _ => stream.write_all(whole).await,
    }
}
