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
    let parse = move || document::Document::parse(&source).map(|document| (source, document));
    let read = tokio::task::spawn_blocking(parse).await.map_err(Fault::internal)?;
    match read {
        Ok((source, document)) => Ok(Some(Document::new(source, document, Moment::now()))),
        Err(found) => {
            for problem in found {
                let (line, column) = (problem.line, problem.column);
                problems.add(format!("query line {line}, column {column}: {}", problem.message));
            }
            Ok(None)
        }
    }
}
