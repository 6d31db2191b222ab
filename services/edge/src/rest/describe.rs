//! What is told of a route: what it is for, what it wants, and what it answers when all is well.

use super::{BODY_BYTES, LARGE_BODY_BYTES, sent::Sent};
use http::StatusCode;
use utoipa::{
    ToSchema,
    openapi::{
        ObjectBuilder, OneOfBuilder, RefOr, Schema,
        schema::{Object, SchemaType, Type},
    },
};

/// A schema and the name that others know it by.
pub(super) type Named = (String, RefOr<Schema>);

/// What is told of a route.
pub(super) struct Described {
    /// What programs call it.
    pub(super) id: &'static str,
    /// What it does, in a line.
    pub(super) summary: &'static str,
    /// What else there is to know.
    pub(super) about: Option<&'static str>,
    /// What the access token must be good for; none where any will do.
    pub(super) scope: Option<&'static str>,
    /// The schema of its body.
    pub(super) takes: Option<Taken>,
    /// What it answers when all is well.
    pub(super) success: Success,
    /// The name of the schema of that.
    pub(super) says: Option<String>,
    /// Whether the answer tells the revision.
    pub(super) tagged: bool,
    /// Whether it can be made to depend on the revision.
    pub(super) conditional: bool,
    /// The most bytes of its body.
    pub(super) bytes: usize,
    /// Properties of its body of which one is sent, and no more.
    pub(super) either: Option<[&'static str; 2]>,
    /// The schemas that these need.
    pub(super) schemas: Vec<Named>,
}

/// A body that a route takes.
pub(super) struct Taken {
    /// The name of its schema.
    pub(super) name: String,
    /// Whether nothing can be done without one.
    pub(super) required: bool,
}

/// What a route answers when all is well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Success {
    /// A page of a list.
    Page,
    /// One thing.
    Shown,
    /// A new thing, and where it is.
    Created,
    /// Nothing, for it is gone.
    Removed,
    /// Nothing, for it is as it was to be.
    Done,
}

impl Success {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Page | Self::Shown => StatusCode::OK,
            Self::Created => StatusCode::CREATED,
            Self::Removed | Self::Done => StatusCode::NO_CONTENT,
        }
    }
}

impl Described {
    /// A route that lists things, newest first, page by page.
    pub(super) fn lists<T: ToSchema>(id: &'static str, summary: &'static str) -> Self {
        Self::new(id, summary, Success::Page).saying::<T>()
    }

    /// A route that tells one thing.
    pub(super) fn shows<T: ToSchema>(id: &'static str, summary: &'static str) -> Self {
        Self::new(id, summary, Success::Shown).saying::<T>()
    }

    /// A route that makes a thing.
    pub(super) fn creates<T: ToSchema>(id: &'static str, summary: &'static str) -> Self {
        Self::new(id, summary, Success::Created).saying::<T>()
    }

    /// A route that ends a thing.
    pub(super) fn removes(id: &'static str, summary: &'static str) -> Self {
        Self::new(id, summary, Success::Removed)
    }

    /// A route that sets what nobody is told.
    pub(super) fn sets(id: &'static str, summary: &'static str) -> Self {
        Self::new(id, summary, Success::Done)
    }

    fn new(id: &'static str, summary: &'static str, success: Success) -> Self {
        Self {
            id,
            summary,
            about: None,
            scope: None,
            takes: None,
            success,
            says: None,
            tagged: false,
            conditional: false,
            bytes: BODY_BYTES,
            either: None,
            schemas: Vec::new(),
        }
    }

    /// With more to know.
    pub(super) fn about(self, about: &'static str) -> Self {
        Self { about: Some(about), ..self }
    }

    /// For access tokens that have `scope`.
    pub(super) fn needs(self, scope: &'static str) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// With the revision in the answer.
    pub(super) fn tagged(self) -> Self {
        Self { tagged: true, ..self }
    }

    /// On condition that the thing is at a revision, where the caller names one.
    pub(super) fn conditional(self) -> Self {
        Self { conditional: true, ..self }
    }

    /// With a body that may have a schema in it.
    pub(super) fn large(self) -> Self {
        Self { bytes: LARGE_BODY_BYTES, ..self }
    }

    /// With a body that has one of these properties, and no more.
    pub(super) fn either(self, names: [&'static str; 2]) -> Self {
        Self { either: Some(names), ..self }
    }

    /// With a body.
    pub(super) fn taking<B: Sent>(mut self) -> Self {
        let (schema, required) = match (B::schema(), self.either) {
            (RefOr::T(Schema::Object(object)), Some(names)) => (one_of(&object, names), true),
            (RefOr::T(Schema::Object(object)), None) => {
                let required = !object.required.is_empty();
                (RefOr::T(Schema::Object(object)), required)
            }
            (schema, _) => (schema, false),
        };
        self.takes = Some(Taken { name: B::name().into_owned(), required });
        self.schemas.push((B::name().into_owned(), schema));
        B::schemas(&mut self.schemas);
        self
    }

    fn saying<T: ToSchema>(mut self) -> Self {
        self.says = Some(T::name().into_owned());
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        self
    }
}

/// A body with one of two properties; the other is not there, or null.
fn one_of(object: &Object, [one, other]: [&'static str; 2]) -> RefOr<Schema> {
    let with = |there: &str, absent: &str| {
        let mut object = object.clone();
        object.properties.insert(absent.to_owned(), ObjectBuilder::new().schema_type(Type::Null).into());
        if let Some(RefOr::T(Schema::Object(property))) = object.properties.get_mut(there) {
            property.schema_type = SchemaType::Type(Type::String);
        }
        object.required.push(there.to_owned());
        object
    };
    OneOfBuilder::new().item(with(one, other)).item(with(other, one)).into()
}
