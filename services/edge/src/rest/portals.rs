//! `/v2/organizations/{org}/portals` and `…/{portal}`.

use super::{
    Answered, Asked, Refused, answered, insert, json, no_content, page,
    precondition::{self, Condition},
    present,
    properties::Properties,
    render,
};
use axum::response::Response;
use http::{StatusCode, header};
use proto::registry::v1::{
    CreatePortalRequest, DeletePortalRequest, ExtraVariables, GetPortalRequest, ListPortalsRequest, Portal,
    UpdatePortalRequest,
};

const WRITE: &str = "write_portals";

pub(super) async fn list(asked: Asked) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let request = asked.message(ListPortalsRequest { organization: asked.slug(0), page: Some(page) });
    let listed = answered(asked.registry().list_portals(request)).await?;
    let portals: Vec<_> = listed.portals.into_iter().map(|portal| rendered(&asked, portal, None)).collect();
    let mut response = json(StatusCode::OK, &portals);
    page::link(response.headers_mut(), &asked, page, listed.total);
    Ok(response)
}

pub(super) async fn show(asked: Asked) -> Answered {
    let request = GetPortalRequest { organization: asked.slug(0), portal: asked.slug(1) };
    let got = answered(asked.registry().get_portal(asked.message(request))).await?;
    written(&asked, StatusCode::OK, got.portal, None)
}

pub(super) async fn create(asked: Asked) -> Answered {
    let mut properties = asked.properties(WRITE).await?.without_nulls();
    let request = CreatePortalRequest {
        organization: asked.slug(0),
        name: properties.required_text("name"),
        slug: properties.text("slug"),
        description: properties.text("description"),
        query: properties.required_text("query"),
        allowed_ip_addresses: properties.text("allowed_ip_addresses"),
        user_invokable: properties.boolean("user_invokable"),
        extra_variables: extra_variables(&mut properties),
    };
    properties.finish()?;
    let created = answered(asked.registry().create_portal(asked.message(request))).await?;
    let portal = present(created.portal)?;
    let path = format!("/v2/organizations/{}/portals/{}", portal.organization_slug, portal.slug);
    let mut response = written(&asked, StatusCode::CREATED, Some(portal), Some(created.token))?;
    insert(response.headers_mut(), header::LOCATION, &asked.url(&path));
    Ok(response)
}

pub(super) async fn update(asked: Asked) -> Answered {
    let mut properties = asked.properties(WRITE).await?;
    let Condition { if_revision, or_revisions } = Condition::read(&asked.headers);
    let request = UpdatePortalRequest {
        organization: asked.slug(0),
        portal: asked.slug(1),
        name: properties.text("name"),
        slug: properties.text("slug"),
        description: properties.clearable_text("description"),
        query: properties.text("query"),
        allowed_ip_addresses: properties.clearable_text("allowed_ip_addresses"),
        user_invokable: properties.boolean("user_invokable"),
        extra_variables: extra_variables(&mut properties),
        if_revision,
        or_revisions,
    };
    properties.finish()?;
    let updated = answered(asked.registry().update_portal(asked.message(request))).await?;
    written(&asked, StatusCode::OK, updated.portal, None)
}

pub(super) async fn remove(asked: Asked) -> Answered {
    let Condition { if_revision, or_revisions } = Condition::read(&asked.headers);
    let (organization, portal) = (asked.slug(0), asked.slug(1));
    let request = DeletePortalRequest { organization, portal, if_revision, or_revisions };
    answered(asked.registry().delete_portal(asked.message(request))).await?;
    Ok(no_content())
}

fn extra_variables(properties: &mut Properties) -> i32 {
    let words = [("reject", ExtraVariables::Reject), ("ignore", ExtraVariables::Ignore)];
    properties.word("extra_variables", &words).unwrap_or_default().into()
}

fn rendered(asked: &Asked, portal: Portal, token: Option<String>) -> render::Portal {
    let path = format!("/organizations/{}/portals/{}", portal.organization_slug, portal.slug);
    render::Portal::new(portal, asked.url(&path), token)
}

fn written(
    asked: &Asked,
    status: StatusCode,
    portal: Option<Portal>,
    token: Option<String>,
) -> Result<Response, Refused> {
    let portal = present(portal)?;
    let revision = portal.revision;
    let mut response = json(status, &rendered(asked, portal, token));
    precondition::write(response.headers_mut(), revision);
    Ok(response)
}
