//! The table that is printed when no mode is asked for: calls in a closed loop.

use crate::{
    Failure, Findings,
    contender::{Contender, Kind},
    contenders::Contenders,
    cost,
    figures::Latencies,
    load::{self, Run, Target},
    options::Options,
    report::{self, Measure},
    shapes::Shapes,
    upstream::{self, Answer},
};

pub(crate) async fn measure(options: &Options, shapes: &Shapes<'_>) -> Result<Findings, Failure> {
    let contenders = Contenders::open(options, shapes, &Kind::ALL, &options.answers).await?;
    let measured = rounds(options, &contenders).await;
    contenders.close().await?;
    let measures = measured?;
    Ok(Findings {
        text: report::table(&measures),
        figures: report::json(&measures),
        failed: measures.iter().map(Measure::failed).sum(),
    })
}

async fn rounds(options: &Options, contenders: &Contenders) -> Result<Vec<Measure>, Failure> {
    let mut measures = Vec::new();
    for round in 0..options.rounds() {
        for answer in &options.answers {
            for connections in options.connections() {
                for contender in contenders.in_round(round) {
                    if let Some(measure) = one(contender, *answer, *connections, options).await? {
                        eprintln!("round {round}: {measure}");
                        measures.push(measure);
                    }
                }
            }
        }
    }
    Ok(measures)
}

/// Warms a contender up, then counts what it does and what that costs; `None` where it does not give this answer.
pub(crate) async fn one(
    contender: &Contender,
    answer: Answer,
    connections: u32,
    options: &Options,
) -> Result<Option<Measure>, Failure> {
    let Some(requests) = contender.requests(answer) else { return Ok(None) };
    let target = &Target { address: contender.address, requests };
    load::check(target, &upstream::body(answer)).await?;
    let run = |time| async move {
        match options.disable_keepalive {
            true => load::closed_anew(target, connections, time).await,
            false => load::closed(target, connections, time).await,
        }
    };
    run(options.duration() / 5).await?;
    let processes = contender.processes();
    let before = cost::of(&processes)?;
    let Run { latencies, took, failed, refused, .. } = run(options.duration()).await?;
    // What is still in the pipes when the clock stops belongs to the calls that were counted.
    let spent = cost::of(&processes)?.saturating_sub(before);
    let latencies = Latencies::from(latencies);
    let failed = failed + u32::try_from(refused.len()).unwrap_or(u32::MAX);
    Ok(Some(Measure {
        contender: contender.name.clone(),
        answer,
        connections,
        failed,
        per_second: f64::from(latencies.count()) / took.as_secs_f64(),
        cost: (spent * 1000).checked_div(latencies.count() + failed).unwrap_or_default(),
        memory: cost::memory(&processes)?,
        latencies,
    }))
}
