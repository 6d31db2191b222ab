//! An upstream's schema as it lies in the store: as it was sent, and its input types apart.

use super::Moment;
use proto::grant::{InputFieldClaim, InputTypeClaim};
use serde::{Deserialize, Serialize};

/// The schema of an organization's upstream.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Schema {
    /// Exactly as it was sent.
    pub(crate) source: String,
    pub(crate) saved_at_ms: Moment,
}

/// An enum, which has values, or an input object, which has fields.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct InputType {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) values: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<InputField>,
    /// Whether exactly one of the fields is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) one_of: bool,
}

/// A field of an input object.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct InputField {
    pub(crate) name: String,
    /// As GraphQL writes it.
    pub(crate) r#type: String,
    /// Whether there is a value for where it is left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) default: bool,
}

impl From<InputType> for InputTypeClaim {
    fn from(InputType { name, values, fields, one_of }: InputType) -> Self {
        Self { name, values, fields: fields.into_iter().map(InputFieldClaim::from).collect(), one_of }
    }
}

impl From<InputField> for InputFieldClaim {
    fn from(InputField { name, r#type, default }: InputField) -> Self {
        Self { name, r#type, default }
    }
}
