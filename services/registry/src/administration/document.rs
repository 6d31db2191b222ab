//! Reads a document that is to be saved, off the threads that serve.

use super::problems::Problems;
use crate::record::{Document, Moment};
use model::{Fault, document};

/// Reads `source`; what is wrong with it is noted with its place.
///
/// # Errors
///
/// INTERNAL when the reading itself broke.
pub(crate) async fn read(problems: &mut Problems, source: String) -> Result<Option<Document>, Fault> {
    let read = tokio::task::spawn_blocking(move || take_apart(source)).await.map_err(Fault::internal)?;
    Ok(read.map_err(|found| found.into_iter().for_each(|problem| problems.add(problem))).ok())
}

fn take_apart(source: String) -> Result<Document, Vec<String>> {
    let document = document::Document::parse(&source).map_err(|found| {
        let told = |problem: document::Problem| {
            format!("query line {}, column {}: {}", problem.line, problem.column, problem.message)
        };
        found.into_iter().map(told).collect::<Vec<_>>()
    })?;
    Ok(Document::new(source, document, Moment::now()))
}
