//! `--beside`: two builds under load at the same time, so that whatever else the machine does is done to both.
//!
//! What is left between them is theirs: builds that take turns differ by a tenth for nothing.

use crate::{
    Failure, Findings,
    contender::{Contender, Kind},
    cost,
    figures::median,
    load::{self, Run, Target},
    options::Options,
    shapes::{Limits, Shapes},
    upstream::{self, Answer},
};
use serde_json::{Value, json};
use std::{fmt::Write, fs, path::Path, time::Duration};

const KINDS: [Kind; 2] = [Kind::Up, Kind::SplitUnix];

/// A house of each build, of the same shape.
struct Pair {
    house: Contender,
    beside: Contender,
}

/// One shape of both builds with one answer and so many connections each.
struct Measure {
    kind: Kind,
    answer: Answer,
    connections: u32,
    /// CPU seconds per thousand calls of each round: of the binary, and of the one beside it.
    rounds: Vec<(f64, f64)>,
    failed: u32,
}

pub(crate) async fn measure(
    options: &Options,
    beside: &Path,
    shapes: &Shapes<'_>,
) -> Result<Findings, Failure> {
    let kinds = options.kinds(&KINDS);
    let mut measures = Vec::new();
    for kind in &kinds {
        for answer in &options.answers {
            let of = |connections: &u32| Measure::new(*kind, *answer, *connections);
            measures.extend(options.connections().iter().map(of));
        }
    }
    for round in 0..options.rounds() {
        for kind in &kinds {
            // Where its memory lies makes a process dearer or cheaper for all its life, so that each round has others.
            let Some(pair) = Pair::open(*kind, options, beside, shapes, round).await? else { continue };
            for measure in measures.iter_mut().filter(|measure| measure.kind == *kind) {
                measure.round(&pair, options.duration()).await?;
                eprintln!("round {round}: {}", measure.line());
            }
            pair.house.close().await;
            pair.beside.close().await;
        }
    }
    let mut text = String::new();
    for measure in &measures {
        // Writing to a string does not fail.
        let _written = writeln!(text, "{}", measure.line());
    }
    let failed = measures.iter().map(|measure| measure.failed).sum();
    Ok(Findings { text, figures: measures.iter().map(Measure::json).collect(), failed })
}

impl Pair {
    async fn open(
        kind: Kind,
        options: &Options,
        beside: &Path,
        shapes: &Shapes<'_>,
        round: u32,
    ) -> Result<Option<Self>, Failure> {
        let folder = shapes.folder.join(round.to_string());
        let opened = async |binary: &Path, name: &str| {
            let folder = folder.join(name);
            fs::create_dir_all(&folder)?;
            let shapes = Shapes { binary, folder: &folder, upstream: shapes.upstream };
            let mut house = shapes.open(kind, Limits::default()).await?;
            if let Some(house) = &mut house {
                shapes.furnish(house, &options.answers).await?;
            }
            Ok::<_, Failure>(house)
        };
        let (house, beside) = (opened(shapes.binary, "house").await?, opened(beside, "beside").await?);
        Ok(house.zip(beside).map(|(house, beside)| Self { house, beside }))
    }

    /// What both have cost so far.
    fn costs(&self) -> Result<[Duration; 2], Failure> {
        Ok([cost::of(&self.house.processes())?, cost::of(&self.beside.processes())?])
    }
}

async fn target(house: &Contender, answer: Answer) -> Result<Target, Failure> {
    let requests = house.requests(answer).ok_or("a house gives every answer")?;
    let target = Target { address: house.address, requests };
    load::check(&target, &upstream::body(answer)).await?;
    Ok(target)
}

fn per_thousand(spent: Duration, run: &Run) -> f64 {
    let calls = u32::try_from(run.latencies.len()).unwrap_or(u32::MAX);
    spent.as_secs_f64() * 1000.0 / f64::from(calls.max(1))
}

fn failed(run: &Run) -> u32 {
    run.failed + u32::try_from(run.refused.len()).unwrap_or(u32::MAX)
}

impl Measure {
    fn new(kind: Kind, answer: Answer, connections: u32) -> Self {
        Self { kind, answer, connections, rounds: Vec::new(), failed: 0 }
    }

    /// Warms both up, then counts what they do at the same time and what that costs.
    async fn round(&mut self, pair: &Pair, time: Duration) -> Result<(), Failure> {
        let targets = [target(&pair.house, self.answer).await?, target(&pair.beside, self.answer).await?];
        let [house, beside] = &targets;
        let loaded = async |time: Duration| {
            let loads =
                (load::closed(house, self.connections, time), load::closed(beside, self.connections, time));
            tokio::try_join!(loads.0, loads.1)
        };
        loaded(time / 5).await?;
        let before = pair.costs()?;
        let (house, beside) = loaded(time).await?;
        let after = pair.costs()?;
        let [ours, theirs] = [after[0].saturating_sub(before[0]), after[1].saturating_sub(before[1])];
        self.rounds.push((per_thousand(ours, &house), per_thousand(theirs, &beside)));
        self.failed += failed(&house) + failed(&beside);
        Ok(())
    }

    fn line(&self) -> String {
        let middle = |of: fn(&(f64, f64)) -> f64| median(self.rounds.iter().map(of).collect());
        format!(
            "{:<10} {:<5} {:>3} connections each  {:.4} CPU s/1000, {:.3} of {:.4} beside it",
            self.kind.name(),
            self.answer.name(),
            self.connections,
            middle(|(house, _)| *house),
            middle(|(house, other)| house / other),
            middle(|(_, other)| *other),
        )
    }

    fn json(&self) -> Value {
        json!({
            "contender": self.kind.name(), "answer": self.answer.name(), "connections": self.connections,
            "cpu_seconds_per_1000": self.rounds.iter().map(|(house, _)| house).collect::<Vec<_>>(),
            "cpu_seconds_per_1000_beside": self.rounds.iter().map(|(_, other)| other).collect::<Vec<_>>(),
        })
    }
}
