//! `--open`: calls that are due at fixed times, whatever became of those before.

use crate::{
    Failure, Findings, closed,
    contender::{Contender, Kind},
    contenders::Contenders,
    figures::{Latencies, median, micros, ratio},
    load::{self, Schedule, Target},
    options::{Options, Rates},
    shapes::Shapes,
    upstream::{self, Answer},
};
use serde_json::{Value, json};
use std::fmt::{self, Write};

/// How many connections calls go out on. As many saturate a contender where half of that is the rate.
const CONNECTIONS: u32 = 64;

/// What one contender did in one run.
struct Measure {
    contender: String,
    answer: Answer,
    /// The rate that was asked for; `None` for half of what saturates.
    fixed: Option<u32>,
    /// Calls due in a second.
    rate: f64,
    /// Good answers in a second.
    answered: f64,
    latencies: Latencies,
    failed: u32,
    unsent: u32,
}

pub(crate) async fn measure(
    options: &Options,
    rates: &Rates,
    shapes: &Shapes<'_>,
) -> Result<Findings, Failure> {
    let contenders = Contenders::open(options, shapes, &Kind::ALL, &options.answers).await?;
    let measured = rounds(options, rates, &contenders).await;
    contenders.close().await?;
    let measures = measured?;
    let mut text = String::new();
    for answer in &options.answers {
        for fixed in asked(rates) {
            let runs: Vec<&Measure> =
                measures.iter().filter(|run| (run.answer, run.fixed) == (*answer, fixed)).collect();
            // Writing to a string does not fail.
            let _written = section(&mut text, *answer, fixed, &runs);
        }
    }
    let failed = measures.iter().map(|measure| measure.failed).sum();
    Ok(Findings { text, figures: measures.iter().map(json).collect(), failed })
}

fn asked(rates: &Rates) -> Vec<Option<u32>> {
    match rates {
        Rates::Half => vec![None],
        Rates::Fixed(rates) => rates.iter().copied().map(Some).collect(),
    }
}

async fn rounds(options: &Options, rates: &Rates, contenders: &Contenders) -> Result<Vec<Measure>, Failure> {
    let mut measures = Vec::new();
    for round in 0..options.rounds() {
        for answer in &options.answers {
            for fixed in asked(rates) {
                for contender in contenders.in_round(round) {
                    let Some(measure) = one(contender, *answer, fixed, options).await? else { continue };
                    let Measure { contender, rate, answered, latencies, .. } = &measure;
                    let p99 = micros(latencies.p99());
                    eprintln!(
                        "round {round}: {contender:<12} {rate:>6.0}/s due, {answered:>6.0}/s, p99 {p99:.0} µs"
                    );
                    measures.push(measure);
                }
            }
        }
    }
    Ok(measures)
}

async fn one(
    contender: &Contender,
    answer: Answer,
    fixed: Option<u32>,
    options: &Options,
) -> Result<Option<Measure>, Failure> {
    let Some(requests) = contender.requests(answer) else { return Ok(None) };
    let target = Target { address: contender.address, requests };
    let rate = match fixed {
        Some(rate) => {
            load::check(&target, &upstream::body(answer)).await?;
            load::closed(&target, CONNECTIONS, options.duration() / 5).await?;
            f64::from(rate)
        }
        None => {
            let saturated = closed::one(contender, answer, CONNECTIONS, options).await?;
            saturated.map_or(0.0, |saturated| saturated.per_second / 2.0)
        }
    };
    let schedule = Schedule::patient(rate, options.duration());
    let run = load::open(&target, CONNECTIONS, schedule).await?;
    let refused = u32::try_from(run.refused.len()).unwrap_or(u32::MAX);
    let latencies = Latencies::from(run.latencies);
    Ok(Some(Measure {
        contender: contender.name.clone(),
        answer,
        fixed,
        rate,
        answered: f64::from(latencies.count()) / run.took.as_secs_f64(),
        latencies,
        failed: run.failed + refused,
        unsent: run.unsent,
    }))
}

fn section(text: &mut String, answer: Answer, fixed: Option<u32>, runs: &[&Measure]) -> fmt::Result {
    let rate = match fixed {
        Some(rate) => format!("{rate} calls due a second, the same for all"),
        None => String::from(
            "half of its own closed-loop rate for each; ratios are to nginx at half of nginx's own",
        ),
    };
    writeln!(text, "\n{} answers, open loop over {CONNECTIONS} connections: {rate}", answer.name())?;
    writeln!(
        text,
        "{:<12} {:>8} {:>10} {:>9} {:>6} {:>9} {:>6} {:>9} {:>6} {:>7}",
        "", "due/s", "answered/s", "p50 µs", "ratio", "p99 µs", "ratio", "p99.9 µs", "ratio", "unsent"
    )?;
    let mut contenders: Vec<&str> = Vec::new();
    for run in runs {
        if !contenders.contains(&run.contender.as_str()) {
            contenders.push(&run.contender);
        }
    }
    let figures: [fn(&Measure) -> f64; 6] = [
        |run| run.rate,
        |run| run.answered,
        |run| micros(run.latencies.p50()),
        |run| micros(run.latencies.p99()),
        |run| micros(run.latencies.p999()),
        |run| f64::from(run.unsent),
    ];
    let medians = |contender: &str| {
        let own = |figure: fn(&Measure) -> f64| {
            median(runs.iter().filter(|run| run.contender == contender).map(|run| figure(run)).collect())
        };
        figures.map(own)
    };
    let [_, _, p501, p991, p9991, _] = medians(Kind::Nginx.name());
    for contender in contenders {
        let [rate, answered, p50, p99, p999, unsent] = medians(contender);
        let (ratio50, ratio99, ratio999) = (ratio(p50, p501), ratio(p99, p991), ratio(p999, p9991));
        writeln!(
            text,
            "{contender:<12} {rate:>8.0} {answered:>10.0} {p50:>9.0} {ratio50:>6} {p99:>9.0} {ratio99:>6} \
             {p999:>9.0} {ratio999:>6} {unsent:>7.0}"
        )?;
    }
    Ok(())
}

fn json(measure: &Measure) -> Value {
    json!({
        "contender": measure.contender, "answer": measure.answer.name(), "connections": CONNECTIONS,
        "half_of_saturation": measure.fixed.is_none(), "due_per_second": measure.rate,
        "answered_per_second": measure.answered, "latency_from_due": measure.latencies.json(),
        "failed": measure.failed, "unsent": measure.unsent,
    })
}
