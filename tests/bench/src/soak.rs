//! `--minutes`: half load for a long time, and what grows with it.

use crate::{
    Failure, Findings, closed,
    contender::{Contender, Kind},
    cost,
    figures::{Latencies, mib, micros, slope},
    load::{self, Run, Schedule, Target},
    options::Options,
    shapes::{Limits, Shapes},
    upstream::Answer,
};
use serde_json::{Value, json};
use std::{
    fmt::{self, Write},
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval};

const KINDS: [Kind; 2] = [Kind::Up, Kind::SplitUnix];
const CONNECTIONS: u32 = 64;
/// Latencies are compared by tenths of the time; each tenth opens its connections anew.
const TENTHS: u32 = 10;
/// What is held in the first tenths is still growing into its size.
const WARM_UP: u32 = 2;
const SAMPLE: Duration = Duration::from_secs(10);

/// What one process held at a time.
struct Sample {
    role: &'static str,
    at: Duration,
    bytes: u64,
    warm: bool,
}

struct Measure {
    contender: String,
    rate: f64,
    tenths: Vec<Latencies>,
    samples: Vec<Sample>,
    failed: u32,
    unsent: u32,
}

pub(crate) async fn measure(
    options: &Options,
    minutes: u32,
    shapes: &Shapes<'_>,
) -> Result<Findings, Failure> {
    let time = if options.smoke { options.duration() } else { Duration::from_secs(60) * minutes };
    let mut measures = Vec::new();
    for kind in options.kinds(&KINDS) {
        let Some(mut house) = shapes.open(kind, Limits::default()).await? else { continue };
        shapes.furnish(&mut house, &[Answer::Small]).await?;
        eprintln!("soaking {} for {} s", house.name, time.as_secs());
        measures.push(one(&house, time, options).await?);
        house.close().await;
    }
    let mut text = String::new();
    for measure in &measures {
        // Writing to a string does not fail.
        let _written = section(&mut text, measure);
    }
    let failed = measures.iter().map(|measure| measure.failed).sum();
    Ok(Findings { text, figures: measures.iter().map(json).collect(), failed })
}

async fn one(house: &Contender, time: Duration, options: &Options) -> Result<Measure, Failure> {
    let saturated = closed::one(house, Answer::Small, CONNECTIONS, options).await?;
    let rate = saturated.ok_or("a house gives small answers")?.per_second / 2.0;
    let requests = house.requests(Answer::Small).ok_or("a house gives small answers")?;
    let target = Target { address: house.address, requests };
    let mut measure = Measure {
        contender: house.name.clone(),
        rate,
        tenths: Vec::new(),
        samples: Vec::new(),
        failed: 0,
        unsent: 0,
    };
    let began = Instant::now();
    let mut tick = interval(SAMPLE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tenth in 0..TENTHS {
        let calls = load::open(&target, CONNECTIONS, Schedule::patient(rate, time / TENTHS));
        tokio::pin!(calls);
        let Run { latencies, refused, failed, unsent, .. } = loop {
            tokio::select! {
                run = &mut calls => break run?,
                _ = tick.tick() => sample(house, began.elapsed(), tenth >= WARM_UP, &mut measure.samples)?,
            }
        };
        measure.tenths.push(latencies.into());
        measure.failed += failed + u32::try_from(refused.len()).unwrap_or(u32::MAX);
        measure.unsent += unsent;
    }
    sample(house, began.elapsed(), true, &mut measure.samples)?;
    Ok(measure)
}

fn sample(house: &Contender, at: Duration, warm: bool, samples: &mut Vec<Sample>) -> Result<(), Failure> {
    for part in &house.parts {
        let bytes = cost::memory(&[part.process.id()])?;
        samples.push(Sample { role: part.role, at, bytes, warm });
    }
    Ok(())
}

/// What each process held first and last once it was warm, and how much it grew by in an hour, in MiB.
fn growths(samples: &[Sample]) -> Vec<(&'static str, f64, f64, f64)> {
    let mut roles: Vec<&'static str> = Vec::new();
    for sample in samples {
        if !roles.contains(&sample.role) {
            roles.push(sample.role);
        }
    }
    let growth = |role: &'static str| {
        let own = samples.iter().filter(|sample| sample.role == role && sample.warm);
        let points: Vec<(f64, f64)> =
            own.map(|sample| (sample.at.as_secs_f64() / 3600.0, mib(sample.bytes))).collect();
        let end = |point: Option<&(f64, f64)>| point.map_or(0.0, |(_, held)| *held);
        (role, end(points.first()), end(points.last()), slope(&points))
    };
    roles.into_iter().map(growth).collect()
}

fn section(text: &mut String, measure: &Measure) -> fmt::Result {
    let Measure { contender, rate, tenths, samples, failed, unsent } = measure;
    let minutes = samples.last().map_or(0.0, |sample| sample.at.as_secs_f64() / 60.0);
    writeln!(
        text,
        "\n{contender}, {rate:.0} calls due a second (half of its closed loop's) for {minutes:.1} minutes"
    )?;
    for (role, first, last, slope) in growths(samples) {
        writeln!(
            text,
            "{role:<10} {first:>7.1} MiB when warm, {last:>7.1} MiB at the end, {slope:>+7.2} MiB an hour"
        )?;
    }
    for (which, tenth) in [("first", tenths.first()), ("last", tenths.last())] {
        let Some(tenth) = tenth else { continue };
        let [p50, p99, p999] = [tenth.p50(), tenth.p99(), tenth.p999()].map(micros);
        writeln!(text, "{which:<5} tenth: p50 {p50:.0} µs, p99 {p99:.0} µs, p99.9 {p999:.0} µs")?;
    }
    writeln!(text, "{failed} failed, {unsent} unsent")
}

fn json(measure: &Measure) -> Value {
    let sample = |sample: &Sample| json!({"process": sample.role, "seconds": sample.at.as_secs_f64(), "resident_bytes": sample.bytes});
    let growth = |(role, _, _, slope): (&str, f64, f64, f64)| json!({"process": role, "mib_per_hour": slope});
    json!({
        "contender": measure.contender, "due_per_second": measure.rate,
        "tenths": measure.tenths.iter().map(Latencies::json).collect::<Value>(),
        "samples": measure.samples.iter().map(sample).collect::<Value>(),
        "growth": growths(&measure.samples).into_iter().map(growth).collect::<Value>(),
        "failed": measure.failed, "unsent": measure.unsent,
    })
}
