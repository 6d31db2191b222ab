//! What the registry says, as the JSON of the contract: its fields in its order, nulls written out.

use base64::{Engine, engine::general_purpose::STANDARD};
use proto::{
    registry::v1::{self, ExtraVariables, OperationKind},
    time::Timestamp,
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

/// A time in UTC with milliseconds.
fn time(time: Option<Timestamp>) -> Option<String> {
    proto::time::text(proto::time::read(time?)?)
}

/// A person.
#[derive(Debug, Serialize)]
pub(super) struct User {
    id: String,
    uuid: String,
    graphql_id: String,
    name: String,
    email: String,
    avatar_url: Option<String>,
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
#[derive(Debug, Serialize)]
pub(super) struct Organization {
    uuid: String,
    slug: String,
    name: String,
    upstream_url: String,
    upstream_headers: Fields,
    upstream_timeout_seconds: u32,
    rate_limit_per_minute: u32,
    created_at: Option<String>,
}

/// Header fields as an object, in their order.
struct Fields(Vec<v1::Header>);

impl std::fmt::Debug for Fields {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Fields({} redacted)", self.0.len())
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
        }
    }
}

#[derive(Debug, Serialize)]
struct Variable {
    name: String,
    r#type: String,
    required: bool,
}

#[derive(Debug, Serialize)]
struct Operation {
    name: Option<String>,
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

/// A portal; with its token only in the answer that made it.
#[derive(Serialize)]
pub(super) struct Portal {
    uuid: String,
    slug: String,
    organization_uuid: String,
    name: String,
    description: Option<String>,
    query: String,
    allowed_ip_addresses: Option<String>,
    user_invokable: bool,
    extra_variables: &'static str,
    created_at: Option<String>,
    created_by: Option<User>,
    updated_at: Option<String>,
    revision: u64,
    url: String,
    operations: Vec<Operation>,
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl Portal {
    /// `url` is where it is invoked.
    pub(super) fn new(portal: v1::Portal, url: String, token: Option<String>) -> Self {
        let extra_variables = match portal.extra_variables() {
            ExtraVariables::Ignore => "ignore",
            ExtraVariables::Reject | ExtraVariables::Unspecified => "reject",
        };
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
            token,
        }
    }
}

/// A token of a portal; itself only in the answer that made it.
#[derive(Serialize)]
pub(super) struct Token {
    uuid: String,
    description: Option<String>,
    kind: String,
    created_at: Option<String>,
    created_by: Option<User>,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl Token {
    pub(super) fn new(token: v1::PortalToken, itself: Option<String>) -> Self {
        Self {
            uuid: token.uuid,
            description: token.description,
            kind: token.kind,
            created_at: time(token.created_at),
            created_by: token.created_by.map(User::from),
            expires_at: time(token.expires_at),
            last_used_at: time(token.last_used_at),
            token: itself,
        }
    }
}

/// Who did something, or to what it was done.
#[derive(Debug, Serialize)]
struct Party {
    r#type: String,
    uuid: Option<String>,
    name: Option<String>,
}

/// One change.
#[derive(Debug, Serialize)]
pub(super) struct AuditEvent {
    uuid: String,
    occurred_at: Option<String>,
    r#type: String,
    actor: Option<Party>,
    subject: Option<Party>,
    data: Box<RawValue>,
    ip: Option<String>,
    sequence: u64,
    previous_hash: Option<String>,
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

/// An access token.
#[derive(Debug, Serialize)]
pub(super) struct AccessToken {
    uuid: String,
    scopes: Vec<String>,
    description: Option<String>,
    created_at: Option<String>,
    user: Option<User>,
}

impl From<v1::DescribeAccessTokenResponse> for AccessToken {
    fn from(token: v1::DescribeAccessTokenResponse) -> Self {
        Self {
            uuid: token.uuid,
            scopes: token.scopes,
            description: filled(token.description),
            created_at: time(token.created_at),
            user: token.user.map(User::from),
        }
    }
}
