//! Records as messages.

use super::restrictions;
use crate::{
    caller::Caller,
    record::{
        self, Moment, Role, Scope,
        document::{Document, Kind, Operation, Variable},
    },
};
use proto::{grant::UpstreamSecrets, registry::v1, time};
use uuid::Uuid;

/// An organization, without what is secret of its upstream but the header fields that its makers chose.
pub(crate) fn organization(organization: record::Organization, secrets: UpstreamSecrets) -> v1::Organization {
    let header = |(name, value)| v1::Header { name, value };
    v1::Organization {
        uuid: organization.uuid.to_string(),
        slug: organization.slug,
        name: organization.name,
        upstream_url: organization.upstream_url,
        upstream_headers: secrets.headers.into_iter().map(header).collect(),
        upstream_timeout_seconds: organization.upstream_timeout_seconds,
        rate_limit_per_minute: organization.rate_limit_per_minute,
        created_at: Some(time::write(organization.created_at_ms.into())),
        revision: organization.revision,
        schema_sha256: organization.schema_sha256,
    }
}

/// A portal with its live document.
pub(crate) fn portal(
    portal: record::Portal,
    document: Document,
    organization_slug: String,
    created_by: Option<v1::User>,
) -> v1::Portal {
    let extra_variables = match portal.extra_variables {
        record::ExtraVariables::Reject => v1::ExtraVariables::Reject,
        record::ExtraVariables::Ignore => v1::ExtraVariables::Ignore,
    };
    v1::Portal {
        uuid: portal.uuid.to_string(),
        organization_uuid: portal.organization.to_string(),
        slug: portal.slug,
        name: portal.name,
        description: portal.description,
        query: document.source,
        allowed_ip_addresses: portal.allowed_ip_addresses,
        user_invokable: portal.user_invokable,
        extra_variables: extra_variables.into(),
        created_at: Some(time::write(portal.created_at_ms.into())),
        created_by,
        updated_at: Some(time::write(portal.updated_at_ms.into())),
        revision: portal.revision,
        operations: document.operations.into_iter().map(operation).collect(),
        warnings: document.warnings,
        organization_slug,
        coalesce: portal.coalesce,
        rate_limit_per_minute: portal.rate_limit_per_minute,
    }
}

fn operation(operation: Operation) -> v1::Operation {
    let kind = match operation.kind {
        Kind::Query => v1::OperationKind::Query,
        Kind::Mutation => v1::OperationKind::Mutation,
    };
    let variable = |Variable { name, r#type, required, .. }| v1::Variable { name, r#type, required };
    v1::Operation {
        name: operation.name,
        kind: kind.into(),
        variables: operation.variables.into_iter().map(variable).collect(),
    }
}

/// A token, who made it, when it was last used, and how many of its uses are spent where they are counted.
pub(crate) fn token(
    token: record::Token,
    created_by: Option<v1::User>,
    last_used_at: Option<Moment>,
    uses: Option<u32>,
) -> v1::PortalToken {
    v1::PortalToken {
        uuid: token.uuid.to_string(),
        description: token.description,
        kind: token.kind.name().to_owned(),
        created_at: Some(time::write(token.created_at_ms.into())),
        created_by,
        expires_at: token.expires_at_ms.map(|at| time::write(at.into())),
        last_used_at: last_used_at.map(|at| time::write(at.into())),
        restrictions: token.restrictions.map(restrictions::told),
        uses,
        rate_limit_per_minute: token.rate_limit_per_minute,
    }
}

/// A secret, who made it and when it was last used.
pub(crate) fn secret(
    secret: record::PortalSecret,
    created_by: Option<v1::User>,
    last_used_at: Option<Moment>,
) -> v1::PortalSecret {
    v1::PortalSecret {
        uuid: secret.uuid.to_string(),
        description: secret.description,
        created_at: Some(time::write(secret.created_at_ms.into())),
        created_by,
        expires_at: secret.expires_at_ms.map(|at| time::write(at.into())),
        last_used_at: last_used_at.map(|at| time::write(at.into())),
        restrictions: secret.restrictions.map(restrictions::told),
    }
}

/// An issuer that a portal trusts, who had it so, and when a token of it was last exchanged.
pub(crate) fn trusted_issuer(
    issuer: record::TrustedIssuer,
    created_by: Option<v1::User>,
    last_used_at: Option<Moment>,
) -> v1::TrustedIssuer {
    let condition = |(claim, pattern)| v1::ClaimCondition { claim, pattern };
    v1::TrustedIssuer {
        uuid: issuer.uuid.to_string(),
        description: issuer.description,
        issuer: issuer.issuer,
        audience: issuer.audience,
        conditions: issuer.conditions.into_iter().map(condition).collect(),
        created_at: Some(time::write(issuer.created_at_ms.into())),
        created_by,
        last_used_at: last_used_at.map(|at| time::write(at.into())),
        restrictions: issuer.restrictions.map(restrictions::told),
    }
}

/// The access token that was presented, and whose it is.
pub(crate) fn presented(caller: &Caller) -> v1::DescribeAccessTokenResponse {
    let token = caller.token();
    v1::DescribeAccessTokenResponse {
        uuid: token.uuid.to_string(),
        scopes: scopes(caller.scopes()),
        user: caller.user().cloned().map(user),
        description: token.description.clone(),
        created_at: Some(time::write(token.created_at_ms.into())),
        expires_at: token.expires_at_ms.map(|at| time::write(at.into())),
    }
}

fn scopes(scopes: &[Scope]) -> Vec<String> {
    scopes.iter().map(|scope| scope.name().to_owned()).collect()
}

/// An access token of a user; the bearer is known to its holder alone.
pub(crate) fn access_token(token: record::AccessToken, last_used_at: Option<Moment>) -> v1::AccessToken {
    v1::AccessToken {
        uuid: token.uuid.to_string(),
        description: token.description,
        scopes: scopes(&token.scopes),
        allowed_ip_addresses: token.allowed_ip_addresses,
        created_at: Some(time::write(token.created_at_ms.into())),
        expires_at: token.expires_at_ms.map(|at| time::write(at.into())),
        last_used_at: last_used_at.map(|at| time::write(at.into())),
    }
}

/// A user.
pub(crate) fn user(user: record::User) -> v1::User {
    v1::User {
        uuid: user.uuid.to_string(),
        name: user.name,
        email: user.email,
        created_at: Some(time::write(user.created_at_ms.into())),
    }
}

/// A member, and who they are.
pub(crate) fn member(membership: record::Membership, user: v1::User) -> v1::Member {
    v1::Member {
        user: Some(user),
        role: role(membership.role).into(),
        created_at: Some(time::write(membership.created_at_ms.into())),
    }
}

/// An invitation; its token is known to its holder alone.
pub(crate) fn invitation(invitation: record::Invitation, created_by: Option<v1::User>) -> v1::Invitation {
    v1::Invitation {
        uuid: invitation.uuid.to_string(),
        email: invitation.email,
        role: role(invitation.role).into(),
        created_at: Some(time::write(invitation.created_at_ms.into())),
        created_by,
        expires_at: Some(time::write(invitation.expires_at_ms.into())),
    }
}

fn role(role: Role) -> v1::Role {
    match role {
        Role::Administrator => v1::Role::Administrator,
        Role::Member => v1::Role::Member,
    }
}

/// A change.
pub(crate) fn audit_event(event: record::AuditEvent) -> v1::AuditEvent {
    let link = event.link.map(|link| (link.sequence, link.previous_hash.unwrap_or_default(), link.hash));
    let (sequence, previous_hash, hash) = link.unwrap_or_default();
    let identity = |uuid: Uuid| if uuid.is_nil() { String::new() } else { uuid.to_string() };
    v1::AuditEvent {
        uuid: event.uuid.to_string(),
        occurred_at: Some(time::write(event.occurred_at_ms.into())),
        r#type: event.r#type,
        actor: Some(v1::Actor {
            r#type: event.actor.r#type.name().to_owned(),
            uuid: identity(event.actor.uuid),
            name: event.actor.name,
        }),
        subject: Some(v1::Subject {
            r#type: event.subject.r#type,
            uuid: event.subject.uuid.to_string(),
            name: event.subject.name,
        }),
        data_json: event.data.to_string(),
        ip: event.ip.map_or_else(String::new, |ip| ip.to_string()),
        sequence,
        previous_hash,
        hash,
    }
}
