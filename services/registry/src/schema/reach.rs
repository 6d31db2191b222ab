//! The input types of a schema, as they are kept for calls.

use super::{ONE_OF, Schema};
use crate::record::{InputField, InputType};
use apollo_compiler::schema::ExtendedType;

impl Schema {
    /// Its enums and input objects, in its order.
    pub(crate) fn input_types(&self) -> Vec<InputType> {
        self.0.types.values().filter_map(input_type).collect()
    }
}

fn input_type(defined: &ExtendedType) -> Option<InputType> {
    // Those of introspection are nobody's input.
    if defined.is_built_in() {
        return None;
    }
    match defined {
        ExtendedType::Enum(r#enum) => Some(InputType {
            name: r#enum.name.to_string(),
            values: r#enum.values.keys().map(ToString::to_string).collect(),
            ..InputType::default()
        }),
        ExtendedType::InputObject(object) => Some(InputType {
            name: object.name.to_string(),
            fields: object
                .fields
                .values()
                .map(|field| InputField {
                    name: field.name.to_string(),
                    r#type: field.ty.to_string(),
                    default: field.default_value.is_some(),
                })
                .collect(),
            one_of: object.directives.has(ONE_OF),
            ..InputType::default()
        }),
        ExtendedType::Scalar(_)
        | ExtendedType::Object(_)
        | ExtendedType::Interface(_)
        | ExtendedType::Union(_) => None,
    }
}
