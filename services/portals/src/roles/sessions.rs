//! One session with each executor for every thread that serves, so that a call stays on the thread that reads it.

use crate::{config::Endpoint, exit::Failure, host::grpc};
use edge::session::{self, Sessions, Way};
use futures_util::future::{BoxFuture, FutureExt};
use model::{Fault, Reason};
use proto::{Answer, Call, Execute, channel};
use std::{
    cell::RefCell,
    sync::{Arc, Mutex, PoisonError},
};

thread_local! {
    /// The sessions of this thread.
    static OWN: RefCell<Option<Arc<Sessions>>> = const { RefCell::new(None) };
}

/// The sessions of all threads.
#[derive(Debug)]
pub(crate) struct PerThread {
    executors: Vec<Endpoint>,
    opened: Mutex<Vec<Arc<Sessions>>>,
}

impl PerThread {
    /// No sessions yet.
    ///
    /// # Errors
    ///
    /// When an endpoint cannot be one.
    pub(crate) fn new(executors: Vec<Endpoint>) -> Result<Self, Failure> {
        executors.iter().try_for_each(grpc::check)?;
        Ok(Self { executors, opened: Mutex::default() })
    }

    /// Opens the sessions of the thread that calls, on its runtime.
    pub(crate) fn open(&self) {
        // All endpoints were checked.
        let ways = self.executors.iter().filter_map(|endpoint| {
            let session = channel::remote(grpc::connect_session(endpoint).ok()?);
            Some(Way { session, fetches: channel::remote(grpc::connect(endpoint).ok()?) })
        });
        let sessions = Arc::new(session::connect(ways.collect(), session::Config::default()));
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&sessions));
        OWN.set(Some(sessions));
    }
}

impl Execute for PerThread {
    fn execute(&self, call: Call) -> BoxFuture<'static, Result<Answer, Fault>> {
        match OWN.with_borrow(Clone::clone) {
            Some(sessions) => sessions.execute(call),
            None => {
                let fault =
                    Fault::new(Reason::ExecutorUnavailable, "no executor can be reached at the moment");
                async { Err(fault) }.boxed()
            }
        }
    }

    fn reachable(&self) -> bool {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        !opened.is_empty() && opened.iter().all(|sessions| sessions.reachable())
    }
}
