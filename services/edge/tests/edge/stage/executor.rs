//! An executor that does as it is told and remembers.

use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};
use model::Fault;
use proto::{Answer, Call, Execute};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

type Run = Arc<dyn Fn(Call) -> BoxFuture<'static, Result<Answer, Fault>> + Send + Sync>;

/// An executor that does as it is told.
#[derive(Clone)]
pub(crate) struct Executor(Arc<ExecutorInner>);

struct ExecutorInner {
    run: Mutex<Run>,
    calls: Mutex<Vec<Call>>,
}

/// An upstream's answer.
pub(crate) fn answer(status: u16, body: &'static str) -> Answer {
    Answer {
        status,
        ignored_variables: Vec::new(),
        body: proto::Body::Whole(Bytes::from_static(body.as_bytes())),
    }
}

impl Executor {
    pub(super) fn new() -> Self {
        let run: Run = Arc::new(|_| Box::pin(ready(Ok(answer(200, r#"{"data":{"ok":1}}"#)))));
        Self(Arc::new(ExecutorInner { run: Mutex::new(run), calls: Mutex::default() }))
    }

    pub(crate) fn on_call<F, T>(&self, run: F)
    where
        F: Fn(Call) -> T + Send + Sync + 'static,
        T: Future<Output = Result<Answer, Fault>> + Send + 'static,
    {
        *self.0.run.lock().unwrap() = Arc::new(move |call| Box::pin(run(call)));
    }

    pub(crate) fn fail(&self, fault: impl Fn() -> Fault + Send + Sync + 'static) {
        self.on_call(move |_| ready(Err(fault())));
    }

    /// From now on calls do not end; the receiver tells when the first of them is dropped.
    pub(crate) fn hang(&self) -> oneshot::Receiver<()> {
        struct Told(Option<oneshot::Sender<()>>);
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = self.0.take().map(|sender| sender.send(()));
            }
        }
        let (sender, dropped) = oneshot::channel();
        let first = Mutex::new(Some(sender));
        self.on_call(move |_| {
            let told = Told(first.lock().unwrap().take());
            async move {
                let _told = told;
                std::future::pending().await
            }
        });
        dropped
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.0.calls.lock().unwrap().clone()
    }
}

impl Execute for Executor {
    fn execute(&self, call: Call) -> BoxFuture<'static, Result<Answer, Fault>> {
        self.0.calls.lock().unwrap().push(call.clone());
        let run = Arc::clone(&*self.0.run.lock().unwrap());
        run(call)
    }
}
