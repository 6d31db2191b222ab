//! Input types of an upstream's schema: what the values of enums and input objects must be. It reads no schema.

use crate::document::Type;
use std::collections::HashMap;

/// The types that the variables of a document reach, as far as they are known, by name.
///
/// A built-in scalar is never looked for here; any other name that is not here is of a type of which nothing is known,
/// and takes every value.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InputTypes(HashMap<String, InputType>);

/// An input type that tells more than its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum InputType {
    /// One of some values.
    Enum(EnumValues),
    /// An object of fields.
    Object(InputObject),
}

/// The values of an enum.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EnumValues {
    /// In the order of the alphabet.
    sorted: Vec<String>,
}

/// An input object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InputObject {
    /// In the order of their names.
    sorted: Vec<InputField>,
    /// Those without which there is no such object, by their place.
    required: Vec<usize>,
    one_of: bool,
}

/// A field of an input object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InputField {
    /// Its name.
    pub name: String,
    /// Its type.
    pub r#type: Type,
    /// Whether the schema has a value for where it is left out.
    pub has_default: bool,
}

/// Whether a name is that of a scalar which every schema has.
pub fn is_built_in(name: &str) -> bool {
    matches!(name, "Int" | "Float" | "String" | "Boolean" | "ID")
}

impl InputTypes {
    /// Nothing but the built-in scalars.
    pub fn unknown() -> Self {
        Self::default()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&InputType> {
        self.0.get(name)
    }
}

impl FromIterator<(String, InputType)> for InputTypes {
    fn from_iter<Types: IntoIterator<Item = (String, InputType)>>(types: Types) -> Self {
        Self(types.into_iter().collect())
    }
}

impl EnumValues {
    /// These values; their order says nothing.
    pub fn new(mut values: Vec<String>) -> Self {
        values.sort_unstable();
        Self { sorted: values }
    }

    pub(crate) fn has(&self, value: &str) -> bool {
        self.sorted.binary_search_by(|known| known.as_str().cmp(value)).is_ok()
    }

    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.sorted.iter().map(String::as_str)
    }
}

impl InputObject {
    /// An object with these fields; with `one_of`, with exactly one of them, which is not null.
    pub fn new(mut fields: Vec<InputField>, one_of: bool) -> Self {
        fields.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let is_required = |field: &InputField| matches!(field.r#type, Type::NonNull(_)) && !field.has_default;
        let places = fields.iter().enumerate();
        let required = places.filter_map(|(place, field)| is_required(field).then_some(place)).collect();
        Self { sorted: fields, required, one_of }
    }

    /// Whether it has exactly one of its fields.
    pub(crate) fn is_one_of(&self) -> bool {
        self.one_of
    }

    /// The field of that name, and its place.
    pub(crate) fn field(&self, name: &str) -> Option<(usize, &InputField)> {
        let place = self.sorted.binary_search_by(|field| field.name.as_str().cmp(name)).ok()?;
        Some((place, self.sorted.get(place)?))
    }

    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.sorted.iter().map(|field| field.name.as_str())
    }

    /// The first field that must be there and is not among those at `places`.
    pub(crate) fn missing(&self, places: &[usize]) -> Option<&InputField> {
        // What is there is sorted for where much must be there.
        let mut present = places.to_vec();
        present.sort_unstable();
        let place = self.required.iter().find(|place| present.binary_search(place).is_err())?;
        self.sorted.get(*place)
    }
}
