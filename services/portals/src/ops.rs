//! The operations address: does the process live, can it serve, what has it counted.

use crate::{exit::Failure, host::Shutdown};
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use futures_util::future::BoxFuture;
use http::header;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{sync::Arc, time::Duration};
use tokio::time::{self, MissedTickBehavior};

/// How long a room may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often counted values are put in order.
const UPKEEP: Duration = Duration::from_secs(5);
/// Bounds of histograms of seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

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

/// Begins to count: everything that the rooms count is shown at `/metrics`.
pub(crate) fn metrics() -> Result<PrometheusHandle, Failure> {
    let cannot = |error| Failure::internal(format!("starting the metrics: {error}"));
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(cannot)
}

/// Puts counted values in order, for ever.
pub(crate) async fn upkeep(metrics: PrometheusHandle) {
    let mut each = time::interval(UPKEEP);
    each.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        each.tick().await;
        metrics.run_upkeep();
    }
}

/// `/healthz`, `/readyz` and `/metrics`.
pub(crate) fn router(readiness: Readiness, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(render).with_state(metrics))
}

async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    match readiness.ready().await {
        Ok(remarks) => {
            let remarks: String = remarks.iter().map(|remark| format!("{remark}\n")).collect();
            (StatusCode::OK, format!("ready\n{remarks}"))
        }
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn render(State(metrics): State<PrometheusHandle>) -> impl IntoResponse {
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
        let answer = readyz(State(Readiness::new(checks, shutdown))).await.into_response();
        let (head, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, 1_024).await.unwrap();
        (head.status, String::from_utf8(body.to_vec()).unwrap())
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
