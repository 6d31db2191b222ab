//! Figures of closed loops: of one run, as a table of medians, and all of them as JSON.

use crate::{
    figures::{Latencies, median, mib, micros},
    upstream::Answer,
};
use serde_json::{Value, json};
use std::{
    fmt::{self, Write},
    time::Duration,
};

/// What one contender did in one run.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    pub(crate) contender: String,
    pub(crate) answer: Answer,
    pub(crate) connections: u32,
    /// Of good answers.
    pub(crate) latencies: Latencies,
    pub(crate) failed: u32,
    pub(crate) per_second: f64,
    /// Of CPU time, for a thousand requests.
    pub(crate) cost: Duration,
    /// Resident when the run was over, in bytes.
    pub(crate) memory: u64,
}

impl Measure {
    /// How many calls were not answered as they should be.
    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { contender, connections, per_second, latencies, failed, .. } = self;
        let (answer, p50, p99) = (self.answer.name(), micros(latencies.p50()), micros(latencies.p99()));
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

/// The medians of all rounds, and how they stand to nginx's of the same round (1.00).
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
    let mut contenders: Vec<&str> = Vec::new();
    for run in runs {
        if !contenders.contains(&run.contender.as_str()) {
            contenders.push(&run.contender);
        }
    }
    writeln!(table, "\n{} answers, {connections} connections", answer.name())?;
    writeln!(
        table,
        "{:<12} {:>10} {:>6} {:>9} {:>6} {:>9} {:>9} {:>11} {:>6} {:>9}",
        "", "requests/s", "ratio", "p50 µs", "ratio", "p99 µs", "p99.9 µs", "CPU s/1000", "ratio", "MiB"
    )?;
    let figures: [fn(&Measure) -> f64; 6] = [
        |run| run.per_second,
        |run| micros(run.latencies.p50()),
        |run| micros(run.latencies.p99()),
        |run| micros(run.latencies.p999()),
        |run| run.cost.as_secs_f64(),
        |run| mib(run.memory),
    ];
    // By round.
    let rounds = |contender: &str| {
        figures.map(|figure| -> Vec<f64> {
            runs.iter().filter(|run| run.contender == contender).map(|run| figure(run)).collect()
        })
    };
    let [speeds1, p50s1, _, _, costs1, _] = rounds("nginx");
    for contender in contenders {
        let [speeds, p50s, p99s, p999s, costs, memories] = rounds(contender);
        let (speed_ratio, p50_ratio, cost_ratio) =
            (paired(&speeds, &speeds1), paired(&p50s, &p50s1), paired(&costs, &costs1));
        let [speed, p50, p99, p999, cost, memory] = [speeds, p50s, p99s, p999s, costs, memories].map(median);
        write!(
            table,
            "{contender:<12} {speed:>10.0} {speed_ratio:>6} {p50:>9.0} {p50_ratio:>6} {p99:>9.0} {p999:>9.0}",
        )?;
        // The upstream runs in this process, where its part cannot be told from the load's.
        match cost > 0.0 {
            true => writeln!(table, " {cost:>11.4} {cost_ratio:>6} {memory:>9.1}")?,
            false => writeln!(table, " {:>11} {:>6} {:>9}", "-", "-", "-")?,
        }
    }
    Ok(())
}

/// The median of the rounds' own ratios: what else a machine did in a round met both.
fn paired(figures: &[f64], of: &[f64]) -> String {
    let ratios: Vec<f64> =
        figures.iter().zip(of).filter(|(_, of)| **of > 0.0).map(|(figure, of)| figure / of).collect();
    if ratios.is_empty() { "-".to_owned() } else { format!("{:.2}", median(ratios)) }
}

/// Every run by itself.
pub(crate) fn json(measures: &[Measure]) -> Value {
    let one = |measure: &Measure| {
        json!({
            "contender": measure.contender,
            "answer": measure.answer.name(),
            "connections": measure.connections,
            "failed": measure.failed,
            "requests_per_second": measure.per_second,
            "latency": measure.latencies.json(),
            "cpu_seconds_per_1000": measure.cost.as_secs_f64(),
            "resident_bytes": measure.memory,
        })
    };
    measures.iter().map(one).collect()
}
