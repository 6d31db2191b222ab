//! `/v2/organizations/{org}/audit_events`: what was changed.

use super::{
    Answered, Asked, answered,
    describe::Described,
    json, page, render,
    route::{Noun, Route},
};
use http::{Method, StatusCode};
use proto::registry::v1::ListAuditEventsRequest;

pub(super) fn noun() -> Noun {
    let path = "/v2/organizations/{organization}/audit_events";
    let listed =
        Described::lists::<render::AuditEvent>("listAuditEvents", "List what was changed in an organization");
    Noun {
        name: "Audit events",
        about: "What was changed, by whom, when and from where.",
        routes: vec![Route::asks(Method::GET, path, listed.needs("read_audit_events"), list)],
    }
}

async fn list(asked: Asked) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let request = ListAuditEventsRequest { organization: asked.slug(0), page: Some(page) };
    let listed = answered(asked.registry().list_audit_events(asked.message(request))).await?;
    let events: Vec<_> = listed.events.into_iter().map(render::AuditEvent::from).collect();
    let mut response = json(StatusCode::OK, &events);
    page::link(response.headers_mut(), &asked, page, listed.total);
    Ok(response)
}
