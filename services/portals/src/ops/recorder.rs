//! What the process has counted.
//!
//! Counters and gauges are the exporter's. It would keep every duration that is told, in one list for all threads, until
//! somebody puts them in order: a busy process would hold tens of megabytes of them, and its threads get in each other's
//! way. Here a duration counts at once in its bucket, of which every thread has its own.

use crate::exit::Failure;
use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

/// The bounds of the buckets, in seconds; what is longer than the last has one more.
const BOUNDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
const BUCKETS: usize = BOUNDS.len() + 1;
/// Places for the counts of threads; with more threads than that, some share one.
const PLACES: usize = 16;

/// Everything that is counted.
#[derive(Clone)]
pub(crate) struct Metrics {
    exporter: PrometheusHandle,
    durations: Arc<Durations>,
}

/// Every histogram by its name. None has labels.
#[derive(Default)]
struct Durations(Mutex<BTreeMap<String, Arc<Seconds>>>);

/// A histogram of seconds.
#[derive(Default)]
struct Seconds([Place; PLACES]);

/// What a thread has counted, in cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Place {
    counts: [AtomicU64; BUCKETS],
    /// The sum, as the bits of a number.
    sum: AtomicU64,
}

/// Takes what the rooms count.
struct Recorder {
    exporter: PrometheusRecorder,
    durations: Arc<Durations>,
}

impl Metrics {
    /// Begins to count for the process, which can be done once.
    pub(crate) fn begin() -> Result<Self, Failure> {
        let exporter = PrometheusBuilder::new().build_recorder();
        let metrics = Self { exporter: exporter.handle(), durations: Arc::default() };
        metrics::set_global_recorder(Recorder { exporter, durations: Arc::clone(&metrics.durations) })
            .map_err(|error| Failure::internal(format!("starting the metrics: {error}")))?;
        Ok(metrics)
    }

    /// All of it, in Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        let mut text = self.exporter.render();
        for (name, seconds) in &*self.durations.lock() {
            seconds.render(name, &mut text).expect("a string takes all that is written");
        }
        text
    }
}

impl Durations {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Seconds>>> {
        // Each change is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporter.describe_counter(name, unit, description);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporter.describe_gauge(name, unit, description);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporter.describe_histogram(name, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.exporter.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.exporter.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        debug_assert!(key.labels().next().is_none(), "labels of histograms are not told apart");
        let mut durations = self.durations.lock();
        Histogram::from_arc(Arc::clone(durations.entry(key.name().to_owned()).or_default()))
    }
}

impl HistogramFn for Seconds {
    fn record(&self, value: f64) {
        thread_local! {
            static PLACE: usize = {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                NEXT.fetch_add(1, Relaxed) % PLACES
            };
        }
        let Self(places) = self;
        let Some(place) = places.get(PLACE.with(|place| *place)) else { return };
        let bucket = BOUNDS.iter().filter(|bound| value > **bound).count();
        if let Some(count) = place.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        // Two threads may share the place, and then one of them comes again.
        let add = |sum| Some((f64::from_bits(sum) + value).to_bits());
        place.sum.fetch_update(Relaxed, Relaxed, add).ok();
    }
}

impl Seconds {
    fn render(&self, name: &str, text: &mut String) -> std::fmt::Result {
        let Self(places) = self;
        let mut counts = [0; BUCKETS];
        let mut sum = 0.0;
        for place in places {
            for (total, count) in counts.iter_mut().zip(&place.counts) {
                *total += count.load(Relaxed);
            }
            sum += f64::from_bits(place.sum.load(Relaxed));
        }
        writeln!(text, "# TYPE {name} histogram")?;
        let mut so_far: u64 = 0;
        let bounds = BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(counts) {
            so_far += count;
            writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {so_far}")?;
        }
        writeln!(text, "{name}_sum {sum}\n{name}_count {so_far}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn rendered(seconds: &Seconds) -> Vec<String> {
        let mut text = String::new();
        seconds.render("x_seconds", &mut text).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_duration_counts_in_every_bucket_that_it_fits_into() {
        let seconds = Seconds::default();
        for value in [0.0, 0.0005, 0.0006, 0.3, 31.0] {
            seconds.record(value);
        }
        let lines = rendered(&seconds);
        assert_eq!(lines.first().map(String::as_str), Some("# TYPE x_seconds histogram"));
        for line in [
            r#"x_seconds_bucket{le="0.0005"} 2"#,
            r#"x_seconds_bucket{le="0.001"} 3"#,
            r#"x_seconds_bucket{le="0.25"} 3"#,
            r#"x_seconds_bucket{le="0.5"} 4"#,
            r#"x_seconds_bucket{le="30"} 4"#,
            r#"x_seconds_bucket{le="+Inf"} 5"#,
            "x_seconds_sum 31.3011",
            "x_seconds_count 5",
        ] {
            assert!(lines.iter().any(|found| found == line), "{line} in {lines:?}");
        }
    }

    #[test]
    fn what_many_threads_count_is_all_there() {
        let seconds = Seconds::default();
        thread::scope(|scope| {
            for _ in 0..2 * PLACES {
                scope.spawn(|| (0..1_000).for_each(|_| seconds.record(0.5)));
            }
        });
        let lines = rendered(&seconds);
        let calls = 2_000 * PLACES;
        assert!(lines.contains(&format!("x_seconds_count {calls}")), "{lines:?}");
        assert!(lines.contains(&format!("x_seconds_sum {}", calls / 2)), "{lines:?}");
    }

    #[test]
    fn what_the_rooms_measure_is_told_under_its_name() {
        let exporter = PrometheusBuilder::new().build_recorder();
        let metrics = Metrics { exporter: exporter.handle(), durations: Arc::default() };
        let recorder = Recorder { exporter, durations: Arc::clone(&metrics.durations) };
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("y_seconds").record(0.002);
            metrics::histogram!("y_seconds").record(0.002);
            metrics::counter!("z_total", "code" => "OK").increment(3);
        });
        let text = metrics.render();
        for line in [r#"y_seconds_bucket{le="0.0025"} 2"#, "y_seconds_count 2", r#"z_total{code="OK"} 3"#] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
