//! The end of a process: one signal to stop taking on work, a second to stop at once.

use std::process;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// Starts the shutdown.
#[derive(Debug)]
pub(crate) struct Trigger(watch::Sender<bool>);

/// Tells everybody who holds one that the shutdown has begun.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

/// The signals that ask a process to end.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Trigger {
    /// A shutdown that has not begun.
    pub(crate) fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Shutdown(receiver))
    }

    /// Begins it.
    pub(crate) fn begin(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Completes when the shutdown begins, or whoever could begin it is gone.
    pub(crate) async fn begun(mut self) {
        let _gone = self.0.wait_for(|begun| *begun).await;
    }

    /// Whether it has begun.
    pub(crate) fn has_begun(&self) -> bool {
        *self.0.borrow()
    }
}

impl Signals {
    /// Takes SIGTERM and SIGINT from now on.
    ///
    /// # Errors
    ///
    /// When the system does not let it.
    pub(crate) fn take() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Completes with the next signal.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Ends the process at once with the next signal.
    pub(crate) async fn end_at_next(mut self) {
        self.next().await;
        tracing::warn!("second signal: calls in flight are cut");
        process::exit(1);
    }
}
