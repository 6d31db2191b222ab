//! How long calls took, and what stands in the middle of several figures.

use serde_json::{Value, json};
use std::time::Duration;

/// How long calls took, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl From<Vec<Duration>> for Latencies {
    fn from(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self(latencies)
    }
}

impl Latencies {
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn p50(&self) -> Duration {
        self.quantile(500)
    }

    pub(crate) fn p99(&self) -> Duration {
        self.quantile(990)
    }

    pub(crate) fn p999(&self) -> Duration {
        self.quantile(999)
    }

    /// The latency that so many calls of a thousand do not exceed; zero where there was no call.
    fn quantile(&self, permille: usize) -> Duration {
        self.0.get(self.0.len() * permille / 1000).copied().unwrap_or_default()
    }

    /// The three quantiles and the largest, in microseconds.
    pub(crate) fn json(&self) -> Value {
        let most = self.0.last().copied().unwrap_or_default();
        json!({
            "count": self.count(), "p50_us": micros(self.p50()), "p99_us": micros(self.p99()),
            "p999_us": micros(self.p999()), "max_us": micros(most),
        })
    }
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A number of bytes in MiB.
pub(crate) fn mib(bytes: u64) -> f64 {
    // To the kibibyte is more than is shown.
    f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0
}

/// How a figure stands to another; `-` where there is no other.
pub(crate) fn ratio(figure: f64, of: f64) -> String {
    if of > 0.0 { format!("{:.2}", figure / of) } else { String::from("-") }
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// How much `y` grows with `x`, by least squares.
pub(crate) fn slope(points: &[(f64, f64)]) -> f64 {
    let count: f64 = points.iter().map(|_| 1.0).sum();
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let (mut both, mut square) = (0.0, 0.0);
    for point in points {
        both += (point.0 - x) * (point.1 - y);
        square += (point.0 - x) * (point.0 - x);
    }
    if square > 0.0 { both / square } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_is_sorted() {
        let latencies = Latencies::from((1..=1000).rev().map(Duration::from_micros).collect::<Vec<_>>());
        assert_eq!(latencies.p50(), Duration::from_micros(501));
        assert_eq!(latencies.p999(), Duration::from_micros(1000));
        assert_eq!(Latencies::default().p99(), Duration::ZERO);
    }

    #[test]
    fn a_line_has_its_slope() {
        let line: Vec<(f64, f64)> = [0.0, 1.0, 2.0, 5.0].map(|x| (x, 3.0 - 2.0 * x)).into();
        assert!((slope(&line) + 2.0).abs() < 1e-9);
        assert!(slope(&[(1.0, 7.0)]).abs() < 1e-9);
    }
}
