//! What is counted. No label holds a text of a caller's choosing.

use metrics::{Counter, Gauge, Histogram};
use std::{fmt, time::Duration};

/// Handles of what is counted for every call, made once.
pub(crate) struct Metrics {
    succeeded: Counter,
    seconds: Histogram,
    hits: Counter,
    misses: Counter,
    lease: Gauge,
}

impl Metrics {
    /// Registers with the recorder that the process has by now.
    pub(crate) fn new() -> Self {
        Self {
            succeeded: metrics::counter!("portals_invocations_total", "status" => "200", "code" => "OK"),
            seconds: metrics::histogram!("portals_invocation_seconds"),
            hits: metrics::counter!("portals_edge_grant_lookups_total", "outcome" => "hit"),
            misses: metrics::counter!("portals_edge_grant_lookups_total", "outcome" => "miss"),
            lease: metrics::gauge!("portals_edge_lease"),
        }
    }

    /// Counts an invocation; `code` is a reason of the contract, or nothing for an upstream's answer.
    pub(crate) fn invocation(&self, status: http::StatusCode, code: Option<&'static str>, elapsed: Duration) {
        self.seconds.record(elapsed);
        match (status, code) {
            (http::StatusCode::OK, None) => self.succeeded.increment(1),
            (status, code) => {
                let (status, code) = (status.as_str().to_owned(), code.unwrap_or("OK"));
                metrics::counter!("portals_invocations_total", "status" => status, "code" => code)
                    .increment(1);
            }
        }
    }

    pub(crate) fn grant_hit(&self) {
        self.hits.increment(1);
    }

    pub(crate) fn grant_miss(&self) {
        self.misses.increment(1);
    }

    pub(crate) fn lease(&self, lasts: bool) {
        self.lease.set(if lasts { 1.0 } else { 0.0 });
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}
