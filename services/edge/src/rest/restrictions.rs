//! What a token, or what is exchanged for one, is to do less than its portal, as the JSON of the contract: read, and told.

use super::{properties::Properties, sent::Property, text};
use model::{Fault, Reason, restriction::MAX_VARIABLES};
use proto::registry::v1::{Restrictions, TokenRevision, VariableRestriction};
use serde::Serialize;
use serde_json::{json, value::RawValue};
use std::collections::BTreeMap;
use utoipa::{
    ToSchema,
    openapi::{
        ObjectBuilder, OneOfBuilder, RefOr, Schema,
        schema::{AdditionalProperties, SchemaType, Type},
    },
};

const EXPECTED: &str =
    r#"an object such as {"commit":{"fixed":"HEAD"},"branch":{"schema":{"pattern":"^release/"}}}"#;

/// By which names restrictions are asked for.
pub(crate) const PROPERTIES: [&str; 5] =
    ["operations", "variables", "allowed_ip_addresses", "max_uses", "revision"];

/// What becomes of variables, as it was sent.
pub(super) struct Variables(Vec<VariableRestriction>);

/// Uses of what is exchanged for tokens, which nobody can ask for: how many tokens are made is not bounded.
pub(super) enum NoUses {}

/// Which revisions of its portal's document a token runs.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Revision {
    /// Whichever is live.
    Follow,
    /// The one that was live when the token was made, and no other.
    Pin,
}

/// What becomes of one variable, as it is told.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Told {
    Fixed(Box<RawValue>),
    Schema(Box<RawValue>),
}

/// What a token is to do less; nothing where it is to do as much as its portal.
pub(super) fn restrictions(
    operations: Option<Vec<String>>,
    variables: Option<Variables>,
    allowed_ip_addresses: Option<String>,
    (max_uses, revision): (Option<u32>, Option<Revision>),
) -> Option<Restrictions> {
    let restrictions = Restrictions {
        operations: operations.unwrap_or_default(),
        variables: variables.map(|variables| variables.0).unwrap_or_default(),
        allowed_ip_addresses,
        revision: revision.map_or(TokenRevision::Unspecified, TokenRevision::from).into(),
        pinned_revision: None,
        max_uses,
    };
    (restrictions != Restrictions::default()).then_some(restrictions)
}

/// Reads what an exchange asks for, of these properties.
///
/// # Errors
///
/// `BadRequest` with every problem.
pub(crate) fn read(entries: Vec<(String, Box<RawValue>)>) -> Result<Option<Restrictions>, Fault> {
    let mut properties = Properties::new(entries);
    let read = restrictions(
        Property::take(&mut properties, "operations"),
        Property::take(&mut properties, "variables"),
        Property::take(&mut properties, "allowed_ip_addresses"),
        (Property::take(&mut properties, "max_uses"), Property::take(&mut properties, "revision")),
    );
    match properties.problems() {
        None => Ok(read),
        Some(problems) => Err(Fault::new(Reason::BadRequest, problems)),
    }
}

/// What becomes of variables, by name.
pub(super) fn told(variables: Vec<VariableRestriction>) -> BTreeMap<String, Told> {
    variables.into_iter().filter_map(|variable| Some((variable.name.clone(), Told::of(variable)?))).collect()
}

impl From<Revision> for TokenRevision {
    fn from(revision: Revision) -> Self {
        match revision {
            Revision::Follow => Self::Follow,
            Revision::Pin => Self::Pin,
        }
    }
}

impl From<TokenRevision> for Revision {
    fn from(revision: TokenRevision) -> Self {
        match revision {
            TokenRevision::Pin => Self::Pin,
            TokenRevision::Follow | TokenRevision::Unspecified => Self::Follow,
        }
    }
}

impl Property for Option<Revision> {
    fn take(properties: &mut Properties, name: &str) -> Self {
        properties.word(name, &[("follow", Revision::Follow), ("pin", Revision::Pin)])
    }
}

impl Property for Option<Variables> {
    fn take(properties: &mut Properties, name: &str) -> Self {
        properties.objects(name, EXPECTED, variable).map(Variables)
    }
}

/// Reads what becomes of a variable.
fn variable(name: String, members: Vec<(String, Box<RawValue>)>) -> Option<VariableRestriction> {
    let [(word, value)] = members.as_slice() else { return None };
    let text = value.get().to_owned();
    match word.as_str() {
        "fixed" => Some(VariableRestriction { name, fixed_json: Some(text), schemas_json: Vec::new() }),
        "schema" => Some(VariableRestriction { name, fixed_json: None, schemas_json: vec![text] }),
        _ => None,
    }
}

impl Property for Option<NoUses> {
    fn take(properties: &mut Properties, name: &str) -> Self {
        properties.none(name, "asked for with each exchange: nothing bounds how many tokens are made")
    }
}

impl From<NoUses> for u32 {
    fn from(uses: NoUses) -> Self {
        match uses {}
    }
}

impl NoUses {
    /// What is told of them.
    pub(super) fn schema() -> ObjectBuilder {
        ObjectBuilder::new().schema_type(Type::Null).description(Some(
            "Refused: nothing bounds how many tokens are made. It is asked for with each exchange.",
        ))
    }
}

impl Variables {
    /// What is told of them where there may be none.
    pub(super) fn schema() -> ObjectBuilder {
        Told::schema()
            .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
            .property_names(Some(text::graphql_name()))
            .max_properties(Some(MAX_VARIABLES))
    }
}

impl Told {
    fn of(variable: VariableRestriction) -> Option<Self> {
        let raw = |text: String| RawValue::from_string(text).ok();
        match (variable.fixed_json, variable.schemas_json.as_slice()) {
            (Some(fixed), _) => raw(fixed).map(Self::Fixed),
            (None, [only]) => raw(only.clone()).map(Self::Schema),
            // All of them hold.
            (None, several) => raw(format!("{{\"allOf\":[{}]}}", several.join(","))).map(Self::Schema),
        }
    }

    /// What is told of variables, by name.
    pub(super) fn schema() -> ObjectBuilder {
        let any = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
        let rule = |word: &str, value: ObjectBuilder| {
            let rule = ObjectBuilder::new().property(word, value).required(word);
            rule.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
        };
        let fixed = rule("fixed", any.description(Some("The value that it has.")));
        let schema = rule("schema", ObjectBuilder::new().description(Some("A JSON Schema, draft 2020-12.")));
        let either = OneOfBuilder::new().item(fixed).item(schema);
        ObjectBuilder::new()
            .additional_properties(Some(RefOr::T(Schema::from(either))))
            .description(Some(
                "Variables by name: `fixed` is the value that a variable has, and callers can neither send nor override \
                 it; what callers send must be valid against `schema`.",
            ))
            .examples([json!({"commit": {"fixed": "HEAD"}, "branch": {"schema": {"pattern": "^release/"}}})])
    }
}
