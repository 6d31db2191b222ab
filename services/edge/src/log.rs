//! The line of a failed call.
//!
//! A flood of refusals must not become a flood of lines, which would cost more than the refusals do.

use crate::answer;
use http::StatusCode;
use model::{Fault, Reason, fault::Chain};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How many calls that were refused for want of room have a line of their own in a second.
const LINES: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);

/// Writes the lines of failed calls.
#[derive(Debug)]
pub(crate) struct Log(Mutex<Window>);

/// A second in which calls are refused.
#[derive(Debug)]
struct Window {
    began: Instant,
    lines: u32,
    /// How many had no line, since the last that had.
    untold: u64,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Window { began: Instant::now(), lines: 0, untold: 0 }))
    }

    /// Says that a call has failed: our own failures aloud, the caller's and the upstream's as quietly as they are common.
    pub(crate) fn failed(&self, request_id: &str, fault: &Fault) {
        let (code, error) = (fault.reason().code(), Chain(fault));
        let status = answer::status(fault.reason());
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(request_id, code, error = %error, "call failed");
        } else if is_common(fault.reason()) {
            match self.turn(Instant::now()) {
                Some(0) => tracing::warn!(request_id, code, error = %error, "call failed"),
                Some(untold) => tracing::warn!(request_id, code, error = %error, untold, "call failed"),
                None => tracing::debug!(request_id, code, error = %error, "call failed"),
            }
        } else if status.is_server_error() {
            tracing::warn!(request_id, code, error = %error, "call failed");
        } else {
            tracing::debug!(request_id, code, error = %error, "call refused");
        }
    }

    /// Whether there is a line for one more, and how many before it had none.
    fn turn(&self, now: Instant) -> Option<u64> {
        // Every change is a single step.
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(window.began) >= SECOND {
            (window.began, window.lines) = (now, 0);
        }
        if window.lines >= LINES {
            window.untold += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.untold))
    }
}

/// Whether what it says of one call it says of all.
fn is_common(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Overloaded
            | Reason::RegistryUnavailable
            | Reason::ExecutorUnavailable
            | Reason::UpstreamCircuitOpen
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_has_a_few_lines_a_second_and_none_is_forgotten() {
        let log = Log::new();
        let now = Instant::now();
        let told = (0..1_000).filter_map(|_| log.turn(now)).collect::<Vec<_>>();
        assert_eq!(told, [0; 10]);
        assert_eq!(log.turn(now + SECOND), Some(990));
        assert_eq!(log.turn(now + SECOND), Some(0));
    }
}
