//! Threads on which actors live, beside the calls that they are asked by: on one runtime, which never hands either to
//! another thread.
//!
//! It knows neither actors nor calls.

use model::Fault;
use std::{
    cell::Cell,
    io,
    sync::{Mutex, mpsc::sync_channel},
    time::Duration,
};
use tokio::{
    runtime::{Builder, Handle, LocalOptions},
    sync::oneshot,
};
use tokio_util::task::AbortOnDropHandle;

/// A thread should start at once; one that does not is not waited for.
const START_TIMEOUT: Duration = Duration::from_secs(5);

thread_local! {
    static RUNS_ACTORS: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` to its end on a runtime of this thread's own. A call that is made on it has its actors there too and stays
/// on this thread; one that is made elsewhere runs on a thread of the executor's.
///
/// # Errors
///
/// Where there can be no runtime.
///
/// # Panics
///
/// Within another runtime, and when `work` does.
pub fn block_on<Work: Future>(work: Work) -> io::Result<Work::Output> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let _running = Running::begin();
    Ok(runtime.block_on(work))
}

/// Whether actors can live on this thread.
pub(crate) fn runs_actors() -> bool {
    RUNS_ACTORS.get()
}

/// As long as it is there, this thread runs actors.
struct Running;

impl Running {
    fn begin() -> Self {
        RUNS_ACTORS.set(true);
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNS_ACTORS.set(false);
    }
}

/// A thread of the executor's own, for callers on threads that run no actors: tests, and whoever embeds it. It is started
/// when first needed and ends with its owner.
#[derive(Default)]
pub(crate) struct Thread(Mutex<Option<Started>>);

struct Started {
    handle: Handle,
    /// Dropped, it ends the thread.
    _end: oneshot::Sender<()>,
}

#[derive(Debug, thiserror::Error)]
enum ThreadError {
    #[error("no thread can be started")]
    Spawn(#[source] io::Error),
    #[error("the executor's thread does not start")]
    Start,
    #[error("the executor's thread has ended")]
    Ended,
}

impl Thread {
    /// Runs `work` there. Dropping the future drops `work` too.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        let task = self.handle().map_err(Fault::internal)?.spawn(work);
        let outcome = AbortOnDropHandle::new(task).await;
        outcome.unwrap_or_else(|_| Err(Fault::internal(ThreadError::Ended)))
    }

    fn handle(&self) -> Result<Handle, ThreadError> {
        let mut thread = crate::gate::unpoisoned(&self.0);
        if let Some(Started { handle, .. }) = &*thread {
            return Ok(handle.clone());
        }
        let (started, starting) = sync_channel(1);
        let (end, ended) = oneshot::channel();
        let work = async move {
            // Whoever waits for it may have given up, and so has the other end.
            started.send(Handle::current()).ok();
            ended.await.unwrap_or(());
        };
        let run = move || {
            if let Err(error) = block_on(work) {
                tracing::error!(%error, "the executor's thread has no runtime");
            }
        };
        std::thread::Builder::new().name("executor".to_owned()).spawn(run).map_err(ThreadError::Spawn)?;
        let handle = starting.recv_timeout(START_TIMEOUT).map_err(|_| ThreadError::Start)?;
        Ok(thread.insert(Started { handle, _end: end }).handle.clone())
    }
}
