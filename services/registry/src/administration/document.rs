//! Reads a document that is to be saved, off the threads that serve.

use super::problems::Problems;
use crate::record::{self, Document, Moment};
use model::{Fault, document};

/// What a document may weigh once it is taken apart, in bytes: a grant carries it, a third larger, in one message.
const MAX_BYTES: usize = 5 << 19;

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
    let document = Document::new(source, document, Moment::now());
    if record::write(&document).len() > MAX_BYTES {
        return Err(vec![
            "query line 1, column 1: its operations use too many fragments too often".to_owned(),
        ]);
    }
    Ok(document)
}
