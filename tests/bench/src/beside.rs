//! `--beside`: two builds under load at the same time, so that whatever else the machine does is done to both.
//!
//! What is left between them is theirs: builds that take turns differ by a tenth for nothing.

use crate::{
    Failure, Findings, closed,
    contender::{Contender, Kind},
    figures::median,
    options::Options,
    report::{self, Measure},
    shapes::{Limits, Shapes},
    upstream::Answer,
};
use std::{fmt::Write, fs, path::Path};

const KINDS: [Kind; 2] = [Kind::Up, Kind::SplitUnix];

pub(crate) async fn measure(
    options: &Options,
    beside: &Path,
    shapes: &Shapes<'_>,
) -> Result<Findings, Failure> {
    let mut pairs = Vec::new();
    for round in 0..options.rounds() {
        for kind in options.kinds(&KINDS) {
            // Where its memory lies makes a process dearer or cheaper for all its life, so that each round has others.
            let folder = shapes.folder.join(round.to_string());
            let house = open(kind, shapes.binary, &folder.join("house"), options, shapes).await?;
            let other = open(kind, beside, &folder.join("beside"), options, shapes).await?;
            let (Some(house), Some(mut other)) = (house, other) else { continue };
            other.name.push_str(" beside");
            for answer in &options.answers {
                for connections in options.connections() {
                    let (ours, theirs) = tokio::try_join!(
                        closed::one(&house, *answer, *connections, options),
                        closed::one(&other, *answer, *connections, options)
                    )?;
                    let (Some(ours), Some(theirs)) = (ours, theirs) else { continue };
                    eprintln!("round {round}: {ours}\nround {round}: {theirs}");
                    pairs.push([ours, theirs]);
                }
            }
            house.close().await;
            other.close().await;
        }
    }
    let mut text = String::new();
    for kind in options.kinds(&KINDS) {
        for answer in &options.answers {
            for connections in options.connections() {
                line(&mut text, &pairs, (kind, *answer, *connections));
            }
        }
    }
    let measures = pairs.concat();
    let failed = measures.iter().map(Measure::failed).sum();
    Ok(Findings { text, figures: report::json(&measures), failed })
}

async fn open(
    kind: Kind,
    binary: &Path,
    folder: &Path,
    options: &Options,
    shapes: &Shapes<'_>,
) -> Result<Option<Contender>, Failure> {
    fs::create_dir_all(folder)?;
    let shapes = Shapes { binary, folder, upstream: shapes.upstream };
    let mut house = shapes.open(kind, Limits::default()).await?;
    if let Some(house) = &mut house {
        shapes.furnish(house, &options.answers).await?;
    }
    Ok(house)
}

/// The medians of all rounds.
fn line(text: &mut String, pairs: &[[Measure; 2]], (kind, answer, connections): (Kind, Answer, u32)) {
    let name = kind.name();
    let of = |[ours, _]: &&[Measure; 2]| {
        (ours.contender.as_str(), ours.answer, ours.connections) == (name, answer, connections)
    };
    let rounds =
        pairs.iter().filter(of).map(|pair| pair.each_ref().map(|measure| measure.cost.as_secs_f64()));
    let (ours, theirs): (Vec<f64>, Vec<f64>) = rounds.map(<(f64, f64)>::from).unzip();
    let ratios = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let [ours, theirs, ratio] = [ours, theirs, ratios].map(median);
    // Writing to a string does not fail.
    let _written = writeln!(
        text,
        "{name:<10} {:<5} {connections:>3} connections each  {ours:.4} CPU s/1000, {ratio:.3} of {theirs:.4} beside it",
        answer.name(),
    );
}
