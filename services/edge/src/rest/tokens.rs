//! `/v2/organizations/{org}/portals/{portal}/tokens` and `…/{uuid}`.

use super::{Answered, Asked, answered, insert, json, no_content, page, present, render};
use http::{StatusCode, header};
use proto::registry::v1::{CreatePortalTokenRequest, DeletePortalTokenRequest, ListPortalTokensRequest};
use uuid::Uuid;

pub(super) async fn list(asked: Asked) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let (organization, portal) = (asked.slug(0), asked.slug(1));
    let request = asked.message(ListPortalTokensRequest { organization, portal, page: Some(page) });
    let listed = answered(asked.registry().list_portal_tokens(request)).await?;
    let tokens: Vec<_> = listed.tokens.into_iter().map(|token| render::Token::new(token, None)).collect();
    let mut response = json(StatusCode::OK, &tokens);
    page::link(response.headers_mut(), &asked, page, listed.total);
    Ok(response)
}

pub(super) async fn create(asked: Asked) -> Answered {
    let mut properties = asked.properties("write_portals").await?.without_nulls();
    let request = CreatePortalTokenRequest {
        organization: asked.slug(0),
        portal: asked.slug(1),
        description: properties.text("description"),
        expires_at: properties.time("expires_at"),
    };
    properties.finish()?;
    let created = answered(asked.registry().create_portal_token(asked.message(request))).await?;
    let token = present(created.portal_token)?;
    let (organization, portal) = (asked.slug(0), asked.slug(1));
    let path = format!("/v2/organizations/{organization}/portals/{portal}/tokens/{}", token.uuid);
    let mut response = json(StatusCode::CREATED, &render::Token::new(token, Some(created.token)));
    insert(response.headers_mut(), header::LOCATION, &asked.url(&path));
    Ok(response)
}

pub(super) async fn remove(asked: Asked) -> Answered {
    // What is no UUID is no token's.
    let uuid = asked.path.get(2).and_then(|text| Uuid::parse_str(text).ok()).unwrap_or_default();
    let (organization, portal) = (asked.slug(0), asked.slug(1));
    let request = DeletePortalTokenRequest { organization, portal, uuid: uuid.to_string() };
    answered(asked.registry().delete_portal_token(asked.message(request))).await?;
    Ok(no_content())
}
