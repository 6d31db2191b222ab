//! Figures: of one run, as a table of medians, and all of them as JSON.

use crate::upstream::Answer;
use serde_json::{Value, json};
use std::{
    fmt::{self, Write},
    time::Duration,
};

/// What one contender did in one run.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    contender: &'static str,
    answer: Answer,
    connections: u32,
    requests: u32,
    failed: u32,
    per_second: f64,
    p50: Duration,
    p99: Duration,
    /// Of CPU time, for a thousand requests.
    cost: Duration,
}

impl Measure {
    pub(crate) fn new(
        contender: &'static str,
        answer: Answer,
        connections: u32,
        mut latencies: Vec<Duration>,
        took: Duration,
        spent: Duration,
        failed: u32,
    ) -> Self {
        latencies.sort_unstable();
        let requests = u32::try_from(latencies.len()).unwrap_or(u32::MAX);
        let quantile = |percent: usize| latencies.get(latencies.len() * percent / 100).copied();
        Self {
            contender,
            answer,
            connections,
            requests,
            failed,
            per_second: f64::from(requests) / took.as_secs_f64(),
            p50: quantile(50).unwrap_or_default(),
            p99: quantile(99).unwrap_or_default(),
            cost: (spent * 1000).checked_div(requests + failed).unwrap_or_default(),
        }
    }

    /// How many calls were not answered as they should be.
    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { contender, connections, per_second, failed, .. } = self;
        let (answer, p50, p99) = (self.answer.name(), micros(self.p50), micros(self.p99));
        let cost = self.cost.as_secs_f64();
        write!(
            f,
            "{contender:<12} {answer:<5} {connections:>3} connections {per_second:>8.0}/s  p50 {p50:>7.0} µs  \
             p99 {p99:>7.0} µs  {cost:.4} CPU s/1000"
        )?;
        if *failed > 0 {
            write!(f, "  {failed} FAILED")?;
        }
        Ok(())
    }
}

/// The medians of all rounds, and how they stand to nginx's (1.00).
pub(crate) fn table(measures: &[Measure]) -> String {
    let mut table = String::new();
    let mut seen: Vec<(Answer, u32)> = Vec::new();
    for measure in measures {
        let group = (measure.answer, measure.connections);
        if !seen.contains(&group) {
            seen.push(group);
            let runs: Vec<&Measure> =
                measures.iter().filter(|other| (other.answer, other.connections) == group).collect();
            // Writing to a string does not fail.
            let _written = section(&mut table, group, &runs);
        }
    }
    table
}

fn section(table: &mut String, (answer, connections): (Answer, u32), runs: &[&Measure]) -> fmt::Result {
    let mut contenders: Vec<&'static str> = Vec::new();
    for run in runs {
        if !contenders.contains(&run.contender) {
            contenders.push(run.contender);
        }
    }
    let median_of = |contender: &str, figure: fn(&Measure) -> f64| {
        median(runs.iter().filter(|run| run.contender == contender).map(|run| figure(run)).collect())
    };
    writeln!(table, "\n{} answers, {connections} connections", answer.name())?;
    writeln!(
        table,
        "{:<12} {:>10} {:>6} {:>9} {:>6} {:>9} {:>11} {:>6}",
        "", "requests/s", "ratio", "p50 µs", "ratio", "p99 µs", "CPU s/1000", "ratio"
    )?;
    for contender in contenders {
        let figures: [fn(&Measure) -> f64; 4] = [
            |run| run.per_second,
            |run| micros(run.p50),
            |run| micros(run.p99),
            |run| run.cost.as_secs_f64(),
        ];
        let [speed, p50, p99, cost] = figures.map(|figure| median_of(contender, figure));
        let [speed1, p501, _, cost1] = figures.map(|figure| median_of("nginx", figure));
        let (speed_ratio, p50_ratio, cost_ratio) =
            (ratio(speed, speed1), ratio(p50, p501), ratio(cost, cost1));
        writeln!(
            table,
            "{contender:<12} {speed:>10.0} {speed_ratio:>6} {p50:>9.0} {p50_ratio:>6} {p99:>9.0} {cost:>11.4} {cost_ratio:>6}"
        )?;
    }
    Ok(())
}

/// Every run by itself.
pub(crate) fn json(measures: &[Measure]) -> Value {
    let one = |measure: &Measure| {
        json!({
            "contender": measure.contender,
            "answer": measure.answer.name(),
            "connections": measure.connections,
            "requests": measure.requests,
            "failed": measure.failed,
            "requests_per_second": measure.per_second,
            "p50_us": micros(measure.p50),
            "p99_us": micros(measure.p99),
            "cpu_seconds_per_1000": measure.cost.as_secs_f64(),
        })
    };
    measures.iter().map(one).collect()
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn ratio(figure: f64, of: f64) -> String {
    if of > 0.0 { format!("{:.2}", figure / of) } else { String::from("-") }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
