//! `/v2/organizations` and `/v2/organizations/{org}`.

use super::{
    Answered, Asked, Refused, answered, insert, json, no_content, page,
    precondition::{self, Condition},
    present, render,
};
use axum::response::Response;
use http::{StatusCode, header};
use proto::registry::v1::{
    CreateOrganizationRequest, DeleteOrganizationRequest, GetOrganizationRequest, ListOrganizationsRequest,
    Organization, UpdateOrganizationRequest,
};

const WRITE: &str = "write_organizations";

pub(super) async fn list(asked: Asked) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let request = asked.message(ListOrganizationsRequest { page: Some(page) });
    let listed = answered(asked.registry().list_organizations(request)).await?;
    let organizations: Vec<_> = listed.organizations.into_iter().map(render::Organization::from).collect();
    let mut response = json(StatusCode::OK, &organizations);
    page::link(response.headers_mut(), &asked, page, listed.total);
    Ok(response)
}

pub(super) async fn show(asked: Asked) -> Answered {
    let request = asked.message(GetOrganizationRequest { organization: asked.slug(0) });
    let got = answered(asked.registry().get_organization(request)).await?;
    written(StatusCode::OK, got.organization)
}

pub(super) async fn create(asked: Asked) -> Answered {
    let mut properties = asked.properties(WRITE).await?.without_nulls();
    let request = CreateOrganizationRequest {
        name: properties.required_text("name"),
        slug: properties.text("slug"),
        upstream_url: properties.required_text("upstream_url"),
        upstream_token: properties.text("upstream_token"),
        upstream_headers: properties.headers("upstream_headers"),
        upstream_timeout_seconds: properties.whole_number("upstream_timeout_seconds"),
        rate_limit_per_minute: properties.whole_number("rate_limit_per_minute"),
    };
    properties.finish()?;
    let created = answered(asked.registry().create_organization(asked.message(request))).await?;
    let organization = present(created.organization)?;
    let url = asked.url(&format!("/v2/organizations/{}", organization.slug));
    let mut response = written(StatusCode::CREATED, Some(organization))?;
    insert(response.headers_mut(), header::LOCATION, &url);
    Ok(response)
}

pub(super) async fn update(asked: Asked) -> Answered {
    let mut properties = asked.properties(WRITE).await?;
    let Condition { if_revision, or_revisions } = Condition::read(&asked.headers);
    let slug = asked.slug(0);
    // Whoever sends back what was read sends it too.
    properties.unchanging_text("slug", &slug);
    let request = UpdateOrganizationRequest {
        organization: slug,
        name: properties.text("name"),
        upstream_url: properties.text("upstream_url"),
        upstream_token: properties.clearable_text("upstream_token"),
        upstream_headers: properties.headers("upstream_headers"),
        upstream_timeout_seconds: properties.whole_number("upstream_timeout_seconds"),
        rate_limit_per_minute: properties.whole_number("rate_limit_per_minute"),
        if_revision,
        or_revisions,
    };
    properties.finish()?;
    let updated = answered(asked.registry().update_organization(asked.message(request))).await?;
    written(StatusCode::OK, updated.organization)
}

pub(super) async fn remove(asked: Asked) -> Answered {
    let Condition { if_revision, or_revisions } = Condition::read(&asked.headers);
    let request = DeleteOrganizationRequest { organization: asked.slug(0), if_revision, or_revisions };
    answered(asked.registry().delete_organization(asked.message(request))).await?;
    Ok(no_content())
}

fn written(status: StatusCode, organization: Option<Organization>) -> Result<Response, Refused> {
    let organization = present(organization)?;
    let revision = organization.revision;
    let mut response = json(status, &render::Organization::from(organization));
    precondition::write(response.headers_mut(), revision);
    Ok(response)
}
