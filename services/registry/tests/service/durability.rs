//! What holds after a restart, and when many change the same thing at once.

use crate::desk::{Desk, fault, portal, refused};
use model::Reason;
use proto::registry::v1;
use std::fs;

#[tokio::test]
async fn a_restart_keeps_everything_and_brings_nothing_back() {
    let desk = Desk::open().await;
    let (portal, live) = desk.portal("acme", "Viewer").await;
    let (token, revoked) = desk.token("acme", "viewer").await;
    desk.revoke("acme", "viewer", &token.uuid).await.unwrap();
    desk.authorize("acme", "viewer", &live).await.unwrap();
    let events = desk.events("acme").await;

    let desk = desk.restart(|_| {}).await;

    desk.authorize("acme", "viewer", &live).await.unwrap();
    refused(desk.authorize("acme", "viewer", &revoked).await, Reason::Unauthenticated);
    refused(desk.revoke("acme", "viewer", &token.uuid).await, Reason::NotFound);
    assert_eq!(desk.events("acme").await, events);
    let request = v1::GetPortalRequest { organization: "acme".to_owned(), portal: "viewer".to_owned() };
    let read = fault(desk.administration().get_portal(desk.signed(request)).await).unwrap();
    assert_eq!(read.portal.unwrap(), portal);
    let request = v1::ListPortalTokensRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        page: None,
    };
    let listed = fault(desk.administration().list_portal_tokens(desk.signed(request)).await).unwrap();
    assert_eq!(listed.total, 1);
    assert!(listed.tokens[0].last_used_at.is_some(), "the use was written at the close");
}

#[tokio::test]
async fn of_many_who_want_a_slug_one_gets_it() {
    let desk = Desk::open().await;
    let made = |slug: &'static str| {
        let request =
            desk.signed(v1::CreatePortalRequest { slug: Some(slug.to_owned()), ..portal("acme", "Viewer") });
        let mut administration = desk.administration();
        tokio::spawn(async move { fault(administration.create_portal(request).await) })
    };
    let attempts: Vec<_> = (0..16).map(|_| made("viewer")).collect();
    let mut won = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            Ok(_) => won += 1,
            answer => drop(refused(answer, Reason::ValidationFailed)),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn many_changes_of_one_organization_all_succeed_and_are_counted() {
    let desk = Desk::open().await;
    let made = (0..32).map(|number| {
        let request = desk.signed(portal("acme", &format!("Portal {number}")));
        let mut administration = desk.administration();
        tokio::spawn(async move { fault(administration.create_portal(request).await) })
    });
    for attempt in made.collect::<Vec<_>>() {
        attempt.await.unwrap().unwrap();
    }
    let request = v1::ListPortalsRequest { organization: "acme".to_owned(), page: None };
    let listed = fault(desk.administration().list_portals(desk.signed(request)).await).unwrap();
    assert_eq!((listed.total, listed.portals.len()), (32, 30));
    assert_eq!(desk.events("acme").await.len(), 33);
}

#[tokio::test]
async fn no_secret_lies_on_the_disk_in_the_clear() {
    let desk = Desk::open().await;
    let (_, token) = desk.portal("acme", "Viewer").await;
    desk.authorize("acme", "viewer", &token).await.unwrap();
    let mut folders = vec![desk.folder().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            files += 1;
            let bytes = fs::read(entry.path()).unwrap();
            for secret in [token.as_str(), "canary-credential", desk.admin.as_str()] {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{}", entry.path().display());
            }
        }
    }
    assert!(files > 2);
}
