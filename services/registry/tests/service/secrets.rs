//! Secrets of portals: made, listed, revoked.

use crate::desk::{Desk, fault, generated, refused};
use model::Reason;
use proto::{registry::v1, time};
use std::time::{Duration, SystemTime};

async fn listed(desk: &Desk) -> v1::ListPortalSecretsResponse {
    let request = v1::ListPortalSecretsRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        page: Some(v1::Page { number: 1, size: 30 }),
    };
    fault(desk.administration().list_portal_secrets(desk.signed(request)).await).unwrap()
}

fn request(expires_at: Option<SystemTime>) -> v1::CreatePortalSecretRequest {
    v1::CreatePortalSecretRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        description: Some("ci".to_owned()),
        expires_at: expires_at.map(time::write),
        restrictions: None,
    }
}

#[tokio::test]
async fn a_portal_has_two_secrets_at_most_and_each_is_told_once() {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    let make =
        || async { fault(desk.administration().create_portal_secret(desk.signed(request(None))).await) };
    let first = make().await.unwrap();
    assert!(first.secret.starts_with("pts_"), "{}", first.secret.len());
    let second = make().await.unwrap();
    assert_ne!(first.secret, second.secret);
    let message = refused(make().await, Reason::ValidationFailed);
    assert_eq!(
        message,
        "Validation failed: the portal has 2 live secrets, which is the most: delete one first"
    );

    let (one, two) = (first.portal_secret.unwrap(), second.portal_secret.unwrap());
    assert_eq!((one.description.as_deref(), one.last_used_at), (Some("ci"), None));
    let all = listed(&desk).await;
    assert_eq!((all.secrets, all.total), (vec![two, one.clone()], 2));

    desk.revoke_secret("acme", "viewer", &one.uuid).await.unwrap();
    assert_eq!(listed(&desk).await.total, 1);
    make().await.unwrap();
}

#[tokio::test]
async fn a_secret_that_is_not_there_cannot_be_revoked() {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    desk.portal("acme", "Other").await;
    let (secret, _) = desk.secret("acme", "viewer").await;
    let (token, _) = desk.token("acme", "viewer").await;
    for (portal, uuid) in [
        ("other", &*secret.uuid),
        ("viewer", &*token.uuid),
        ("viewer", ""),
        ("viewer", "x"),
        ("none", &*secret.uuid),
    ] {
        refused(desk.revoke_secret("acme", portal, uuid).await, Reason::NotFound);
    }
    refused(desk.revoke("acme", "viewer", &secret.uuid).await, Reason::NotFound);
    desk.revoke_secret("acme", "viewer", &secret.uuid).await.unwrap();
    refused(desk.revoke_secret("acme", "viewer", &secret.uuid).await, Reason::NotFound);
}

#[tokio::test]
async fn a_secret_ends_in_the_future_or_not_at_all() {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    let now = SystemTime::now();
    let past = desk.administration().create_portal_secret(desk.signed(request(Some(now)))).await;
    assert!(refused(fault(past), Reason::ValidationFailed).contains("expires_at"));
    let end = now + Duration::from_secs(3_600);
    let made =
        fault(desk.administration().create_portal_secret(desk.signed(request(Some(end)))).await).unwrap();
    let told = made.portal_secret.unwrap().expires_at.and_then(time::read).unwrap();
    assert!(end.duration_since(told).unwrap() < Duration::from_millis(1));
}

#[tokio::test]
async fn a_secret_calls_nothing_itself() {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    let (_, secret) = desk.secret("acme", "viewer").await;
    refused(desk.authorize("acme", "viewer", &secret).await, Reason::Unauthenticated);
    refused(desk.authorize("acme", "viewer", &generated()).await, Reason::Unauthenticated);
}

#[tokio::test]
async fn secrets_are_on_record_without_themselves() {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    let (made, secret) = desk.secret("acme", "viewer").await;
    desk.revoke_secret("acme", "viewer", &made.uuid).await.unwrap();
    let events = desk.events("acme").await;
    let told: Vec<_> = events.iter().take(2).map(|event| event.r#type.as_str()).collect();
    assert_eq!(told, ["PORTAL_SECRET_REVOKED", "PORTAL_SECRET_CREATED"]);
    for event in &events[..2] {
        let subject = event.subject.as_ref().unwrap();
        assert_eq!((subject.r#type.as_str(), &subject.uuid), ("portal_secret", &made.uuid));
        assert!(!event.data_json.contains(&secret));
    }
}
