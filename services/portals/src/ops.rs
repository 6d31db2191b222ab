//! The operations address: does the process live, can it serve, what has it counted.

mod recorder;

use crate::host::Shutdown;
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use futures_util::future::BoxFuture;
use http::header;
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::time;

pub(crate) use recorder::Metrics;

/// How long a room may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks a room whether it can serve, and what is to be said of it all the same; the reason if not.
pub(crate) type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<Option<String>, String>> + Send + Sync>;

/// Everything that must be ready for the process to be.
#[derive(Clone)]
pub(crate) struct Readiness {
    checks: Arc<Vec<(&'static str, Check)>>,
    shutdown: Shutdown,
}

impl Readiness {
    /// Ready when every check passes and the shutdown has not begun.
    pub(crate) fn new(checks: Vec<(&'static str, Check)>, shutdown: Shutdown) -> Self {
        Self { checks: Arc::new(checks), shutdown }
    }

    /// Whether the process can serve, and what is to be said of its rooms all the same; the reason if not.
    pub(crate) async fn ready(&self) -> Result<Vec<String>, String> {
        if self.shutdown.has_begun() {
            return Err("shutting down".to_owned());
        }
        let mut remarks = Vec::new();
        for (name, check) in self.checks.iter() {
            match time::timeout(PATIENCE, check()).await {
                Ok(Ok(remark)) => remarks.extend(remark.map(|remark| format!("{name}: {remark}"))),
                Ok(Err(reason)) => return Err(format!("{name}: {reason}")),
                Err(_) => return Err(format!("{name}: no answer within {} s", PATIENCE.as_secs())),
            }
        }
        Ok(remarks)
    }
}

/// What will say whether the process is ready, once it has started.
pub(crate) type Started = Arc<OnceLock<Readiness>>;

/// `/healthz`, `/readyz` and `/metrics`.
pub(crate) fn router(started: Started, metrics: Metrics) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz).with_state(started))
        .route("/metrics", get(render).with_state(metrics))
}

async fn readyz(State(started): State<Started>) -> impl IntoResponse {
    let ready = match started.get() {
        Some(readiness) => readiness.ready().await,
        None => Err("starting".to_owned()),
    };
    match ready {
        Ok(remarks) => {
            let remarks: String = remarks.iter().map(|remark| format!("{remark}\n")).collect();
            (StatusCode::OK, format!("ready\n{remarks}"))
        }
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn render(State(metrics): State<Metrics>) -> impl IntoResponse {
    #[cfg(feature = "count-allocations")]
    count_allocations();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
}

#[cfg(feature = "count-allocations")]
fn count_allocations() {
    let so_far = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let stats_alloc::Stats { allocations, reallocations, bytes_allocated, .. } =
        stats_alloc::INSTRUMENTED_SYSTEM.stats();
    metrics::counter!("portals_allocations_total").absolute(so_far(allocations + reallocations));
    metrics::counter!("portals_allocated_bytes_total").absolute(so_far(bytes_allocated));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Trigger;

    fn check(answer: Result<Option<&'static str>, &'static str>) -> Check {
        Arc::new(move || {
            let answer = answer.map(|remark| remark.map(str::to_owned)).map_err(str::to_owned);
            Box::pin(std::future::ready(answer))
        })
    }

    async fn told(checks: Vec<(&'static str, Check)>) -> (StatusCode, String) {
        let (_trigger, shutdown) = Trigger::new();
        answered(OnceLock::from(Readiness::new(checks, shutdown))).await
    }

    async fn answered(started: OnceLock<Readiness>) -> (StatusCode, String) {
        let answer = readyz(State(Arc::new(started))).await.into_response();
        let (head, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, 1_024).await.unwrap();
        (head.status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_process_that_has_not_started_says_so() {
        let starting = (StatusCode::SERVICE_UNAVAILABLE, "starting\n".to_owned());
        assert_eq!(answered(OnceLock::new()).await, starting);
    }

    #[tokio::test]
    async fn a_process_is_ready_when_all_of_its_rooms_are_and_says_what_they_say() {
        let ready = ("edge", check(Ok(None)));
        assert_eq!(told(vec![ready.clone()]).await, (StatusCode::OK, "ready\n".to_owned()));
        let busy = ("registry", check(Ok(Some("9 stored records have yet to be verified"))));
        let both = told(vec![ready.clone(), busy.clone()]).await;
        let remark = "ready\nregistry: 9 stored records have yet to be verified\n".to_owned();
        assert_eq!(both, (StatusCode::OK, remark));
        let not = ("executor", check(Err("it has no worker")));
        let reason = "executor: it has no worker\n".to_owned();
        assert_eq!(told(vec![ready, busy, not]).await, (StatusCode::SERVICE_UNAVAILABLE, reason));
    }
}
