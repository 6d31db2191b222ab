//! What the registry says, as the JSON of the contract: its fields in its order, nulls written out.

mod code;
mod people;
mod sign_in;
mod token;

pub(super) use code::{Code, UpstreamCredential};
pub(super) use people::{AccessToken, Member, PresentedToken, Role};
pub(super) use sign_in::{Invitation, InvitationItself, Session};
pub(super) use token::{PortalSecret, Token};

use super::text;
use base64::{Engine, engine::general_purpose::STANDARD};
use proto::{
    registry::v1::{self, OperationKind},
    time::Timestamp,
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;
use utoipa::{
    ToSchema,
    openapi::{
        ObjectBuilder,
        schema::{SchemaType, Type},
    },
};

/// A time in UTC with milliseconds.
pub(super) fn time(time: Option<Timestamp>) -> Option<String> {
    proto::time::text(proto::time::read(time?)?)
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct User {
    #[schema(format = "uuid", examples("018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e10"))]
    id: String,
    #[schema(format = "uuid", examples("018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e10"))]
    uuid: String,
    #[schema(examples("VXNlci0tLTAxOGYzYzJlLTdkMmEtN2MxYi05YjBlLTJmNmE0ZDVjOGUxMA=="))]
    graphql_id: String,
    #[schema(examples("Ada Lovelace"))]
    name: String,
    #[schema(examples("ada@example.com"))]
    email: String,
    /// Always null: no pictures are kept.
    #[schema(required)]
    avatar_url: Option<String>,
    #[schema(required, format = DateTime, examples("2026-08-26T03:22:45.555Z"))]
    created_at: Option<String>,
}

impl From<v1::User> for User {
    fn from(user: v1::User) -> Self {
        Self {
            id: user.uuid.clone(),
            graphql_id: STANDARD.encode(format!("User---{}", user.uuid)),
            uuid: user.uuid,
            name: user.name,
            email: user.email,
            // Nobody here keeps pictures, and a stranger need not learn who looks at what.
            avatar_url: None,
            created_at: time(user.created_at),
        }
    }
}

/// An organization.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Organization {
    #[schema(format = "uuid", examples("018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e10"))]
    uuid: String,
    /// Its name in URLs.
    #[schema(examples("my-organization"))]
    slug: String,
    /// Its name for people.
    #[schema(examples("My organization"))]
    name: String,
    /// The GraphQL API that its portals run against.
    #[schema(examples("https://graphql.buildkite.com/v1"))]
    upstream_url: String,
    #[schema(schema_with = Fields::schema)]
    upstream_headers: Fields,
    /// The whole time of an invocation.
    #[schema(examples(30))]
    upstream_timeout_seconds: u32,
    /// Invocations of all its portals together; 0 for no limit.
    #[schema(examples(200))]
    rate_limit_per_minute: u32,
    #[schema(required, format = DateTime, examples("2026-08-26T03:22:45.555Z"))]
    created_at: Option<String>,
    /// The SHA-256 of its upstream's schema, in hexadecimal; not there where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"))]
    schema_sha256: Option<String>,
}

/// Header fields as an object, in their order.
pub(super) struct Fields(Vec<v1::Header>);

impl std::fmt::Debug for Fields {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Fields({} redacted)", self.0.len())
    }
}

impl Fields {
    /// What is told of them.
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new()
            .additional_properties(Some(text::header_value()))
            .property_names(Some(text::header_name()))
            .max_properties(Some(32))
            .description(Some("More header fields that go to the upstream."))
            .examples([serde_json::json!({"X-Team": "ci"})])
    }

    /// What is told of them where there may be none.
    pub(super) fn nullable_schema() -> ObjectBuilder {
        Self::schema().schema_type(SchemaType::from_iter([Type::Object, Type::Null])).description(Some(
            "Header fields that go to the upstream, in place of all before; null for none.",
        ))
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for v1::Header { name, value } in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl From<v1::Organization> for Organization {
    fn from(organization: v1::Organization) -> Self {
        Self {
            uuid: organization.uuid,
            slug: organization.slug,
            name: organization.name,
            upstream_url: organization.upstream_url,
            upstream_headers: Fields(organization.upstream_headers),
            upstream_timeout_seconds: organization.upstream_timeout_seconds,
            rate_limit_per_minute: organization.rate_limit_per_minute,
            created_at: time(organization.created_at),
            schema_sha256: organization.schema_sha256,
        }
    }
}

/// A variable that an operation declares.
#[derive(Debug, Serialize, ToSchema)]
struct Variable {
    #[schema(examples("pipelineID"))]
    name: String,
    #[schema(examples("ID!"))]
    r#type: String,
    /// Whether it must be sent: its type is non-null and it has no default.
    #[schema(examples(true))]
    required: bool,
}

/// An operation of a portal's document.
#[derive(Debug, Serialize, ToSchema)]
struct Operation {
    #[schema(required, examples("triggerBuild"))]
    name: Option<String>,
    #[schema(examples("mutation"))]
    kind: &'static str,
    variables: Vec<Variable>,
}

impl From<v1::Operation> for Operation {
    fn from(operation: v1::Operation) -> Self {
        let kind = match operation.kind() {
            OperationKind::Mutation => "mutation",
            OperationKind::Query | OperationKind::Unspecified => "query",
        };
        let variable = |v1::Variable { name, r#type, required }| Variable { name, r#type, required };
        Self {
            name: operation.name,
            kind,
            variables: operation.variables.into_iter().map(variable).collect(),
        }
    }
}

/// What becomes of variables that nobody declared.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ExtraVariables {
    /// The call is refused.
    Reject,
    /// They are left out.
    Ignore,
}

impl From<v1::ExtraVariables> for ExtraVariables {
    fn from(sent: v1::ExtraVariables) -> Self {
        match sent {
            v1::ExtraVariables::Ignore => Self::Ignore,
            v1::ExtraVariables::Reject | v1::ExtraVariables::Unspecified => Self::Reject,
        }
    }
}

impl From<ExtraVariables> for v1::ExtraVariables {
    fn from(told: ExtraVariables) -> Self {
        match told {
            ExtraVariables::Ignore => Self::Ignore,
            ExtraVariables::Reject => Self::Reject,
        }
    }
}

/// A portal; with its token only in the answer that made it.
#[derive(Serialize, ToSchema)]
pub(super) struct Portal {
    #[schema(format = "uuid", examples("018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e10"))]
    uuid: String,
    /// Its name in URLs.
    #[schema(examples("trigger-main-build"))]
    slug: String,
    #[schema(format = "uuid", examples("018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e11"))]
    organization_uuid: String,
    /// Its name for people.
    #[schema(examples("Trigger main build"))]
    name: String,
    /// What it is for.
    #[schema(required, examples("Builds the main branch"))]
    description: Option<String>,
    /// The GraphQL document, exactly as it was sent.
    #[schema(examples(
        "mutation triggerBuild($pipelineID: ID!) { buildCreate(input: {pipelineID: $pipelineID}) { build { url } } }"
    ))]
    query: String,
    /// From where it may be called: addresses and CIDR ranges, separated by spaces; null for everywhere.
    #[schema(required, examples("192.0.2.1/32 198.51.100.0/24"))]
    allowed_ip_addresses: Option<String>,
    /// Whether members may have tokens for it.
    #[schema(examples(false))]
    user_invokable: bool,
    extra_variables: ExtraVariables,
    #[schema(required, format = DateTime, examples("2026-08-26T03:22:45.555Z"))]
    created_at: Option<String>,
    /// Null where no user made it.
    #[schema(required)]
    created_by: Option<User>,
    #[schema(required, format = DateTime, examples("2026-08-26T03:22:45.555Z"))]
    updated_at: Option<String>,
    /// Goes up with each change; the `ETag` has it too.
    #[schema(examples(3))]
    revision: u64,
    /// Where it is invoked.
    #[schema(examples("https://portals.example/organizations/my-organization/portals/trigger-main-build"))]
    url: String,
    operations: Vec<Operation>,
    /// What of the document is allowed and hardly meant.
    #[schema(examples("the variable `$branch` is declared and never used, at line 1, column 30"))]
    warnings: Vec<String>,
    /// Whether identical queries in flight of one token share an answer.
    #[schema(examples(false))]
    coalesce: bool,
    /// Invocations of it a minute, within those of its organization; null, or 0 if that was sent, where it has no limit of
    /// its own.
    #[schema(required, examples(50))]
    rate_limit_per_minute: Option<u32>,
    /// Its first token, in the answer that made it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("ptk_…"))]
    token: Option<String>,
}

impl Portal {
    /// `url` is where it is invoked.
    pub(super) fn new(portal: v1::Portal, url: String, token: Option<String>) -> Self {
        let extra_variables = ExtraVariables::from(portal.extra_variables());
        Self {
            uuid: portal.uuid,
            slug: portal.slug,
            organization_uuid: portal.organization_uuid,
            name: portal.name,
            description: portal.description,
            query: portal.query,
            allowed_ip_addresses: portal.allowed_ip_addresses,
            user_invokable: portal.user_invokable,
            extra_variables,
            created_at: time(portal.created_at),
            created_by: portal.created_by.map(User::from),
            updated_at: time(portal.updated_at),
            revision: portal.revision,
            url,
            operations: portal.operations.into_iter().map(Operation::from).collect(),
            warnings: portal.warnings,
            coalesce: portal.coalesce,
            rate_limit_per_minute: portal.rate_limit_per_minute,
            token,
        }
    }
}

/// Who did something, or to what it was done.
#[derive(Debug, Serialize, ToSchema)]
struct Party {
    #[schema(examples("portal"))]
    r#type: String,
    #[schema(required, examples("018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e10"))]
    uuid: Option<String>,
    #[schema(required, examples("Trigger main build"))]
    name: Option<String>,
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditEvent {
    #[schema(format = "uuid", examples("018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e10"))]
    uuid: String,
    #[schema(required, format = DateTime, examples("2026-08-26T03:22:45.555Z"))]
    occurred_at: Option<String>,
    #[schema(examples("PORTAL_UPDATED"))]
    r#type: String,
    /// Who did it.
    #[schema(required)]
    actor: Option<Party>,
    /// To what it was done.
    #[schema(required)]
    subject: Option<Party>,
    /// What changed, before and after; never a secret.
    #[schema(value_type = Object, examples(json!({"name": {"before": "Build", "after": "Trigger main build"}})))]
    data: Box<RawValue>,
    /// From where, as far as that is known.
    #[schema(required, examples("192.0.2.1"))]
    ip: Option<String>,
    /// Its number among the organization's events, from 1; 0 for one from before events were bound together.
    #[schema(examples(7))]
    sequence: u64,
    /// `hash` of the event before it; null for the first.
    #[schema(required, examples("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"))]
    previous_hash: Option<String>,
    /// SHA-256 of its JSON without this, keys sorted and without white space, in hexadecimal digits.
    #[schema(required, examples("2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"))]
    hash: Option<String>,
}

impl From<v1::AuditEvent> for AuditEvent {
    fn from(event: v1::AuditEvent) -> Self {
        let party = |r#type, uuid, name| Party { r#type, uuid: filled(uuid), name: filled(name) };
        Self {
            uuid: event.uuid,
            occurred_at: time(event.occurred_at),
            r#type: event.r#type,
            actor: event.actor.map(|actor| party(actor.r#type, actor.uuid, actor.name)),
            subject: event.subject.map(|subject| party(subject.r#type, subject.uuid, subject.name)),
            data: RawValue::from_string(event.data_json).unwrap_or_else(|_| RawValue::NULL.to_owned()),
            ip: filled(event.ip),
            sequence: event.sequence,
            previous_hash: filled(event.previous_hash),
            hash: filled(event.hash),
        }
    }
}

fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
