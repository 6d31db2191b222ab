//! `/v2/organizations/{org}/audit_events` and, for what belongs to no organization, `/v2/audit_events`.

use super::{
    Answered, Asked, answered,
    describe::Described,
    json, page, render,
    route::{Noun, Route},
};
use http::{Method, StatusCode};
use proto::registry::v1::ListAuditEventsRequest;

const READ: &str = "read_audit_events";

pub(super) fn noun() -> Noun {
    let path = "/v2/organizations/{organization}/audit_events";
    let listed =
        Described::lists::<render::AuditEvent>("listAuditEvents", "List what was changed in an organization");
    let of_house = Described::lists::<render::AuditEvent>(
        "listAllAuditEvents",
        "List what was changed in no organization",
    )
    .about("Users and their access tokens belong to none. For the operator alone.");
    Noun {
        name: "Audit events",
        about: "What was changed, by whom, when and from where.",
        routes: vec![
            Route::asks(Method::GET, path, listed.needs(READ), list),
            Route::asks(Method::GET, "/v2/audit_events", of_house.needs(READ), list_of_house),
        ],
    }
}

async fn list(asked: Asked) -> Answered {
    let organization = asked.slug(0);
    list_of(asked, organization).await
}

async fn list_of_house(asked: Asked) -> Answered {
    list_of(asked, String::new()).await
}

async fn list_of(asked: Asked, organization: String) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let request = ListAuditEventsRequest { organization, page: Some(page) };
    let listed = answered(asked.registry().list_audit_events(asked.message(request))).await?;
    let events: Vec<_> = listed.events.into_iter().map(render::AuditEvent::from).collect();
    let mut response = json(StatusCode::OK, &events);
    page::link(response.headers_mut(), &asked, page, listed.total);
    Ok(response)
}
