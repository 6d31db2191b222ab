//! `--allocations`: how often a call asks for memory, and for how much; a counting build of portals tells.

use crate::{
    Failure, Findings,
    contender::{Contender, Kind},
    load::{self, Target},
    options::Options,
    shapes::{Limits, Shapes},
    upstream::Answer,
};
use house::Client;
use http::Method;
use serde_json::{Value, json};
use std::fmt::Write;

const KINDS: [Kind; 3] = [Kind::Up, Kind::SplitTcp, Kind::SplitUnix];
const CONNECTIONS: u32 = 16;

/// What a process has asked for so far.
#[derive(Clone, Copy)]
struct Asked {
    times: f64,
    bytes: f64,
}

pub(crate) async fn measure(options: &Options, shapes: &Shapes<'_>) -> Result<Findings, Failure> {
    let mut text =
        format!("\n{:<12} {:<6} {:<10} {:>17} {:>13}\n", "", "", "", "allocations/call", "bytes/call");
    let (mut figures, mut failed) = (Vec::new(), 0);
    for kind in options.kinds(&KINDS) {
        let Some(mut house) = shapes.open(kind, Limits::default()).await? else { continue };
        shapes.furnish(&mut house, &options.answers).await?;
        for answer in &options.answers {
            let (found, amiss) = one(&house, *answer, options).await?;
            failed += amiss;
            for (role, Asked { times, bytes }) in found {
                let (house, answer) = (&house.name, answer.name());
                // Writing to a string does not fail.
                let _written =
                    writeln!(text, "{house:<12} {answer:<6} {role:<10} {times:>17.1} {bytes:>13.0}");
                figures.push(json!({
                    "contender": house, "answer": answer, "process": role,
                    "allocations_per_call": times, "bytes_per_call": bytes,
                }));
            }
        }
        house.close().await;
    }
    Ok(Findings { text, figures: Value::Array(figures), failed })
}

/// What each process of a house asks for in a call, and how many calls were not answered as they should be.
async fn one(
    house: &Contender,
    answer: Answer,
    options: &Options,
) -> Result<(Vec<(&'static str, Asked)>, u32), Failure> {
    let requests = house.requests(answer).ok_or("the house was furnished with it")?;
    let target = Target { address: house.address, requests };
    load::closed(&target, CONNECTIONS, options.duration() / 5).await?;
    let before = asked(house).await?;
    let run = load::closed(&target, CONNECTIONS, options.duration()).await?;
    let after = asked(house).await?;
    let answered = u32::try_from(run.latencies.len()).unwrap_or(u32::MAX);
    let calls = f64::from(answered.max(1));
    let found = before.into_iter().zip(after).map(|((role, before), (_, after))| {
        let per_call = |after: f64, before: f64| (after - before) / calls;
        let times = per_call(after.times, before.times);
        (role, Asked { times, bytes: per_call(after.bytes, before.bytes) })
    });
    Ok((found.collect(), run.failed + u32::try_from(run.refused.len()).unwrap_or(u32::MAX)))
}

async fn asked(house: &Contender) -> Result<Vec<(&'static str, Asked)>, Failure> {
    let client = Client::default();
    let mut all = Vec::new();
    for part in &house.parts {
        let url = format!("http://{}/metrics", part.process.address("ops").await);
        let reply = client.send(Method::GET, &url, &[], "").await?;
        let metrics = String::from_utf8_lossy(&reply.body);
        let counted = |name: &str| {
            let of = |line: &str| line.strip_prefix(name)?.trim().parse::<f64>().ok();
            let none = "the binary does not count: build it with `--features portals/count-allocations`";
            metrics.lines().find_map(of).ok_or(none)
        };
        let (times, bytes) =
            (counted("portals_allocations_total ")?, counted("portals_allocated_bytes_total ")?);
        all.push((part.role, Asked { times, bytes }));
    }
    Ok(all)
}
