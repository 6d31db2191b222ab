//! The threads that serve: each a runtime with listeners of its own.

use super::{
    accept::{self, Handed},
    address::Connections,
    connection::{Peers, Room},
    listener::Bound,
    share::Share,
    shutdown::Shutdown,
};
use crate::exit::Failure;
use std::{sync::Arc, thread, time::Duration};
use tokio::{sync::mpsc, task, time};

/// Something to serve on every thread.
pub(crate) struct Station {
    /// What the log calls it: `http`, `registry`, `executor`.
    pub(crate) name: &'static str,
    /// Where.
    pub(crate) bound: Bound,
    /// For whom.
    pub(crate) peers: Peers,
    /// What, made once on each thread and its runtime, so that threads share nothing that they need not.
    pub(crate) room: Arc<dyn Fn() -> Room + Send + Sync>,
}

/// Threads at work.
pub(crate) struct Crew {
    threads: usize,
    ended: mpsc::Receiver<Result<(), String>>,
    /// Socket files, to be removed when nobody listens any more.
    _files: Vec<super::listener::SocketFile>,
}

/// How many threads serve where nothing is said: one for each core.
pub(crate) fn threads(asked: Option<u16>) -> usize {
    asked.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from)
}

impl Crew {
    /// Starts `threads` threads that serve all `stations` until `shutdown`, and then drain for at most `drain`.
    pub(crate) fn start(
        threads: usize,
        stations: Vec<Station>,
        connections: &Connections,
        shutdown: &Shutdown,
        drain: Duration,
    ) -> Result<Self, Failure> {
        let (report, ended) = mpsc::channel(threads.max(1));
        let mut files = Vec::new();
        let mut posts: Vec<Vec<_>> = (0..threads).map(|_| Vec::with_capacity(stations.len())).collect();
        for station in stations {
            tracing::info!(service = station.name, address = %station.bound.address, "listening");
            files.extend(station.bound.file);
            let shares = Share::<Handed>::among(threads);
            for ((post, socket), share) in posts.iter_mut().zip(station.bound.sockets).zip(shares) {
                post.push((socket, share, Arc::clone(&station.room), station.peers));
            }
        }
        for (number, post) in posts.into_iter().enumerate() {
            let (report, connections, shutdown) = (report.clone(), connections.clone(), shutdown.clone());
            let serve = async move {
                let serving = post.into_iter().map(|(socket, share, room, peers)| {
                    accept::serve(socket, share, room(), peers, connections.clone(), shutdown.clone())
                });
                let serving = futures_util::future::try_join_all(serving);
                let late = async {
                    shutdown.clone().begun().await;
                    time::sleep(drain).await;
                };
                tokio::select! {
                    served = serving => served.map(drop).map_err(|error| error.to_string()),
                    () = late => {
                        tracing::warn!("calls in flight were cut: they took longer than the drain timeout");
                        Ok(())
                    }
                }
            };
            let work = move || {
                let served = match executor::block_on(async { task::spawn_local(serve).await }) {
                    Ok(Ok(served)) => served,
                    Ok(Err(panicked)) => Err(panicked.to_string()),
                    Err(error) => Err(format!("it has no runtime: {error}")),
                };
                // Nobody listens when the process ends for another reason.
                let _gone = report.try_send(served);
            };
            thread::Builder::new()
                .name(format!("serve-{number}"))
                .spawn(work)
                .map_err(|error| Failure::system(format!("starting a thread: {error}")))?;
        }
        Ok(Self { threads, ended, _files: files })
    }

    /// Completes when all threads have drained, or fails when one ended otherwise.
    pub(crate) async fn ended(&mut self) -> Result<(), Failure> {
        for _ in 0..self.threads {
            match self.ended.recv().await {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    return Err(Failure::internal(format!("a serving thread failed: {error}")));
                }
                None => return Err(Failure::internal("a serving thread panicked")),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Listen, host::Trigger};
    use axum::{Router, routing::get};
    use std::{collections::BTreeMap, path::Path};
    use tokio::{
        io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
        net::{TcpStream, UnixStream},
    };

    trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

    impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

    /// Says which thread answers.
    fn room() -> Room {
        let name = || async { thread::current().name().unwrap_or_default().to_owned() };
        Room::Routes(Router::new().route("/", get(name)))
    }

    async fn open(listen: &Listen) -> Box<dyn Stream> {
        match listen {
            Listen::Tcp(address) => Box::new(TcpStream::connect(address).await.unwrap()),
            Listen::Unix(path) => Box::new(UnixStream::connect(path).await.unwrap()),
        }
    }

    async fn ask(stream: &mut dyn Stream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 1_024];
        let mut length = 0;
        while !matches!(&answer[..length], [.., b's', b'e', b'r', b'v', b'e', b'-', b'0'..=b'9']) {
            let read = stream.read(&mut answer[length..]).await.unwrap();
            assert!(read > 0, "the connection has ended");
            length += read;
        }
        String::from_utf8_lossy(&answer[..length]).lines().last().unwrap_or_default().to_owned()
    }

    async fn each_thread_serves_as_many(listen: Listen) {
        let (trigger, shutdown) = Trigger::new();
        let bound = Bound::bind(&listen, 2).unwrap();
        let listen = bound.address.clone();
        let station = Station { name: "test", bound, peers: Peers::Internal, room: Arc::new(room) };
        let connections = Connections::new(100, 0);
        let drain = Duration::from_secs(10);
        let mut crew = Crew::start(2, vec![station], &connections, &shutdown, drain).unwrap();
        let mut streams = Vec::new();
        let mut served = BTreeMap::<String, u32>::new();
        for _ in 0..16 {
            let mut stream = open(&listen).await;
            *served.entry(ask(&mut *stream).await).or_default() += 1;
            streams.push(stream);
        }
        assert_eq!(
            served.into_iter().collect::<Vec<_>>(),
            [("serve-0".to_owned(), 8), ("serve-1".to_owned(), 8)]
        );
        drop(streams);
        trigger.begin();
        crew.ended().await.unwrap();
    }

    #[tokio::test]
    async fn each_thread_serves_as_many_connections() {
        each_thread_serves_as_many(Listen::Tcp("127.0.0.1:0".parse().unwrap())).await;
        let folder = tempfile::tempdir().unwrap();
        each_thread_serves_as_many(Listen::Unix(Path::new(folder.path()).join("socket"))).await;
    }
}
