//! `/v2/organizations/{org}/audit_events`: what was changed.

use super::{Answered, Asked, answered, json, page, render};
use http::StatusCode;
use proto::registry::v1::ListAuditEventsRequest;

pub(super) async fn list(asked: Asked) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let request = ListAuditEventsRequest { organization: asked.slug(0), page: Some(page) };
    let listed = answered(asked.registry().list_audit_events(asked.message(request))).await?;
    let events: Vec<_> = listed.events.into_iter().map(render::AuditEvent::from).collect();
    let mut response = json(StatusCode::OK, &events);
    page::link(response.headers_mut(), &asked, page, listed.total);
    Ok(response)
}
