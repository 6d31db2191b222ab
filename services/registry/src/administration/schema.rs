//! The schema of an upstream: read when it is sent, kept with the organization, asked for each document.

use super::{Administration, problems::Problems};
use crate::{
    catalog::MAX_INPUT_TYPES,
    change::Draft,
    record::{self, InputType, Moment, Organization},
    schema::Schema,
    table,
};
use model::{Fault, Fingerprint, Reason, document::Problem};
use std::sync::Arc;
use tokio::task::spawn_blocking;
use uuid::Uuid;

/// The most bytes of a schema.
const MAX_SCHEMA_BYTES: usize = 4 << 20;
/// The most bytes that it may come to where it lies: a line break is two there.
const MAX_STORED_BYTES: usize = 9 << 19;
/// The most bytes of its input types. They are written in one commit with the schema and the end of those before.
const MAX_TYPES_BYTES: usize = 3 << 19;

/// A schema that an organization is to have.
pub(super) struct NewSchema {
    /// Of its source, in hexadecimal.
    pub(super) sha256: String,
    record: record::Schema,
    types: Vec<InputType>,
}

impl Administration<'_> {
    /// Reads a schema; what is wrong with it is noted with its place.
    ///
    /// # Errors
    ///
    /// INTERNAL when the reading itself broke.
    pub(super) async fn read_schema(
        &self,
        problems: &mut Problems,
        source: String,
    ) -> Result<Option<NewSchema>, Fault> {
        if source.len() > MAX_SCHEMA_BYTES {
            let bytes = source.len();
            problems.add(format!("schema must have at most {MAX_SCHEMA_BYTES} bytes, it has {bytes}"));
            return Ok(None);
        }
        let schemas = Arc::clone(self.schemas);
        let sha256 = Fingerprint::of(source.as_bytes()).to_hex();
        let read = move || {
            let types = schemas.read(&sha256, &source).map(|schema| schema.input_types());
            let record = record::Schema { source, saved_at_ms: Moment::now() };
            types.map(|types| NewSchema { sha256, record, types })
        };
        match spawn_blocking(read).await.map_err(Fault::internal)? {
            Ok(schema) => {
                let fits = problems.take("schema", schema.check());
                Ok(fits.map(|()| schema))
            }
            Err(found) => {
                found.iter().for_each(|problem| problems.add(told("schema", problem)));
                Ok(None)
            }
        }
    }

    /// The schema that documents of an organization are held against, where it has one.
    ///
    /// # Errors
    ///
    /// CONFLICT where it was changed just now, INTERNAL for one that was taken once and cannot be read any more.
    pub(super) async fn schema_of(&self, organization: &Organization) -> Result<Option<Arc<Schema>>, Fault> {
        let Some(sha256) = organization.schema_sha256.clone() else { return Ok(None) };
        if let Some(kept) = self.schemas.kept(&sha256) {
            return Ok(Some(kept));
        }
        let source = self.catalog.schema(organization.uuid)?.map(|schema| schema.source);
        let schemas = Arc::clone(self.schemas);
        let read = move || {
            let source = source.filter(|source| Fingerprint::of(source.as_bytes()).to_hex() == sha256);
            let source = source.ok_or_else(changed_meanwhile)?;
            schemas.read(&sha256, &source).map_err(|found| {
                let first = found.first().map(|problem| told("schema", problem)).unwrap_or_default();
                Fault::internal(format!("a stored schema cannot be read: {first}"))
            })
        };
        spawn_blocking(read).await.map_err(Fault::internal)?.map(Some)
    }

    /// Writes the schema that an organization is to have, or that it is to have none.
    pub(super) fn write_schema(
        &self,
        draft: &mut Draft,
        organization: Uuid,
        schema: Option<&NewSchema>,
    ) -> Result<(), Fault> {
        for key in self.catalog.input_types(organization)? {
            draft.delete(key);
        }
        let Some(NewSchema { record, types, .. }) = schema else {
            draft.delete(table::schema(organization));
            return Ok(());
        };
        draft.put(table::schema(organization), record);
        for r#type in types {
            draft.put(table::input_type(organization, &r#type.name), r#type);
        }
        Ok(())
    }
}

impl NewSchema {
    /// Passes what can be written.
    fn check(&self) -> Result<(), String> {
        let stored = record::json(&self.record).len();
        if stored > MAX_STORED_BYTES {
            return Err(format!("it comes to {stored} bytes of JSON, and may come to {MAX_STORED_BYTES}"));
        }
        if self.types.len() > MAX_INPUT_TYPES {
            return Err(format!("it has {} input types, and may have {MAX_INPUT_TYPES}", self.types.len()));
        }
        if let Some(long) = self.types.iter().find(|r#type| !table::can_name_input_type(&r#type.name)) {
            return Err(format!("the name of a type has {} characters", long.name.len()));
        }
        let written = |r#type: &InputType| record::json(r#type).len() + r#type.name.len();
        let bytes: usize = self.types.iter().map(written).sum();
        if bytes > MAX_TYPES_BYTES {
            return Err(format!("its input types come to {bytes} bytes, and may come to {MAX_TYPES_BYTES}"));
        }
        Ok(())
    }
}

/// A problem in words that begin with the property.
pub(super) fn told(property: &str, Problem { line, column, message }: &Problem) -> String {
    format!("{property} line {line}, column {column}: {message}")
}

pub(super) fn changed_meanwhile() -> Fault {
    Fault::new(Reason::Conflict, "somebody else changed the schema at the same time")
}
