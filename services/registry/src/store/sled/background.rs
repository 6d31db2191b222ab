//! What opening did not wait for, done in small pieces by a thread of its own: counting the records of lists, and
//! verifying those that have yet to be.

use super::{
    committer::{Failure, OnFailure},
    record::Damage,
    scrub::Scrub,
    view::{View, guarded},
};
use crate::store::StoreError;
use std::{
    io,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long it works before it rests.
const SLICE: Duration = Duration::from_millis(5);
/// How long it rests: with this it takes a fifth of one processor.
pub(super) const REST: Duration = Duration::from_millis(20);

/// The thread. Dropping it waits until it has left.
#[derive(Debug)]
pub(super) struct Background {
    open: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts it for the store in `path`; damage is what `on_failure` is told.
    pub(super) fn start(
        view: &Arc<View>,
        scrub: Option<Arc<Scrub>>,
        path: &Path,
        rest: Duration,
        on_failure: &Arc<OnFailure>,
    ) -> io::Result<Self> {
        let (open, closed) = sync_channel(0);
        let (view, path, on_failure) = (Arc::clone(view), path.to_owned(), Arc::clone(on_failure));
        let thread = thread::Builder::new().name("store-background".to_owned()).spawn(move || {
            if let Err(StoreError::Damaged { what }) = work(&view, scrub.as_deref(), rest, &closed) {
                on_failure(Failure::Damaged { path, what });
            }
        })?;
        Ok(Self { open: Some(open), thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.open.take());
        if let Some(thread) = self.thread.take() {
            // Whatever it ended with it has told.
            let _ended = thread.join();
        }
    }
}

fn work(view: &View, scrub: Option<&Scrub>, rest: Duration, open: &Receiver<()>) -> Result<(), StoreError> {
    if !paced(rest, open, || view.count_some())? {
        return Ok(());
    }
    let Some(scrub) = scrub else { return Ok(()) };
    let began = Instant::now();
    tracing::info!(records = scrub.left(), "records are verified while they are used");
    if paced(rest, open, || scrub.step(view))? {
        tracing::info!(seconds = began.elapsed().as_secs(), "all records are verified");
    }
    Ok(())
}

/// Does one step after the other and rests now and then, until there is no more; false if `open` was closed before.
fn paced(
    rest: Duration,
    open: &Receiver<()>,
    mut step: impl FnMut() -> Result<bool, Damage>,
) -> Result<bool, StoreError> {
    while let Err(RecvTimeoutError::Timeout) = open.recv_timeout(rest) {
        let until = Instant::now() + SLICE;
        while Instant::now() < until {
            if guarded(&mut step)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
