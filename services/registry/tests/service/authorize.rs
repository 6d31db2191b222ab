//! Who may call what.

use crate::desk::{Desk, fault, generated, keyring, refused};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use model::{Reason, key::Purpose};
use proto::{
    grant::{AUDIENCE, Claims, ISSUER, TYPE, UpstreamSecrets},
    registry::v1,
    time,
};
use std::time::{Duration, SystemTime};

/// What a grant says, whoever signed it.
fn read_grant(grant: &str) -> (serde_json::Value, Claims) {
    let parts: Vec<Vec<u8>> = grant.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    assert_eq!(parts.len(), 3);
    (serde_json::from_slice(&parts[0]).unwrap(), serde_json::from_slice(&parts[1]).unwrap())
}

#[tokio::test]
async fn a_grant_says_what_may_be_run_and_where() {
    let desk = Desk::open().await;
    let (portal, token) = desk.portal("acme", "Viewer").await;

    let answer = desk.authorize("acme", "viewer", &token).await.unwrap();

    let (header, claims) = read_grant(&answer.grant);
    assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("HS256"), Some(TYPE)));
    assert_eq!((claims.iss.as_str(), claims.aud.as_str()), (ISSUER, AUDIENCE));
    assert_eq!(claims.exp - claims.iat, 300);
    assert_eq!(
        time::read(answer.expires_at.unwrap()).unwrap(),
        SystemTime::UNIX_EPOCH + Duration::from_secs(claims.exp)
    );
    assert_eq!((&claims.portal, &claims.organization), (&portal.uuid, &portal.organization_uuid));
    assert_eq!((&answer.portal_uuid, &answer.token_uuid), (&portal.uuid, &claims.token));
    let operation = &claims.document.operations[0];
    assert!(!operation.source.contains("$unused"), "{}", operation.source);
    assert_eq!(operation.variables.len(), 2);
    assert_eq!(
        (claims.upstream.url.as_str(), claims.upstream.timeout_ms),
        ("http://upstream.example/graphql", 30_000)
    );
    assert_eq!((answer.rate_limit_per_minute, answer.timeout_ms), (200, 30_000));
    let sealed = STANDARD.decode(&claims.upstream.sealed).unwrap();
    let keys = keyring().keys(Purpose::Credential);
    let secrets: UpstreamSecrets =
        serde_json::from_slice(&keys.open(claims.organization.as_bytes(), &sealed).unwrap()).unwrap();
    assert_eq!(secrets.credential, "canary-credential");
}

#[tokio::test]
async fn a_grant_says_whether_its_portal_coalesces_and_the_audit_since_when() {
    let desk = Desk::open().await;
    let (_, token) = desk.portal("acme", "Viewer").await;
    for (coalesce, granted) in [(None, false), (Some(true), true), (None, true), (Some(false), false)] {
        let update = v1::UpdatePortalRequest {
            organization: "acme".to_owned(),
            portal: "viewer".to_owned(),
            coalesce,
            ..Default::default()
        };
        desk.administration().update_portal(desk.signed(update)).await.unwrap();
        let answer = desk.authorize("acme", "viewer", &token).await.unwrap();
        assert_eq!(read_grant(&answer.grant).1.coalesce, granted, "{coalesce:?}");
    }
    let on_record: Vec<_> = desk.events("acme").await.into_iter().map(|event| event.data_json).collect();
    assert!(on_record.contains(&r#"{"coalesce":{"after":true,"before":false}}"#.to_owned()), "{on_record:?}");
}

#[tokio::test]
async fn an_edge_is_told_how_often_the_portal_and_the_token_may_be_used() {
    let desk = Desk::open().await;
    let (portal, token) = desk.portal("acme", "Viewer").await;
    assert_eq!(portal.rate_limit_per_minute, None);
    let update = |limit: Option<Option<u32>>| v1::UpdatePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        rate_limit_per_minute: limit.map(|value| v1::OptionalNumber { value }),
        ..Default::default()
    };
    for (sent, kept) in [
        (Some(Some(50)), Some(50)),
        (None, Some(50)),
        (Some(Some(1_000_000)), Some(1_000_000)),
        (Some(None), None),
        (Some(Some(0)), Some(0)),
    ] {
        let updated = desk.administration().update_portal(desk.signed(update(sent))).await.unwrap();
        assert_eq!(
            updated.into_inner().portal.unwrap().rate_limit_per_minute,
            kept,
            "as it was sent: {sent:?}"
        );
        let answer = desk.authorize("acme", "viewer", &token).await.unwrap();
        let limits = (answer.portal_rate_limit_per_minute, answer.token_rate_limit_per_minute);
        assert_eq!((limits, answer.rate_limit_per_minute), ((kept.unwrap_or(0), 0), 200), "{sent:?}");
    }
    let request = |rate_limit_per_minute| v1::CreatePortalTokenRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        rate_limit_per_minute,
        ..Default::default()
    };
    for sent in [Some(20), Some(0), None] {
        let made = desk.administration().create_portal_token(desk.signed(request(sent))).await.unwrap();
        let made = made.into_inner();
        assert_eq!(made.portal_token.unwrap().rate_limit_per_minute, sent, "as it was sent");
        let answer = desk.authorize("acme", "viewer", &made.token).await.unwrap();
        assert_eq!(answer.token_rate_limit_per_minute, sent.unwrap_or(0), "{sent:?}");
    }
    let expected = "Validation failed: rate_limit_per_minute must be 0 to 1000000";
    for wrong in [1_000_001, u32::MAX] {
        let answer = fault(desk.administration().update_portal(desk.signed(update(Some(Some(wrong))))).await);
        assert_eq!(refused(answer, Reason::ValidationFailed), expected);
        let answer =
            fault(desk.administration().create_portal_token(desk.signed(request(Some(wrong)))).await);
        assert_eq!(refused(answer, Reason::ValidationFailed), expected);
        let new = v1::CreatePortalRequest {
            rate_limit_per_minute: Some(wrong),
            ..crate::desk::portal("acme", "New")
        };
        let answer = fault(desk.administration().create_portal(desk.signed(new)).await);
        assert_eq!(refused(answer, Reason::ValidationFailed), expected);
    }
    let on_record: Vec<_> = desk.events("acme").await.into_iter().map(|event| event.data_json).collect();
    for expected in [
        r#"{"rate_limit_per_minute":{"after":50,"before":null}}"#,
        r#"{"rate_limit_per_minute":{"after":null,"before":1000000}}"#,
    ] {
        assert!(on_record.contains(&expected.to_owned()), "{on_record:?}");
    }
    let made = on_record.iter().filter(|data| data.contains(r#""kind":"service""#));
    let limited = made.filter(|data| data.contains("rate_limit_per_minute")).collect::<Vec<_>>();
    assert!(limited.len() == 2 && limited[1].contains(r#""rate_limit_per_minute":20"#), "{limited:?}");
}

#[tokio::test]
async fn of_three_organizations_with_three_portals_only_the_diagonal_is_let_in() {
    let desk = Desk::open_empty().await;
    let mut doors = Vec::new();
    for organization in ["one", "two", "three"] {
        desk.organization(organization).await;
        for portal in ["a", "b", "c"] {
            let (_, first) = desk.portal(organization, portal).await;
            let (_, second) = desk.token(organization, portal).await;
            doors.push((organization, portal, [first, second]));
        }
    }
    let mut refusals = std::collections::BTreeSet::new();
    for (organization, portal, tokens) in &doors {
        for (other_organization, other_portal, _) in
            doors.iter().chain([&("none", "a", [String::new(), String::new()])])
        {
            for token in tokens {
                let answer = desk.authorize(other_organization, other_portal, token).await;
                if (organization, portal) == (other_organization, other_portal) {
                    answer.unwrap();
                } else {
                    refusals.insert(refused(answer, Reason::Forbidden));
                }
            }
        }
    }
    assert_eq!(refusals.len(), 1, "{refusals:?}");
}

#[tokio::test]
async fn who_holds_no_live_token_hears_the_same_whatever_the_reason() {
    let desk = Desk::open().await;
    let (_, token) = desk.portal("acme", "Viewer").await;
    let (revoked, revoked_bearer) = desk.token("acme", "viewer").await;
    desk.revoke("acme", "viewer", &revoked.uuid).await.unwrap();
    let mut typo = token.clone();
    let last = typo.pop().unwrap();
    typo.push(if last == 'A' { 'B' } else { 'A' });

    let mut heard = std::collections::BTreeSet::new();
    for bearer in ["", "a", &typo, &generated(), &revoked_bearer, &desk.admin, "ä", &"a".repeat(10_000)] {
        for (organization, portal) in [("acme", "viewer"), ("acme", "none"), ("none", "none"), ("", "")] {
            heard
                .insert(refused(desk.authorize(organization, portal, bearer).await, Reason::Unauthenticated));
        }
    }
    assert_eq!(heard.len(), 1, "{heard:?}");
    desk.authorize("acme", "viewer", &token).await.unwrap();
}

#[tokio::test]
async fn a_grant_does_not_outlive_its_token() {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    let end = SystemTime::now() + Duration::from_secs(60);
    let request = v1::CreatePortalTokenRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        expires_at: Some(time::write(end)),
        ..Default::default()
    };
    let token = fault(desk.administration().create_portal_token(desk.signed(request)).await).unwrap().token;

    let answer = desk.authorize("acme", "viewer", &token).await.unwrap();

    assert!(time::read(answer.expires_at.unwrap()).unwrap() <= end);
}

#[tokio::test]
async fn a_new_portal_of_an_old_slug_revives_no_token() {
    let desk = Desk::open().await;
    let (_, old) = desk.portal("acme", "Viewer").await;
    let request = v1::DeletePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        if_revision: None,
        or_revisions: Vec::new(),
    };
    desk.administration().delete_portal(desk.signed(request)).await.unwrap();
    let (_, new) = desk.portal("acme", "Viewer").await;

    refused(desk.authorize("acme", "viewer", &old).await, Reason::Unauthenticated);
    desk.authorize("acme", "viewer", &new).await.unwrap();
}

#[tokio::test]
async fn a_new_organization_of_an_old_slug_revives_no_token() {
    let desk = Desk::open().await;
    let (_, old) = desk.portal("acme", "Viewer").await;
    let request = v1::DeleteOrganizationRequest {
        organization: "acme".to_owned(),
        if_revision: None,
        or_revisions: Vec::new(),
    };
    desk.administration().delete_organization(desk.signed(request)).await.unwrap();
    refused(desk.authorize("acme", "viewer", &old).await, Reason::Unauthenticated);
    desk.organization("acme").await;
    desk.portal("acme", "Viewer").await;

    refused(desk.authorize("acme", "viewer", &old).await, Reason::Unauthenticated);
}

#[tokio::test]
async fn the_use_of_a_token_is_told_at_once() {
    let desk = Desk::open().await;
    let (_, token) = desk.portal("acme", "Viewer").await;
    let list = || async {
        let request = v1::ListPortalTokensRequest {
            organization: "acme".to_owned(),
            portal: "viewer".to_owned(),
            page: None,
        };
        fault(desk.administration().list_portal_tokens(desk.signed(request)).await).unwrap().tokens
    };
    assert_eq!(list().await[0].last_used_at, None);
    desk.authorize("acme", "viewer", &token).await.unwrap();
    assert!(list().await[0].last_used_at.is_some());
}
