//! Examples of bodies, put together from the examples of their properties.

use http::StatusCode;
use serde_json::{Map, Value};
use utoipa::openapi::{
    Components, Content, RefOr, Schema,
    path::Operation,
    schema::{ArrayItems, Object, SchemaType, Type},
};

/// Which properties an example has.
#[derive(Clone, Copy)]
enum Having {
    /// All there may be.
    All,
    /// Those that are always there: what is told once, when a thing is made, is not.
    Required,
}

/// Puts together examples of what schemas describe.
struct Illustrator<'a> {
    components: &'a Components,
    having: Having,
}

/// Gives each body of an operation an example.
pub(super) fn fill(operation: &mut Operation, components: &Components) {
    let all = Illustrator { components, having: Having::All };
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.content.values_mut().for_each(|content| all.illustrate(content));
    }
    for (status, response) in &mut operation.responses.responses {
        let created = *status == StatusCode::CREATED.as_str();
        let illustrator = Illustrator { having: if created { Having::All } else { Having::Required }, ..all };
        if let RefOr::T(response) = response {
            response.content.values_mut().for_each(|content| illustrator.illustrate(content));
        }
    }
}

impl Illustrator<'_> {
    fn illustrate(&self, content: &mut RefOr<Content>) {
        if let RefOr::T(content) = content {
            content.example = content.schema.as_ref().and_then(|schema| self.example(schema));
        }
    }

    /// An example of what a schema describes, if there is one.
    fn example(&self, schema: &RefOr<Schema>) -> Option<Value> {
        match schema {
            RefOr::Ref(reference) => {
                let name = reference.ref_location.strip_prefix("#/components/schemas/")?;
                self.example(self.components.schemas.get(name)?)
            }
            RefOr::T(Schema::Object(object)) => self.example_of(object),
            RefOr::T(Schema::Array(array)) => match &array.items {
                ArrayItems::RefOrSchema(items) => self.example(items).map(|one| vec![one].into()),
                ArrayItems::False => None,
            },
            // What may be nothing is told as something.
            RefOr::T(Schema::OneOf(choice)) => choice.items.iter().find_map(|item| self.example(item)),
            RefOr::T(_) => None,
        }
    }

    fn example_of(&self, object: &Object) -> Option<Value> {
        let word = || object.enum_values.as_ref()?.first();
        if let Some(told) = object.examples.first().or_else(word) {
            return Some(told.clone());
        }
        let has = |name: &String| match self.having {
            Having::All => true,
            Having::Required => object.required.contains(name),
        };
        let properties = object.properties.iter().filter(|(name, _)| has(name));
        let told = properties.filter_map(|(name, schema)| Some((name.clone(), self.example(schema)?)));
        match &object.schema_type {
            SchemaType::Type(Type::Object) => Some(told.collect::<Map<_, _>>().into()),
            SchemaType::Array(types) if types.contains(&Type::Null) => Some(Value::Null),
            SchemaType::Array(_) | SchemaType::Type(_) | SchemaType::AnyValue => None,
        }
    }
}
