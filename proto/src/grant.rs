//! The claims of a grant: what the registry signs and the executor runs.
//!
//! A wire format: the registry and the executor may be of different versions, so fields are only ever added,
//! with a default. Signing and verifying are theirs.

use model::{
    document::{Operation, OperationKind, Type, Variable},
    input::{EnumValues, InputField, InputObject, InputType},
    portal::ExtraVariables,
    restriction::{InvalidRestrictions, Narrowing, Parts, Restrictions},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// `iss`: who signs.
pub const ISSUER: &str = "portals-registry";
/// `aud`: who is to run it.
pub const AUDIENCE: &str = "portals-executor";
/// `typ` of the header, so that no other JWT is taken for a grant.
pub const TYPE: &str = "portals-grant+jwt";
/// `typ` of a grant that may do less than its portal: an executor that does not know the restrictions refuses it, rather
/// than running it without.
pub const NARROWED_TYPE: &str = "portals-narrowed-grant+jwt";

/// What a grant says.
#[derive(Clone, Deserialize, Serialize)]
pub struct Claims {
    /// Who signed.
    pub iss: String,
    /// Who is to run it.
    pub aud: String,
    /// When it was signed, in seconds since 1970.
    pub iat: u64,
    /// Until when it holds, in seconds since 1970.
    pub exp: u64,
    /// The organization's UUID.
    pub organization: String,
    /// The portal's UUID.
    pub portal: String,
    /// The portal's revision.
    pub revision: u64,
    /// The token's UUID.
    pub token: String,
    /// What may be run.
    pub document: DocumentClaim,
    /// Whether undeclared variables are left out instead of refused.
    #[serde(default)]
    pub ignore_extra_variables: bool,
    /// Whether identical queries in flight of the token share one answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub coalesce: bool,
    /// Where it is run.
    pub upstream: UpstreamClaim,
    /// What of all this may not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restrictions: Option<RestrictionsClaim>,
    /// Of a grant that is good for one call: what an executor knows it by, a UUID of version 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<Uuid>,
}

impl fmt::Debug for Claims {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Claims")
            .field("organization", &self.organization)
            .field("portal", &self.portal)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

impl Claims {
    /// The `typ` of the header that goes with them.
    pub fn r#type(&self) -> &'static str {
        if self.restrictions.is_some() || self.jti.is_some() { NARROWED_TYPE } else { TYPE }
    }

    /// What becomes of variables that nobody declared.
    pub fn extra_variables(&self) -> ExtraVariables {
        if self.ignore_extra_variables { ExtraVariables::Ignore } else { ExtraVariables::Reject }
    }
}

/// An upstream, with all that is secret sealed to the executor.
#[derive(Clone, Deserialize, Serialize)]
pub struct UpstreamClaim {
    /// Where it is.
    pub url: String,
    /// Credential and header fields: [`UpstreamSecrets`] in JSON, sealed with the key for credentials to the
    /// organization's UUID, in base64.
    pub sealed: String,
    /// The whole time of an invocation, in milliseconds.
    pub timeout_ms: u64,
}

/// What only the executor may read of an upstream.
#[derive(Clone, Default, Deserialize, Serialize)]
pub struct UpstreamSecrets {
    /// Goes there as `Authorization: Bearer …`; nothing when empty.
    #[serde(default)]
    pub credential: String,
    /// More header fields, name and value.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

impl fmt::Debug for UpstreamSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("UpstreamSecrets(redacted)")
    }
}

/// What of a token's restrictions the executor sees to.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct RestrictionsClaim {
    /// The operations that may be run; nothing for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<String>>,
    /// The variables that are fixed or checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<NarrowingClaim>,
}

/// What becomes of one variable. JSON stands in it as text, so that no number is rewritten on the way.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct NarrowingClaim {
    /// Its name, without `$`.
    pub name: String,
    /// The value that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// The schemas that its value must be valid against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<String>,
    /// The operations of which one must declare it, or of none any; nothing for those that may be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_by: Option<Vec<String>>,
}

impl NarrowingClaim {
    fn declared_by(&self) -> Option<(String, Vec<String>)> {
        Some((self.name.clone(), self.declared_by.clone()?))
    }
}

impl TryFrom<&RestrictionsClaim> for Restrictions {
    type Error = InvalidRestrictions;

    fn try_from(claim: &RestrictionsClaim) -> Result<Self, InvalidRestrictions> {
        let narrowing = |claim: &NarrowingClaim| {
            (claim.name.clone(), Narrowing::new(claim.fixed.clone(), claim.schemas.clone()))
        };
        Self::parse(Parts {
            operations: claim.operations.clone(),
            variables: claim.variables.iter().map(narrowing).collect(),
            declared_by: claim.variables.iter().filter_map(NarrowingClaim::declared_by).collect(),
            ..Parts::default()
        })
    }
}

/// A document as it was taken apart when it was saved.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DocumentClaim {
    /// Its operations.
    pub operations: Vec<OperationClaim>,
    /// The source of each fragment.
    #[serde(default)]
    pub fragments: Vec<String>,
    /// What is known of the types that its variables reach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<InputTypeClaim>,
}

/// An enum or an input object of the upstream's schema: it has values or fields.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct InputTypeClaim {
    /// Its name.
    pub name: String,
    /// The values of an enum.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The fields of an input object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<InputFieldClaim>,
    /// Whether exactly one of the fields is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_of: bool,
}

/// A field of an input object.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct InputFieldClaim {
    /// Its name.
    pub name: String,
    /// Its type, as GraphQL writes it.
    pub r#type: String,
    /// Whether there is a value for where it is left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
}

/// An operation of a document.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OperationClaim {
    /// Its name, unless it is anonymous.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether it writes.
    #[serde(default)]
    pub mutation: bool,
    /// Its source, without the variables that it never uses.
    pub source: String,
    /// The fragments that it uses, by their place.
    #[serde(default)]
    pub fragments: Vec<u32>,
    /// The variables that it declares.
    #[serde(default)]
    pub variables: Vec<VariableClaim>,
}

/// A declared variable.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct VariableClaim {
    /// Its name, without `$`.
    pub name: String,
    /// Its type, as GraphQL writes it.
    pub r#type: String,
    /// The default's source.
    #[serde(default)]
    pub default: Option<String>,
    /// Whether the operation uses it.
    pub used: bool,
}

impl From<&model::document::Document> for DocumentClaim {
    fn from(document: &model::document::Document) -> Self {
        Self {
            operations: document.operations.iter().map(OperationClaim::from).collect(),
            fragments: document.fragments.clone(),
            types: Vec::new(),
        }
    }
}

impl From<&Operation> for OperationClaim {
    fn from(operation: &Operation) -> Self {
        let variable = |variable: &Variable| VariableClaim {
            name: variable.name.clone(),
            r#type: variable.r#type.to_string(),
            default: variable.default.clone(),
            used: variable.used,
        };
        Self {
            name: operation.name.clone(),
            mutation: operation.kind == OperationKind::Mutation,
            source: operation.source.clone(),
            fragments: operation.fragments.clone(),
            variables: operation.variables.iter().map(variable).collect(),
        }
    }
}

/// A claim that is not what any registry writes.
#[derive(Debug, thiserror::Error)]
#[error("the grant's variable or field `{name}` has no readable type")]
pub struct UnreadableClaim {
    name: String,
}

impl TryFrom<InputTypeClaim> for (String, InputType) {
    type Error = UnreadableClaim;

    fn try_from(claim: InputTypeClaim) -> Result<Self, UnreadableClaim> {
        let field = |InputFieldClaim { name, r#type, default }| match Type::parse(&r#type) {
            Some(r#type) => Ok(InputField { name, r#type, has_default: default }),
            None => Err(UnreadableClaim { name }),
        };
        let InputTypeClaim { name, values, fields, one_of } = claim;
        if !values.is_empty() {
            return Ok((name, InputType::Enum(EnumValues::new(values))));
        }
        let fields = fields.into_iter().map(field).collect::<Result<_, _>>()?;
        Ok((name, InputType::Object(InputObject::new(fields, one_of))))
    }
}

impl TryFrom<OperationClaim> for Operation {
    type Error = UnreadableClaim;

    fn try_from(claim: OperationClaim) -> Result<Self, UnreadableClaim> {
        let variable = |claim: VariableClaim| match Type::parse(&claim.r#type) {
            Some(r#type) => {
                Ok(Variable { name: claim.name, r#type, default: claim.default, used: claim.used })
            }
            None => Err(UnreadableClaim { name: claim.name }),
        };
        Ok(Self {
            name: claim.name,
            kind: if claim.mutation { OperationKind::Mutation } else { OperationKind::Query },
            source: claim.source,
            fragments: claim.fragments,
            variables: claim.variables.into_iter().map(variable).collect::<Result<_, _>>()?,
        })
    }
}
