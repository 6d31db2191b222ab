//! The schemas of upstreams, and the types that the variables of documents reach in them.

use super::{Catalog, ReadError};
use crate::{
    record::{Document, InputType, Schema},
    store::{Key, Scan},
    table,
};
use model::input::is_built_in;
use proto::grant::{DocumentClaim, InputTypeClaim};
use std::collections::{HashSet, VecDeque};
use uuid::Uuid;

/// The most input types that a schema has.
pub(crate) const MAX_INPUT_TYPES: usize = 10_000;

/// The most types that calls of one document are checked by, and the most bytes of their names, values and fields: they
/// stand in every grant. Those that are nearest to the variables come first; values of the others pass as they are.
const MAX_REACHED: usize = 1_000;
const MAX_REACHED_BYTES: usize = 128 << 10;

impl Catalog {
    /// The schema of an organization's upstream.
    pub(crate) fn schema(&self, organization: Uuid) -> Result<Option<Schema>, ReadError> {
        self.read(&table::schema(organization))
    }

    /// Where the input types of an organization's schema lie.
    pub(crate) fn input_types(&self, organization: Uuid) -> Result<Vec<Key>, ReadError> {
        let page = Scan::first(MAX_INPUT_TYPES, table::input_types(organization));
        let entries = self.scan(&page).map_err(ReadError::Store)?;
        Ok(entries.into_iter().map(|entry| entry.key).collect())
    }

    /// What a grant says of a document: its operations, and what the organization's schema tells of their variables.
    pub(crate) fn claim(&self, organization: Uuid, document: Document) -> Result<DocumentClaim, ReadError> {
        let mut claim = document.into_claim();
        let variables = claim.operations.iter().flat_map(|operation| &operation.variables);
        let names: VecDeque<String> = variables.map(|variable| named(&variable.r#type).to_owned()).collect();
        claim.types = self.reached(organization, names)?;
        Ok(claim)
    }

    fn reached(
        &self,
        organization: Uuid,
        mut names: VecDeque<String>,
    ) -> Result<Vec<InputTypeClaim>, ReadError> {
        let (mut seen, mut reached, mut bytes) = (HashSet::new(), Vec::new(), 0);
        while let Some(name) = names.pop_front() {
            if is_built_in(&name) || !table::can_name_input_type(&name) || !seen.insert(name.clone()) {
                continue;
            }
            let Some(r#type) = self.read::<InputType>(&table::input_type(organization, &name))? else {
                continue;
            };
            bytes += weight(&r#type);
            if reached.len() == MAX_REACHED || bytes > MAX_REACHED_BYTES {
                break;
            }
            names.extend(r#type.fields.iter().map(|field| named(&field.r#type).to_owned()));
            reached.push(InputTypeClaim::from(r#type));
        }
        Ok(reached)
    }
}

/// The name in a type, such as `ID` in `[ID!]!`.
fn named(r#type: &str) -> &str {
    r#type.trim_matches(['[', ']', '!'])
}

fn weight(r#type: &InputType) -> usize {
    let fields = r#type.fields.iter().map(|field| field.name.len() + field.r#type.len());
    let values = r#type.values.iter().map(String::len);
    fields.chain(values).fold(r#type.name.len(), usize::saturating_add)
}
