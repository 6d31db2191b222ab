//! Organizations: made, changed, ended, told.

use super::{
    Administration,
    problems::{Problems, invalid},
    revision::check_revision,
    schema::NewSchema,
    upstream, wire,
};
use crate::{
    caller::Caller,
    change::{Draft, Happening, Plan},
    record::{End, Moment, Organization, Pointer, Role},
    table::{self, Mortal},
};
use model::{
    Fault, Reason, Slug,
    organization::{RATE_LIMIT_PER_MINUTE, UPSTREAM_TIMEOUT},
};
use proto::{
    grant::UpstreamSecrets,
    registry::v1::{self, CreateOrganizationRequest, UpdateOrganizationRequest},
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The most organizations.
const MAX_ORGANIZATIONS: u64 = 100_000;

impl Administration<'_> {
    /// An organization as its readers see it: of what goes upstream, a user sees as much as their role lets them.
    pub(crate) fn show_organization(
        &self,
        organization: Organization,
        user: Option<Uuid>,
    ) -> Result<v1::Organization, Fault> {
        let role = match user {
            Some(user) => self.catalog.membership(organization.uuid, user)?.map(|membership| membership.role),
            None => Some(Role::Administrator),
        };
        let secrets = match role {
            Some(Role::Administrator) => {
                upstream::open(self.credentials, organization.uuid, &organization.upstream_sealed)?
            }
            Some(Role::Member) | None => UpstreamSecrets::default(),
        };
        Ok(wire::organization(organization, secrets))
    }

    pub(crate) fn organization(&self, slug: &str) -> Result<Organization, Fault> {
        let found = self.catalog.organization_named(slug)?;
        found.ok_or_else(no_organization)
    }

    pub(crate) async fn create_organization(
        &self,
        caller: &Caller,
        request: CreateOrganizationRequest,
    ) -> Result<v1::Organization, Fault> {
        let (organization, secrets, schema) = self.new_organization(request).await?;
        let plan = || {
            if self.catalog.organization_named(&organization.slug)?.is_some() {
                return Err(invalid(format_args!("slug `{}` is already taken", organization.slug)));
            }
            if self.catalog.count_organizations() >= MAX_ORGANIZATIONS {
                return Err(invalid(format_args!(
                    "there are {MAX_ORGANIZATIONS} organizations, which is the most"
                )));
            }
            let Organization { uuid, slug, name, .. } = &organization;
            let mut draft = Draft::new(organization.clone());
            draft.put(table::organization(*uuid), &organization);
            draft.put(table::organization_slug(slug), &Pointer { uuid: *uuid });
            if let Some(schema) = &schema {
                self.write_schema(&mut draft, *uuid, Some(schema))?;
            }
            let data = described(&organization, &secrets);
            let happening = Happening {
                r#type: "ORGANIZATION_CREATED",
                subject: "organization",
                uuid: *uuid,
                name,
                data,
            };
            Ok(Plan::Write(draft.record(caller, organization.created_at_ms, happening), ()))
        };
        self.turns.change(self.catalog, &organization.slug, plan).await?;
        Ok(wire::organization(organization, secrets))
    }

    async fn new_organization(
        &self,
        request: CreateOrganizationRequest,
    ) -> Result<(Organization, UpstreamSecrets, Option<NewSchema>), Fault> {
        let mut problems = Problems::default();
        problems.check_name(&request.name);
        let uuid = Uuid::now_v7();
        let slug = read_slug(&mut problems, &request.name, request.slug.as_deref(), uuid);
        upstream::check_url(&mut problems, &request.upstream_url);
        let credential = request.upstream_token.unwrap_or_default();
        upstream::check_credential(&mut problems, &credential);
        let headers = upstream::read_headers(&mut problems, request.upstream_headers.unwrap_or_default());
        let (timeout, limit) = (request.upstream_timeout_seconds, request.rate_limit_per_minute);
        upstream::check_limits(&mut problems, timeout, limit);
        let schema = match request.schema {
            Some(source) => self.read_schema(&mut problems, source).await?,
            None => None,
        };
        problems.verdict()?;

        let secrets = UpstreamSecrets { credential, headers };
        let default_timeout = u32::try_from(UPSTREAM_TIMEOUT.as_secs()).unwrap_or(u32::MAX);
        let organization = Organization {
            uuid,
            slug: slug.unwrap_or_default(),
            name: request.name,
            upstream_url: request.upstream_url,
            upstream_sealed: upstream::seal(self.credentials, uuid, &secrets)?,
            upstream_timeout_seconds: timeout.unwrap_or(default_timeout),
            rate_limit_per_minute: limit.unwrap_or(RATE_LIMIT_PER_MINUTE),
            created_at_ms: Moment::now(),
            revision: 1,
            schema_sha256: schema.as_ref().map(|schema| schema.sha256.clone()),
        };
        Ok((organization, secrets, schema))
    }

    pub(crate) async fn update_organization(
        &self,
        caller: &Caller,
        request: UpdateOrganizationRequest,
    ) -> Result<v1::Organization, Fault> {
        let mut problems = Problems::default();
        request.name.iter().for_each(|name| problems.check_name(name));
        request.upstream_url.iter().for_each(|url| upstream::check_url(&mut problems, url));
        let credential = request.upstream_token.map(|token| token.value.unwrap_or_default());
        credential.iter().for_each(|credential| upstream::check_credential(&mut problems, credential));
        let headers = request.upstream_headers.map(|headers| upstream::read_headers(&mut problems, headers));
        let (timeout, limit) = (request.upstream_timeout_seconds, request.rate_limit_per_minute);
        upstream::check_limits(&mut problems, timeout, limit);
        let schema = match request.schema.map(|schema| schema.value) {
            Some(Some(source)) => Some(self.read_schema(&mut problems, source).await?),
            Some(None) => Some(None),
            None => None,
        };
        problems.verdict()?;

        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            let before = draft.organization.clone();
            check_revision(request.if_revision, &request.or_revisions, before.revision)?;
            let secrets_before = upstream::open(self.credentials, before.uuid, &before.upstream_sealed)?;
            let secrets = UpstreamSecrets {
                credential: credential.clone().unwrap_or_else(|| secrets_before.credential.clone()),
                headers: headers.clone().unwrap_or_else(|| secrets_before.headers.clone()),
            };
            let mut after = Organization {
                name: request.name.clone().unwrap_or_else(|| before.name.clone()),
                upstream_url: request.upstream_url.clone().unwrap_or_else(|| before.upstream_url.clone()),
                upstream_timeout_seconds: timeout.unwrap_or(before.upstream_timeout_seconds),
                rate_limit_per_minute: limit.unwrap_or(before.rate_limit_per_minute),
                schema_sha256: match &schema {
                    Some(schema) => schema.as_ref().map(|schema| schema.sha256.clone()),
                    None => before.schema_sha256.clone(),
                },
                ..before.clone()
            };
            let data = changed((&before, &secrets_before), (&after, &secrets));
            if data.is_empty() {
                return Ok(Plan::Nothing((before, secrets)));
            }
            after.revision += 1;
            after.upstream_sealed = upstream::seal(self.credentials, after.uuid, &secrets)?;
            draft.put(table::organization(after.uuid), &after);
            if after.schema_sha256 != before.schema_sha256 {
                self.write_schema(&mut draft, after.uuid, schema.as_ref().and_then(Option::as_ref))?;
            }
            let happening = Happening {
                r#type: "ORGANIZATION_UPDATED",
                subject: "organization",
                uuid: after.uuid,
                name: &after.name,
                data: data.into(),
            };
            let batch = draft.record(caller, Moment::now(), happening);
            Ok(Plan::Write(batch, (after, secrets)))
        };
        let (organization, secrets) = self.withdraw(&request.organization, plan).await?;
        Ok(wire::organization(organization, secrets))
    }

    /// Ends an organization, and its upstream's schema. What else it owned stays where it lies, and nothing leads there any more.
    pub(crate) async fn delete_organization(
        &self,
        caller: &Caller,
        request: v1::DeleteOrganizationRequest,
    ) -> Result<(), Fault> {
        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            let Organization { uuid, slug, name, revision, .. } = draft.organization.clone();
            check_revision(request.if_revision, &request.or_revisions, revision)?;
            let now = Moment::now();
            draft.delete(table::organization(uuid));
            draft.delete(table::organization_slug(&slug));
            draft.delete(table::tally(uuid));
            if draft.organization.schema_sha256.is_some() {
                self.write_schema(&mut draft, uuid, None)?;
            }
            draft.put(table::end(Mortal::Organization, uuid), &End { ended_at_ms: now });
            let data = json!({"slug": slug, "portals": draft.tally.portals});
            let happening = Happening {
                r#type: "ORGANIZATION_DELETED",
                subject: "organization",
                uuid,
                name: &name,
                data,
            };
            Ok(Plan::Write(draft.record_last(caller, now, happening), ()))
        };
        self.withdraw(&request.organization, plan).await
    }
}

pub(crate) fn no_organization() -> Fault {
    Fault::new(Reason::NotFound, "No organization found")
}

/// The slug that was sent, or one that is made from the name; from the UUID, where the name has nothing that one is
/// made of.
pub(crate) fn read_slug(
    problems: &mut Problems,
    name: &str,
    slug: Option<&str>,
    uuid: Uuid,
) -> Option<String> {
    match slug {
        Some(slug) => problems.take("slug", slug.parse::<Slug>()).map(|slug| slug.to_string()),
        None => Some(Slug::from_name(name).map_or_else(|_| uuid.to_string(), |slug| slug.to_string())),
    }
}

/// A new organization for the audit; of secrets only that they are there.
fn described(organization: &Organization, secrets: &UpstreamSecrets) -> Value {
    json!({
        "slug": organization.slug,
        "upstream_url": organization.upstream_url,
        "upstream_token": if secrets.credential.is_empty() { "none" } else { "set" },
        "upstream_headers": header_names(secrets),
        "upstream_timeout_seconds": organization.upstream_timeout_seconds,
        "rate_limit_per_minute": organization.rate_limit_per_minute,
        "schema_sha256": organization.schema_sha256,
    })
}

/// What changed, before and after, for the audit; of secrets only that they did.
fn changed(
    (before, secrets_before): (&Organization, &UpstreamSecrets),
    (after, secrets): (&Organization, &UpstreamSecrets),
) -> Map<String, Value> {
    let mut data = Map::new();
    let mut note = |property: &str, before: Value, after: Value| {
        if before != after {
            data.insert(property.to_owned(), json!({"before": before, "after": after}));
        }
    };
    note("name", json!(before.name), json!(after.name));
    note("upstream_url", json!(before.upstream_url), json!(after.upstream_url));
    let seconds = |organization: &Organization| json!(organization.upstream_timeout_seconds);
    note("upstream_timeout_seconds", seconds(before), seconds(after));
    note("rate_limit_per_minute", json!(before.rate_limit_per_minute), json!(after.rate_limit_per_minute));
    note("schema_sha256", json!(before.schema_sha256), json!(after.schema_sha256));
    if secrets_before.headers != secrets.headers {
        let names = json!({"before": header_names(secrets_before), "after": header_names(secrets)});
        data.insert("upstream_headers".to_owned(), names);
    }
    if secrets_before.credential != secrets.credential {
        let kind = if secrets.credential.is_empty() { "cleared" } else { "changed" };
        data.insert("upstream_token".to_owned(), json!(kind));
    }
    data
}

fn header_names(secrets: &UpstreamSecrets) -> Vec<&str> {
    secrets.headers.iter().map(|(name, _)| name.as_str()).collect()
}
