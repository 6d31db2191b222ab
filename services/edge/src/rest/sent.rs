//! What a request may send: declared once, for whoever reads it and for whoever describes it.
//!
//! A property that is declared and used by nobody is a field that is never read, which is no build.

use super::{
    properties::Properties,
    render::{ExtraVariables, Role},
};
use model::Fault;
use proto::{
    registry::v1::{Headers, OptionalNumber, OptionalText},
    time::Timestamp,
};
use utoipa::ToSchema;

/// The body of a request.
pub(super) trait Sent: ToSchema + Send + Sized {
    /// Takes the properties of a body.
    ///
    /// # Errors
    ///
    /// `ValidationFailed` with every problem.
    fn read(properties: Properties) -> Result<Self, Fault>;
}

/// One property of a body.
pub(super) trait Property: Sized {
    /// Takes it; what is wrong with it is noted.
    fn take(properties: &mut Properties, name: &str) -> Self;
}

/// Declares the body of a request: `creation`, where null says no more than nothing, or `change`, where what is not sent
/// stays as it is, and null is refused but for what it clears.
///
/// In a change each `Option` that null does not clear says `#[schema(nullable = false)]`.
macro_rules! sent {
    ($(#[$about:meta])* $kind:ident $name:ident {
        $($(#[$property:meta])* $field:ident: $type:ty,)+
    }) => {
        $(#[$about])*
        #[derive(utoipa::ToSchema)]
        pub(super) struct $name { $($(#[$property])* $field: $type,)+ }

        impl $crate::rest::sent::Sent for $name {
            fn read(properties: $crate::rest::properties::Properties) -> Result<Self, model::Fault> {
                use $crate::rest::sent::Property;
                let mut properties = properties.$kind();
                let sent = Self { $($field: Property::take(&mut properties, stringify!($field)),)+ };
                properties.finish()?;
                Ok(sent)
            }
        }
    };
}
pub(super) use sent;

impl Property for String {
    fn take(properties: &mut Properties, name: &str) -> Self {
        properties.required_text(name)
    }
}

impl Property for u32 {
    fn take(properties: &mut Properties, name: &str) -> Self {
        properties.required_whole_number(name)
    }
}

macro_rules! optional {
    ($($type:ty: $read:ident,)+) => {
        $(impl Property for Option<$type> {
            fn take(properties: &mut Properties, name: &str) -> Self {
                properties.$read(name)
            }
        })+
    };
}

impl Property for Vec<String> {
    fn take(properties: &mut Properties, name: &str) -> Self {
        properties.required_list(name)
    }
}

impl Property for Role {
    fn take(properties: &mut Properties, name: &str) -> Self {
        properties.required_word(name, ROLES).unwrap_or(Self::Member)
    }
}

impl Property for Option<Role> {
    fn take(properties: &mut Properties, name: &str) -> Self {
        properties.word(name, ROLES)
    }
}

const ROLES: &[(&str, Role)] = &[("administrator", Role::Administrator), ("member", Role::Member)];

impl Property for Option<ExtraVariables> {
    fn take(properties: &mut Properties, name: &str) -> Self {
        properties.word(name, &[("reject", ExtraVariables::Reject), ("ignore", ExtraVariables::Ignore)])
    }
}

optional! {
    String: text,
    Vec<String>: names,
    OptionalText: clearable_text,
    OptionalNumber: clearable_number,
    bool: boolean,
    u32: whole_number,
    Headers: headers,
    Timestamp: time,
}
