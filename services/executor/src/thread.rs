//! A thread of the executor's own, for callers on threads that run no actors: tests, and whoever embeds it.

use actix::{ArbiterHandle, System};
use model::Fault;
use std::{
    io,
    sync::{Mutex, mpsc::sync_channel},
    time::Duration,
};
use tokio::sync::oneshot;

/// A thread should start at once; one that does not is not waited for.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// A thread that is started when first needed and ends with its owner.
#[derive(Default)]
pub(crate) struct Thread(Mutex<Option<System>>);

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
        let arbiter = self.arbiter().map_err(Fault::internal)?;
        let (mut reply, outcome) = oneshot::channel();
        arbiter.spawn(async move {
            let outcome = tokio::select! {
                biased;
                () = reply.closed() => return,
                outcome = work => outcome,
            };
            // Whoever asked may have gone.
            reply.send(outcome).ok();
        });
        outcome.await.unwrap_or_else(|_| Err(Fault::internal(ThreadError::Ended)))
    }

    fn arbiter(&self) -> Result<ArbiterHandle, ThreadError> {
        let mut system = crate::gate::unpoisoned(&self.0);
        if let Some(system) = &*system {
            return Ok(system.arbiter().clone());
        }
        let (started, starting) = sync_channel(1);
        let run = move || {
            let runner = System::new();
            if started.send(System::current()).is_ok()
                && let Err(error) = runner.run()
            {
                tracing::error!(error = %error, "the executor's thread ended in error");
            }
        };
        std::thread::Builder::new().name("executor".to_owned()).spawn(run).map_err(ThreadError::Spawn)?;
        let new = starting.recv_timeout(START_TIMEOUT).map_err(|_| ThreadError::Start)?;
        Ok(system.insert(new).arbiter().clone())
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(system) = crate::gate::unpoisoned(&self.0).take() {
            system.stop();
        }
    }
}
