//! `--overload`: ten times the load that saturates, and what is left of it afterwards.

use crate::{
    Failure, Findings,
    contender::{Contender, Kind},
    cost,
    figures::{Latencies, millis},
    load::{self, Probe, Run, Schedule, Target},
    nginx,
    options::Options,
    shapes::{Limits, Shapes},
    upstream::Answer,
};
use serde_json::{Value, json};
use std::{
    fmt::{self, Write},
    sync::Arc,
    time::Duration,
};
use tokio::time::sleep;

/// nginx, which has no such limits, shows what so many sockets cost by themselves.
const KINDS: [Kind; 3] = [Kind::Nginx, Kind::Up, Kind::SplitUnix];
/// One that answers at once, so that processors run out first; one that takes its time, so that its turns do.
const ANSWERS: [Answer; 2] = [Answer::Small, Answer::Late];
/// How many connections saturation is looked for with: fewer than may be in flight.
const CONNECTIONS: [u32; 6] = [8, 16, 32, 64, 128, 192];
/// Who does so much of the most that can be done is saturated.
const SATURATED: f64 = 0.95;
/// So many times the rate and the connections that saturate are a flood.
const TIMES: u32 = 10;
/// And so many sockets another, of the same rate.
const CROWD: u32 = 1024;
/// What an API of some size may take on: with the defaults, 4096 and 256, most of these sockets meet no limit.
const LIMITS: Limits = Limits { calls: Some(256), calls_per_upstream: Some(128) };
const PAUSE: Duration = Duration::from_secs(2);

/// Good answers in a second, and how long they took.
struct Goodput {
    per_second: f64,
    latencies: Latencies,
}

struct Measure {
    contender: String,
    answer: Answer,
    /// The fewest connections that saturate.
    saturating: u32,
    /// With how many the most was done.
    connections: u32,
    before: Goodput,
    floods: Vec<Flood>,
}

/// Calls that are due at such a rate over so many sockets; as many wait for a free one, and the rest is never sent.
struct Flood {
    sockets: u32,
    rate: f64,
    /// From sending.
    good: Goodput,
    refused: Latencies,
    failed: u32,
    unsent: u32,
    /// How long one caller beside the flood waited for a good answer, and for being refused.
    beside: (Latencies, Latencies),
    /// Processors that were busy: with the house, and with load and upstream.
    busy: (f64, f64),
    after: Goodput,
}

pub(crate) async fn measure(options: &Options, shapes: &Shapes<'_>) -> Result<Findings, Failure> {
    let mut measures = Vec::new();
    for kind in options.kinds(&KINDS) {
        let opened = match kind {
            Kind::Nginx => nginx::open(kind, shapes.folder, shapes.upstream.address).await?,
            _ => shapes.open(kind, LIMITS).await?,
        };
        let Some(mut contender) = opened else { continue };
        if kind != Kind::Nginx {
            shapes.furnish(&mut contender, &ANSWERS).await?;
        }
        for answer in ANSWERS {
            let Some(requests) = contender.requests(answer) else { continue };
            eprintln!("flooding {}, {} answers", contender.name, answer.name());
            measures.push(one(&contender, answer, requests, options).await?);
        }
        contender.close().await;
    }
    let mut text = String::new();
    for measure in &measures {
        // Writing to a string does not fail.
        let _written = section(&mut text, measure);
    }
    let failed = measures.iter().flat_map(|measure| &measure.floods).map(|flood| flood.failed).sum();
    Ok(Findings { text, figures: measures.iter().map(json).collect(), failed })
}

async fn one(
    contender: &Contender,
    answer: Answer,
    requests: Arc<Vec<Vec<u8>>>,
    options: &Options,
) -> Result<Measure, Failure> {
    let target = Target { address: contender.address, requests };
    load::closed(&target, 64, options.duration() / 5).await?;
    let mut tried = Vec::new();
    for connections in CONNECTIONS {
        tried.push((connections, goodput(load::closed(&target, connections, options.duration()).await?)));
    }
    let most = tried.iter().map(|(_, goodput)| goodput.per_second).fold(0.0, f64::max);
    let saturated = tried.iter().find(|(_, goodput)| goodput.per_second >= most * SATURATED);
    let saturating = saturated.map_or(CROWD, |(connections, _)| *connections);
    let best = tried.into_iter().find(|(_, goodput)| goodput.per_second >= most);
    let (connections, before) = best.ok_or("something was tried")?;
    let mut floods = Vec::new();
    for sockets in [saturating * TIMES, CROWD] {
        floods.push(flood(contender, &target, (connections, most), sockets, options).await?);
    }
    Ok(Measure { contender: contender.name.clone(), answer, saturating, connections, before, floods })
}

async fn flood(
    contender: &Contender,
    target: &Target,
    (connections, most): (u32, f64),
    sockets: u32,
    options: &Options,
) -> Result<Flood, Failure> {
    let rate = most * f64::from(TIMES);
    let processes = contender.processes();
    let spent = (cost::of(&processes)?, cost::own()?);
    let probe = Probe::begin(target);
    let run = load::open(target, sockets, Schedule::flood(rate, options.duration(), sockets)).await?;
    let Run { from_sending, refused, mut failed, unsent, took, .. } = run;
    let cores =
        |now: Duration, before: Duration| now.saturating_sub(before).as_secs_f64() / took.as_secs_f64();
    let busy = (cores(cost::of(&processes)?, spent.0), cores(cost::own()?, spent.1));
    let probed = probe.end().await?;
    failed += probed.failed;
    let beside = (probed.from_sending.into(), probed.refused.into());
    sleep(PAUSE).await;
    let after = goodput(load::closed(target, connections, options.duration()).await?);
    let good = goodput(Run { latencies: from_sending, took, ..Run::default() });
    Ok(Flood { sockets, rate, good, refused: refused.into(), failed, unsent, beside, busy, after })
}

fn goodput(run: Run) -> Goodput {
    let latencies = Latencies::from(run.latencies);
    let per_second = f64::from(latencies.count()) / run.took.as_secs_f64().max(f64::EPSILON);
    Goodput { per_second, latencies }
}

fn section(text: &mut String, measure: &Measure) -> fmt::Result {
    let Measure { contender, answer, saturating, connections, before, floods } = measure;
    let upstream = match answer {
        Answer::Late => "an upstream that takes 50 ms",
        _ => "an upstream that answers at once",
    };
    let limits = (LIMITS.calls.unwrap_or_default(), LIMITS.calls_per_upstream.unwrap_or_default());
    let limits = match contender == Kind::Nginx.name() {
        true => String::from("without limits"),
        false => format!("--max-calls {} --max-calls-per-upstream {}", limits.0, limits.1),
    };
    writeln!(text, "\n{contender}, {upstream}, {limits}")?;
    let line = |text: &mut String, when: &str, goodput: &Goodput| {
        let share = goodput.per_second / before.per_second * 100.0;
        let (p50, p99) = (millis(goodput.latencies.p50()), millis(goodput.latencies.p99()));
        let per_second = goodput.per_second;
        writeln!(
            text,
            "{when:<42} {per_second:>8.0}/s good {share:>4.0} %  p50 {p50:>7.2} ms  p99 {p99:>7.2} ms"
        )
    };
    line(text, &format!("peak, closed loop, {connections} connections"), before)?;
    writeln!(text, "  saturated from {saturating} connections on")?;
    for Flood { sockets, rate, good, refused, failed, unsent, beside, busy, after } in floods {
        line(text, &format!("flood of {rate:.0}/s over {sockets} sockets"), good)?;
        let answered = good.latencies.count() + refused.count() + failed;
        let share = f64::from(refused.count()) / f64::from(answered.max(1)) * 100.0;
        let [p50, p99, p999] = [refused.p50(), refused.p99(), refused.p999()].map(millis);
        writeln!(
            text,
            "  refused: {share:.0} % of {answered} answers, p50 {p50:.2} ms  p99 {p99:.2} ms  p99.9 {p999:.2} ms; \
             {failed} failed, {unsent} never sent"
        )?;
        let (served, told) = beside;
        writeln!(
            text,
            "  a caller beside it: {} answers, p50 {:.2} ms  p99 {:.2} ms; {} refusals, p50 {:.2} ms  p99 {:.2} ms",
            served.count(),
            millis(served.p50()),
            millis(served.p99()),
            told.count(),
            millis(told.p50()),
            millis(told.p99()),
        )?;
        let (house, load) = busy;
        writeln!(text, "  processors busy: {house:.2} with it, {load:.2} with load and upstream")?;
        line(text, &format!("{} s after it, as before", PAUSE.as_secs()), after)?;
    }
    Ok(())
}

fn json(measure: &Measure) -> Value {
    let goodput =
        |goodput: &Goodput| json!({"per_second": goodput.per_second, "latency": goodput.latencies.json()});
    let flood = |flood: &Flood| {
        json!({
            "sockets": flood.sockets, "due_per_second": flood.rate, "good": goodput(&flood.good),
            "refused": flood.refused.json(), "beside_good": flood.beside.0.json(),
            "beside_refused": flood.beside.1.json(), "failed": flood.failed, "unsent": flood.unsent,
            "busy_house": flood.busy.0, "busy_load_and_upstream": flood.busy.1, "after": goodput(&flood.after),
        })
    };
    json!({
        "contender": measure.contender, "answer": measure.answer.name(),
        "max_calls": LIMITS.calls, "max_calls_per_upstream": LIMITS.calls_per_upstream,
        "saturating_connections": measure.saturating, "connections": measure.connections, "before": goodput(&measure.before),
        "floods": measure.floods.iter().map(flood).collect::<Value>(),
    })
}
