//! Every change is on record, without secrets.

use crate::desk::{ADMIN_TOKEN, Desk};
use proto::registry::v1;

#[tokio::test]
async fn every_change_is_on_record_with_who_and_from_where() {
    let desk = Desk::open().await;
    let (portal, bearer) = desk.portal("acme", "Viewer").await;
    let (token, _) = desk.token("acme", "viewer").await;
    desk.revoke("acme", "viewer", &token.uuid).await.unwrap();
    let update = v1::UpdatePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        name: Some("Who".to_owned()),
        ..Default::default()
    };
    desk.administration().update_portal(desk.signed(update)).await.unwrap();
    let update = v1::UpdateOrganizationRequest {
        organization: "acme".to_owned(),
        upstream_token: Some(v1::OptionalText { value: Some("canary-other".to_owned()) }),
        ..Default::default()
    };
    desk.administration().update_organization(desk.signed(update)).await.unwrap();
    let delete = v1::DeletePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        if_revision: None,
        or_revisions: Vec::new(),
    };
    desk.administration().delete_portal(desk.signed(delete)).await.unwrap();

    let events = desk.events("acme").await;

    let types: Vec<&str> = events.iter().rev().map(|event| event.r#type.as_str()).collect();
    let expected = [
        "ORGANIZATION_CREATED",
        "PORTAL_CREATED",
        "PORTAL_TOKEN_CREATED",
        "PORTAL_TOKEN_REVOKED",
        "PORTAL_UPDATED",
        "ORGANIZATION_UPDATED",
        "PORTAL_DELETED",
    ];
    assert_eq!(types, expected);
    for event in &events {
        let actor = event.actor.as_ref().unwrap();
        assert_eq!(
            (actor.r#type.as_str(), actor.name.as_str(), event.ip.as_str()),
            ("operator", "operator", "192.0.2.7")
        );
        for secret in ["canary", ADMIN_TOKEN, &bearer] {
            assert!(!event.data_json.contains(secret), "{}", event.data_json);
        }
    }
    let updated = &events[2];
    let subject = updated.subject.as_ref().unwrap();
    assert_eq!((&subject.uuid, subject.name.as_str()), (&portal.uuid, "Who"));
    let data: serde_json::Value = serde_json::from_str(&updated.data_json).unwrap();
    assert_eq!(data, serde_json::json!({"name": {"before": "Viewer", "after": "Who"}}));
}

#[tokio::test]
async fn what_changes_nothing_is_not_on_record() {
    let desk = Desk::open().await;
    let (portal, _) = desk.portal("acme", "Viewer").await;
    let before = desk.events("acme").await.len();
    let update = v1::UpdatePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        name: Some(portal.name.clone()),
        query: Some(portal.query.clone()),
        ..Default::default()
    };
    let after = desk.administration().update_portal(desk.signed(update)).await.unwrap().into_inner();
    assert_eq!(after.portal.unwrap(), portal);
    assert_eq!(desk.events("acme").await.len(), before);
}

#[tokio::test]
async fn every_event_is_bound_to_the_one_before_it_also_after_a_restart() {
    let mut desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    desk = desk.restart(|_| ()).await;
    desk.token("acme", "viewer").await;

    let mut events = desk.events("acme").await;

    events.reverse();
    let mut previous = String::new();
    for (number, event) in (1..).zip(&events) {
        assert_eq!((event.sequence, &event.previous_hash), (number, &previous));
        assert_eq!(event.hash, proto::audit::hash(&proto::audit::json(event)));
        let changed = v1::AuditEvent { ip: "192.0.2.8".to_owned(), ..event.clone() };
        assert_ne!(event.hash, proto::audit::hash(&proto::audit::json(&changed)));
        previous.clone_from(&event.hash);
    }
    assert_eq!(events.len(), 3);
}
