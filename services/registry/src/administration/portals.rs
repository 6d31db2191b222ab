//! Portals: made with a document and a first token, changed, ended, told.

use super::{
    Administration, document,
    organizations::read_slug,
    problems::{Problems, invalid},
    revision::check_revision,
    schema::changed_meanwhile,
    tokens::{New, mint},
    upstream::check_rate_limit,
    wire,
};
use crate::{
    caller::Caller,
    change::{Draft, Happening, Plan},
    record::{Document, End, ExtraVariables, Moment, Organization, Pointer, Portal},
    schema::Schema,
    table::{self, Mortal},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{AllowedAddresses, Bearer, Fault, Fingerprint, Reason};
use proto::{
    grant::DocumentClaim,
    registry::v1::{self, CreatePortalRequest, UpdatePortalRequest},
};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// The most portals of an organization.
const MAX_PORTALS: u64 = 10_000_000;
const MAX_ADDRESSES_BYTES: usize = 64 << 10;
/// How much of a text stands in the audit.
const MAX_AUDITED_CHARS: usize = 1_000;

impl Administration<'_> {
    /// The portal that two slugs name, and its organization's slug.
    pub(crate) fn portal(&self, organization: &str, slug: &str) -> Result<Portal, Fault> {
        let organization = self.organization(organization)?;
        self.catalog.portal_named(organization.uuid, slug)?.ok_or_else(no_portal)
    }

    /// A portal as its readers see it.
    pub(crate) fn show_portal(&self, portal: Portal, organization_slug: &str) -> Result<v1::Portal, Fault> {
        let document = self.catalog.document(&portal)?;
        let created_by = self.creator(portal.created_by)?;
        Ok(wire::portal(portal, document, organization_slug.to_owned(), created_by))
    }

    /// What tokens of a portal run, as long as they are not pinned to less.
    pub(super) fn runnable(&self, portal: &Portal) -> Result<DocumentClaim, Fault> {
        Ok(self.catalog.claim(portal.organization, self.catalog.document(portal)?)?)
    }

    pub(crate) async fn create_portal(
        &self,
        caller: &Caller,
        request: CreatePortalRequest,
    ) -> Result<(v1::Portal, Bearer), Fault> {
        let judging = self.organization(&request.organization)?;
        let schema = self.schema_of(&judging).await?;
        let organization = request.organization.clone();
        let portal = new_portal(request, schema).await?;
        let plan = || {
            let mut draft = Draft::of(self.catalog, &organization)?;
            check_schema(&judging, &draft.organization)?;
            let (organization, created_by) = (draft.organization.uuid, caller.user_uuid());
            let portal = Portal { organization, created_by, ..portal.clone() };
            self.claim_slug(&mut draft, &portal)?;
            if draft.tally.portals >= MAX_PORTALS {
                return Err(invalid(format_args!(
                    "the organization has {MAX_PORTALS} portals, which is the most"
                )));
            }
            draft.tally.portals += 1;
            draft.put(table::portal(portal.organization, portal.uuid), &portal);
            let new = New { created_by, ..New::default() };
            let (bearer, token) = mint(&mut draft, &portal, new, portal.created_at_ms);
            let mut data = described(&portal);
            data.insert("token".to_owned(), json!(token.uuid));
            let happening = Happening {
                r#type: "PORTAL_CREATED",
                subject: "portal",
                uuid: portal.uuid,
                name: &portal.name,
                data: data.into(),
            };
            Ok(Plan::Write(draft.record(caller, portal.created_at_ms, happening), (portal, bearer)))
        };
        let ((portal, bearer), _) = self.turns.change(self.catalog, &organization, plan).await?;
        Ok((self.show_portal(portal, &organization)?, bearer))
    }

    /// Takes a portal's slug, if no other portal of the organization has it.
    fn claim_slug(&self, draft: &mut Draft, portal: &Portal) -> Result<(), Fault> {
        if self.catalog.portal_named(portal.organization, &portal.slug)?.is_some() {
            return Err(invalid(format_args!("slug `{}` is already taken", portal.slug)));
        }
        draft.put(table::portal_slug(portal.organization, &portal.slug), &Pointer { uuid: portal.uuid });
        Ok(())
    }

    pub(crate) async fn update_portal(
        &self,
        caller: &Caller,
        request: UpdatePortalRequest,
    ) -> Result<v1::Portal, Fault> {
        let judging = self.organization(&request.organization)?;
        self.portal(&request.organization, &request.portal)?;
        let schema = match &request.query {
            Some(_) => self.schema_of(&judging).await?,
            None => None,
        };
        let changes = Changes::read(&request, schema).await?;
        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            if changes.document.is_some() {
                check_schema(&judging, &draft.organization)?;
            }
            let found = self.catalog.portal_named(draft.organization.uuid, &request.portal)?;
            let before = found.ok_or_else(no_portal)?;
            check_revision(request.if_revision, &request.or_revisions, before.revision)?;
            let after = changes.apply(&before, self.catalog.document(&before)?);
            let data = changed(&before, &after);
            if data.is_empty() {
                return Ok(Plan::Nothing(before));
            }
            if after.slug != before.slug {
                self.claim_slug(&mut draft, &after)?;
                draft.delete(table::portal_slug(before.organization, &before.slug));
            }
            if after.document_revision != before.document_revision {
                put_away(&mut draft, &before);
            }
            draft.put(table::portal(after.organization, after.uuid), &after);
            let happening = Happening {
                r#type: "PORTAL_UPDATED",
                subject: "portal",
                uuid: after.uuid,
                name: &after.name,
                data: data.into(),
            };
            Ok(Plan::Write(draft.record(caller, after.updated_at_ms, happening), after))
        };
        let portal = self.withdraw(&request.organization, plan).await?;
        self.show_portal(portal, &request.organization)
    }

    /// Ends a portal and with it its tokens. Its documents stay; its slug is free again.
    pub(crate) async fn delete_portal(
        &self,
        caller: &Caller,
        request: v1::DeletePortalRequest,
    ) -> Result<(), Fault> {
        let plan = || {
            let mut draft = Draft::of(self.catalog, &request.organization)?;
            let found = self.catalog.portal_named(draft.organization.uuid, &request.portal)?;
            let portal = found.ok_or_else(no_portal)?;
            check_revision(request.if_revision, &request.or_revisions, portal.revision)?;
            put_away(&mut draft, &portal);
            let Portal { uuid, organization, slug, name, revision, .. } = portal;
            let now = Moment::now();
            draft.tally.portals = draft.tally.portals.saturating_sub(1);
            draft.delete(table::portal(organization, uuid));
            draft.delete(table::portal_slug(organization, &slug));
            draft.put(table::end(Mortal::Portal, uuid), &End { ended_at_ms: now });
            let data = json!({"slug": slug, "revision": revision});
            let happening =
                Happening { r#type: "PORTAL_DELETED", subject: "portal", uuid, name: &name, data };
            Ok(Plan::Write(draft.record(caller, now, happening), ()))
        };
        self.withdraw(&request.organization, plan).await
    }
}

/// What is to change of a portal, checked.
struct Changes<'a> {
    request: &'a UpdatePortalRequest,
    allowed_ip_addresses: Option<Option<String>>,
    document: Option<Document>,
}

impl<'a> Changes<'a> {
    async fn read(request: &'a UpdatePortalRequest, schema: Option<Arc<Schema>>) -> Result<Self, Fault> {
        let mut problems = Problems::default();
        request.name.iter().for_each(|name| problems.check_name(name));
        if let Some(slug) = &request.slug {
            problems.take("slug", slug.parse::<model::Slug>());
        }
        problems.check_description(request.description.as_ref().and_then(|text| text.value.as_deref()));
        let allowed_ip_addresses = request
            .allowed_ip_addresses
            .as_ref()
            .map(|text| read_ranges(&mut problems, text.value.as_deref()));
        check_rate_limit(&mut problems, request.rate_limit_per_minute.and_then(|limit| limit.value));
        let document = match &request.query {
            Some(query) => document::read(&mut problems, query.clone(), schema).await?,
            None => None,
        };
        problems.verdict()?;
        Ok(Self { request, allowed_ip_addresses, document })
    }

    /// The portal as it is to be; `live` is the document that it has.
    fn apply(&self, before: &Portal, live: Document) -> Portal {
        let request = self.request;
        let revision = before.revision + 1;
        // The same text, of which another schema tells more, is another document.
        let said = |document: &Document| (document.source.clone(), document.warnings.clone());
        let new = self.document.clone().filter(|new| said(new) != said(&live));
        let extra_variables = match request.extra_variables() {
            v1::ExtraVariables::Unspecified => before.extra_variables,
            sent => read_extra_variables(sent),
        };
        let description = request.description.as_ref().map(|text| text.value.clone());
        let rate_limit = request.rate_limit_per_minute.map(|limit| limit.value);
        let portal = Portal {
            name: request.name.clone().unwrap_or_else(|| before.name.clone()),
            slug: request.slug.clone().unwrap_or_else(|| before.slug.clone()),
            description: description.unwrap_or_else(|| before.description.clone()),
            allowed_ip_addresses: self
                .allowed_ip_addresses
                .clone()
                .unwrap_or_else(|| before.allowed_ip_addresses.clone()),
            user_invokable: request.user_invokable.unwrap_or(before.user_invokable),
            extra_variables,
            updated_at_ms: Moment::now(),
            revision,
            document_revision: if new.is_some() { revision } else { before.document_revision },
            document: Some(new.unwrap_or(live)),
            coalesce: request.coalesce.unwrap_or(before.coalesce),
            rate_limit_per_minute: rate_limit.unwrap_or(before.rate_limit_per_minute),
            ..before.clone()
        };
        // Members' tokens end when it is turned off, and are not brought back when it is turned on.
        let invokable_since = match (before.user_invokable, portal.user_invokable) {
            (false, true) => revision,
            (true, _) | (false, false) => before.invokable_since,
        };
        Portal { invokable_since, ..portal }
    }
}

/// The portal that a request describes; whose it is, is not known yet.
async fn new_portal(request: CreatePortalRequest, schema: Option<Arc<Schema>>) -> Result<Portal, Fault> {
    let mut problems = Problems::default();
    problems.check_name(&request.name);
    let uuid = Uuid::now_v7();
    let slug = read_slug(&mut problems, &request.name, request.slug.as_deref(), uuid);
    problems.check_description(request.description.as_deref());
    let allowed_ip_addresses = read_ranges(&mut problems, request.allowed_ip_addresses.as_deref());
    let extra_variables = read_extra_variables(request.extra_variables());
    check_rate_limit(&mut problems, request.rate_limit_per_minute);
    let document = document::read(&mut problems, request.query, schema).await?;
    problems.verdict()?;
    let (Some(document), Some(slug)) = (document, slug) else {
        return Err(invalid("name and query are required"));
    };
    let now = Moment::now();
    Ok(Portal {
        uuid,
        organization: Uuid::nil(),
        slug,
        name: request.name,
        description: request.description,
        allowed_ip_addresses,
        user_invokable: request.user_invokable.unwrap_or_default(),
        extra_variables,
        created_at_ms: now,
        updated_at_ms: now,
        revision: 1,
        document_revision: 1,
        document: Some(document),
        created_by: None,
        coalesce: request.coalesce.unwrap_or_default(),
        rate_limit_per_minute: request.rate_limit_per_minute,
        invokable_since: 0,
    })
}

/// Keeps a portal's live document beside those that were live before it.
fn put_away(draft: &mut Draft, portal: &Portal) {
    if let Some(document) = &portal.document {
        draft.put(table::document(portal.uuid, portal.document_revision), document);
    }
}

/// Passes while the schema that a document was held against is the organization's.
fn check_schema(judging: &Organization, now: &Organization) -> Result<(), Fault> {
    match judging.schema_sha256 == now.schema_sha256 {
        true => Ok(()),
        false => Err(changed_meanwhile()),
    }
}

/// The addresses of a portal as they were sent. An empty list allows as much as none, and is told as it was sent: there
/// are clients to which what they sent and what they are told must be the same.
fn read_ranges(problems: &mut Problems, text: Option<&str>) -> Option<String> {
    let allowed = read_allowed(problems, text);
    allowed.or_else(|| text.filter(|text| text.trim().is_empty()).map(str::to_owned))
}

/// The addresses as they were sent; nothing where all are allowed.
pub(crate) fn read_allowed(problems: &mut Problems, text: Option<&str>) -> Option<String> {
    if text.is_some_and(|text| text.len() > MAX_ADDRESSES_BYTES) {
        problems.add(format!("allowed_ip_addresses must have at most {MAX_ADDRESSES_BYTES} bytes"));
        return None;
    }
    let allowed = problems.take("allowed_ip_addresses", AllowedAddresses::parse(text.unwrap_or_default()));
    allowed.as_ref().and_then(AllowedAddresses::as_text).map(str::to_owned)
}

fn read_extra_variables(sent: v1::ExtraVariables) -> ExtraVariables {
    match sent {
        v1::ExtraVariables::Unspecified | v1::ExtraVariables::Reject => ExtraVariables::Reject,
        v1::ExtraVariables::Ignore => ExtraVariables::Ignore,
    }
}

pub(super) fn no_portal() -> Fault {
    Fault::new(Reason::NotFound, "No portal found")
}

/// What of a portal stands in the audit.
fn described(portal: &Portal) -> Map<String, Value> {
    let mut data = Map::new();
    let mut note = |property: &str, value: Value| data.insert(property.to_owned(), value);
    note("name", json!(portal.name));
    note("slug", json!(portal.slug));
    note("description", json!(audited(portal.description.as_deref())));
    note("allowed_ip_addresses", json!(audited(portal.allowed_ip_addresses.as_deref())));
    note("user_invokable", json!(portal.user_invokable));
    note("extra_variables", json!(portal.extra_variables));
    note("coalesce", json!(portal.coalesce));
    note("rate_limit_per_minute", json!(portal.rate_limit_per_minute));
    note("document_revision", json!(portal.document_revision));
    data
}

/// A text for the audit, which keeps the beginning of a long one and its fingerprint.
fn audited(text: Option<&str>) -> Option<String> {
    let text = text?;
    let Some((end, _)) = text.char_indices().nth(MAX_AUDITED_CHARS) else { return Some(text.to_owned()) };
    let fingerprint = URL_SAFE_NO_PAD.encode(Fingerprint::of(text.as_bytes()).as_bytes());
    Some(format!("{}… (SHA-256 {fingerprint})", text.get(..end).unwrap_or_default()))
}

/// What changed, before and after, for the audit; a document is told by its revision.
fn changed(before: &Portal, after: &Portal) -> Map<String, Value> {
    let mut data = described(after);
    for (property, before) in described(before) {
        if let Some(after) = data.remove(&property).filter(|after| *after != before) {
            data.insert(property, json!({"before": before, "after": after}));
        }
    }
    data
}

#[cfg(test)]
mod tests;
