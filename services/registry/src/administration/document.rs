//! Reads a document that is to be saved, off the threads that serve.

use super::{problems::Problems, schema::told};
use crate::{
    record::{Document, Moment},
    schema::Schema,
};
use model::{Fault, document};
use std::sync::Arc;

/// Reads `source` and holds it against `schema`, where there is one; what is wrong with it is noted with its place.
///
/// # Errors
///
/// INTERNAL when the reading itself broke.
pub(crate) async fn read(
    problems: &mut Problems,
    source: String,
    schema: Option<Arc<Schema>>,
) -> Result<Option<Document>, Fault> {
    let read = tokio::task::spawn_blocking(move || take_apart(source, schema.as_deref()));
    match read.await.map_err(Fault::internal)? {
        Ok(document) => Ok(Some(document)),
        Err(found) => {
            found.iter().for_each(|problem| problems.add(told("query", problem)));
            Ok(None)
        }
    }
}

fn take_apart(source: String, schema: Option<&Schema>) -> Result<Document, Vec<document::Problem>> {
    let mut document = document::Document::parse(&source)?;
    if let Some(schema) = schema {
        document.warnings.extend(schema.judge(&source)?);
        document.warnings.sort_by_key(|warning| (warning.line, warning.column));
    }
    Ok(Document::new(source, document, Moment::now()))
}
