//! Secrets exchanged for tokens: by whom, for how long, and until when they are good for anything.

use crate::desk::{Desk, exchange, fault, generated, generated_secret, refused};
use model::{Bearer, BearerKind, Reason};
use proto::{registry::v1, time};
use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

const REFUSED: &str = "the client id or the secret is not that of this portal";

#[tokio::test]
async fn a_secret_is_exchanged_for_a_token_that_opens_its_portal_for_an_hour() {
    let desk = Desk::open().await;
    let (portal, _) = desk.portal("acme", "Viewer").await;
    let (secret, bearer) = desk.secret("acme", "viewer").await;
    let before = SystemTime::now();

    let made = desk.exchange("acme", "viewer", &portal.uuid, &bearer).await.unwrap();

    assert!(Bearer::parse(&made.token).unwrap().is(BearerKind::PortalToken));
    assert_eq!(made.expires_in_seconds, 3_600);
    let ends = time::read(made.expires_at.unwrap()).unwrap();
    let hour = Duration::from_secs(3_600);
    assert!(ends > before + hour - Duration::from_secs(1) && ends <= SystemTime::now() + hour, "{ends:?}");
    let granted = desk.authorize("acme", "viewer", &made.token).await.unwrap();
    assert_eq!((&granted.token_uuid, &granted.portal_uuid), (&made.token_uuid, &portal.uuid));
    let list = v1::ListPortalSecretsRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        page: None,
    };
    let listed = fault(desk.administration().list_portal_secrets(desk.signed(list)).await).unwrap().secrets;
    assert_eq!(listed[0].uuid, secret.uuid);
    assert!(listed[0].last_used_at.is_some(), "an exchange is a use");
}

#[tokio::test]
async fn a_token_lasts_as_many_minutes_as_are_asked_for_and_no_longer_than_its_secret() {
    let desk = Desk::open().await;
    let (portal, _) = desk.portal("acme", "Viewer").await;
    let (_, bearer) = desk.secret("acme", "viewer").await;
    let ask = |secret: &str, minutes| {
        let request = v1::ExchangeTokenRequest {
            expires_in_minutes: Some(minutes),
            ..exchange("acme", "viewer", &portal.uuid, secret)
        };
        let desk = &desk;
        async move { desk.exchange_from("192.0.2.9", request).await }
    };
    for minutes in [1, 15, 60] {
        assert_eq!(ask(&bearer, minutes).await.unwrap().expires_in_seconds, minutes * 60);
    }
    for minutes in [0, 61, u32::MAX] {
        assert!(refused(ask(&bearer, minutes).await, Reason::BadRequest).contains("1 to 60"), "{minutes}");
    }
    let end = SystemTime::now() + Duration::from_secs(90);
    let request = v1::CreatePortalSecretRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        expires_at: Some(time::write(end)),
        ..Default::default()
    };
    let short = fault(desk.administration().create_portal_secret(desk.signed(request)).await).unwrap().secret;
    let made = ask(&short, 60).await.unwrap();
    assert!(time::read(made.expires_at.unwrap()).unwrap() <= end);
    assert!((80..=90).contains(&made.expires_in_seconds), "{}", made.expires_in_seconds);
}

#[tokio::test]
async fn whatever_is_wrong_with_the_pair_is_told_the_same() {
    let desk = Desk::open().await;
    let (portal, token) = desk.portal("acme", "Viewer").await;
    let (other, _) = desk.portal("acme", "Other").await;
    let (_, bearer) = desk.secret("acme", "viewer").await;
    let (_, others) = desk.secret("acme", "other").await;
    let (revoked, revoked_bearer) = desk.secret("acme", "viewer").await;
    desk.revoke_secret("acme", "viewer", &revoked.uuid).await.unwrap();
    let mut typo = bearer.clone();
    let last = typo.pop().unwrap();
    typo.push(if last == 'A' { 'B' } else { 'A' });

    let mut heard = BTreeSet::new();
    let pairs = [
        ("acme", "viewer", &*portal.uuid, &*typo),
        ("acme", "viewer", &portal.uuid, &others),
        ("acme", "viewer", &other.uuid, &bearer),
        ("acme", "viewer", &other.uuid, &others),
        ("acme", "other", &portal.uuid, &bearer),
        ("acme", "none", &portal.uuid, &bearer),
        ("none", "viewer", &portal.uuid, &bearer),
        ("acme", "viewer", "", &bearer),
        ("acme", "viewer", "viewer", &bearer),
        ("acme", "viewer", &portal.uuid, &generated_secret()),
        ("acme", "viewer", &portal.uuid, &generated()),
        ("acme", "viewer", &portal.uuid, &token),
        ("acme", "viewer", &portal.uuid, &revoked_bearer),
        ("acme", "viewer", &portal.uuid, ""),
        ("acme", "viewer", &portal.uuid, "ü"),
        ("acme", "viewer", &portal.uuid, &"a".repeat(10_000)),
        ("", "", "", ""),
    ];
    for (number, (organization, slug, id, secret)) in pairs.into_iter().enumerate() {
        // Each from elsewhere: nobody guesses too often.
        let address = format!("198.51.100.{number}");
        let answer = desk.exchange_from(&address, exchange(organization, slug, id, secret)).await;
        heard.insert(refused(answer, Reason::InvalidClient));
    }
    assert_eq!(heard, BTreeSet::from([REFUSED.to_owned()]));
    desk.exchange("acme", "viewer", &portal.uuid, &bearer).await.unwrap();
    let nothing = v1::ExchangeTokenRequest { grant: None, ..exchange("acme", "viewer", "", "") };
    refused(desk.exchange_from("192.0.2.9", nothing).await, Reason::BadRequest);
}

#[tokio::test]
async fn with_a_secret_end_its_tokens_and_no_others() {
    let desk = Desk::open().await;
    let (portal, service) = desk.portal("acme", "Viewer").await;
    let (one, one_bearer) = desk.secret("acme", "viewer").await;
    let (_, two_bearer) = desk.secret("acme", "viewer").await;
    let of_one = desk.exchange("acme", "viewer", &portal.uuid, &one_bearer).await.unwrap().token;
    let of_two = desk.exchange("acme", "viewer", &portal.uuid, &two_bearer).await.unwrap().token;

    desk.revoke_secret("acme", "viewer", &one.uuid).await.unwrap();

    refused(desk.authorize("acme", "viewer", &of_one).await, Reason::Unauthenticated);
    refused(desk.exchange("acme", "viewer", &portal.uuid, &one_bearer).await, Reason::InvalidClient);
    desk.authorize("acme", "viewer", &of_two).await.unwrap();
    desk.authorize("acme", "viewer", &service).await.unwrap();
    let desk = desk.restart(|_| {}).await;
    refused(desk.authorize("acme", "viewer", &of_one).await, Reason::Unauthenticated);
    desk.authorize("acme", "viewer", &of_two).await.unwrap();
    desk.exchange("acme", "viewer", &portal.uuid, &two_bearer).await.unwrap();
}

#[tokio::test]
async fn with_a_portal_end_its_secrets_and_their_tokens_whatever_takes_its_name() {
    let desk = Desk::open().await;
    let (portal, _) = desk.portal("acme", "Viewer").await;
    let (_, bearer) = desk.secret("acme", "viewer").await;
    let token = desk.exchange("acme", "viewer", &portal.uuid, &bearer).await.unwrap().token;
    let delete = v1::DeletePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        if_revision: None,
        or_revisions: Vec::new(),
    };
    desk.administration().delete_portal(desk.signed(delete)).await.unwrap();
    let (again, _) = desk.portal("acme", "Viewer").await;

    refused(desk.authorize("acme", "viewer", &token).await, Reason::Unauthenticated);
    for uuid in [&portal.uuid, &again.uuid] {
        refused(desk.exchange("acme", "viewer", uuid, &bearer).await, Reason::InvalidClient);
    }
}

#[tokio::test]
async fn one_token_of_a_secret_is_revoked_by_itself() {
    let desk = Desk::open().await;
    let (portal, _) = desk.portal("acme", "Viewer").await;
    let (_, bearer) = desk.secret("acme", "viewer").await;
    let one = desk.exchange("acme", "viewer", &portal.uuid, &bearer).await.unwrap();
    let other = desk.exchange("acme", "viewer", &portal.uuid, &bearer).await.unwrap();

    desk.revoke("acme", "viewer", &one.token_uuid).await.unwrap();

    refused(desk.authorize("acme", "viewer", &one.token).await, Reason::Unauthenticated);
    desk.authorize("acme", "viewer", &other.token).await.unwrap();
    refused(desk.revoke("acme", "viewer", &one.token_uuid).await, Reason::NotFound);
}

#[tokio::test]
async fn tokens_of_secrets_take_no_place_of_those_that_administrators_make() {
    let desk = Desk::open().await;
    let (portal, _) = desk.portal("acme", "Viewer").await;
    let (_, bearer) = desk.secret("acme", "viewer").await;
    for _ in 0..120 {
        desk.exchange("acme", "viewer", &portal.uuid, &bearer).await.unwrap();
    }
    desk.token("acme", "viewer").await;
    let request = v1::ListPortalTokensRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        page: None,
    };
    let listed = fault(desk.administration().list_portal_tokens(desk.signed(request)).await).unwrap();
    assert_eq!(listed.total, 2);
    assert!(listed.tokens.iter().all(|token| token.kind == "service"));
}

#[tokio::test]
async fn a_secret_is_exchanged_only_from_where_the_portal_may_be_called() {
    let desk = Desk::open().await;
    let (portal, _) = desk.portal("acme", "Viewer").await;
    let (_, bearer) = desk.secret("acme", "viewer").await;
    let update = v1::UpdatePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        allowed_ip_addresses: Some(v1::OptionalText { value: Some("192.0.2.0/24".to_owned()) }),
        ..Default::default()
    };
    desk.administration().update_portal(desk.signed(update)).await.unwrap();
    let request = || exchange("acme", "viewer", &portal.uuid, &bearer);
    desk.exchange_from("192.0.2.9", request()).await.unwrap();
    refused(desk.exchange_from("198.51.100.1", request()).await, Reason::IpNotAllowed);
    refused(fault(desk.calls().exchange_token(request()).await), Reason::IpNotAllowed);
    // Who does not hold the secret does not learn where from it would be good.
    let wrong = exchange("acme", "viewer", &portal.uuid, &generated_secret());
    refused(desk.exchange_from("198.51.100.1", wrong).await, Reason::InvalidClient);
}

#[tokio::test]
async fn who_guesses_too_often_is_not_listened_to_and_others_are() {
    let desk = Desk::open().await;
    let (portal, _) = desk.portal("acme", "Viewer").await;
    let (_, bearer) = desk.secret("acme", "viewer").await;
    let wrong = || exchange("acme", "viewer", &portal.uuid, &generated_secret());
    for _ in 0..10 {
        refused(desk.exchange_from("192.0.2.66", wrong()).await, Reason::InvalidClient);
    }
    for request in [wrong(), exchange("acme", "viewer", &portal.uuid, &bearer)] {
        let fault = desk.exchange_from("192.0.2.66", request).await.unwrap_err();
        assert_eq!(fault.reason(), Reason::RateLimited);
        let wait = fault.wait().unwrap();
        assert!(wait > Duration::from_secs(30) && wait <= Duration::from_secs(60), "{wait:?}");
    }
    desk.exchange_from("192.0.2.67", exchange("acme", "viewer", &portal.uuid, &bearer)).await.unwrap();
}

#[tokio::test]
async fn what_was_made_and_what_was_refused_is_on_record() {
    let desk = Desk::open().await;
    let (portal, _) = desk.portal("acme", "Viewer").await;
    let (secret, bearer) = desk.secret("acme", "viewer").await;
    let made = desk.exchange("acme", "viewer", &portal.uuid, &bearer).await.unwrap();
    let event = desk.events("acme").await.remove(0);
    assert_eq!((event.r#type.as_str(), event.ip.as_str()), ("PORTAL_TOKEN_CREATED", "192.0.2.9"));
    let (actor, subject) = (event.actor.unwrap(), event.subject.unwrap());
    assert_eq!((actor.r#type.as_str(), &actor.uuid), ("portal_secret", &secret.uuid));
    assert_eq!((subject.r#type.as_str(), &subject.uuid), ("portal_token", &made.token_uuid));
    let data: serde_json::Value = serde_json::from_str(&event.data_json).unwrap();
    assert_eq!((&data["kind"], &data["secret"]), (&"ephemeral".into(), &secret.uuid.as_str().into()));
    for text in [&made.token, &bearer] {
        assert!(!event.data_json.contains(text));
    }

    let before = desk.events("acme").await.len();
    let wrong = generated_secret();
    for guess in 0..8 {
        let address = format!("198.51.100.{guess}");
        let guess = exchange("acme", "viewer", &portal.uuid, &wrong);
        refused(desk.exchange_from(&address, guess).await, Reason::InvalidClient);
        let nowhere = exchange("acme", "none", &portal.uuid, &wrong);
        refused(desk.exchange_from(&address, nowhere).await, Reason::InvalidClient);
    }
    // Beside the calls, and in their order: what comes after the last of them is written after them.
    desk.portal("acme", "Other").await;
    let (other, _) = desk.secret("acme", "other").await;
    let last = exchange("acme", "other", &other.uuid, &wrong);
    refused(desk.exchange_from("198.51.100.99", last).await, Reason::InvalidClient);
    let refusals = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let events = desk.events("acme").await;
            let mut refusals: Vec<_> =
                events.into_iter().filter(|event| event.r#type == "PORTAL_TOKEN_REFUSED").collect();
            if refusals.first().is_some_and(|event| event.ip == "198.51.100.99") {
                refusals.remove(0);
                return refusals;
            }
            tokio::task::yield_now().await;
        }
    });
    let refusals = refusals.await.expect("they are written");
    assert_eq!(refusals.len(), 5, "a stranger fills no store");
    assert_eq!(desk.events("acme").await.len(), before + 5 + 2 + 1);
    for event in refusals {
        let (actor, subject) = (event.actor.unwrap(), event.subject.unwrap());
        assert_eq!((actor.r#type.as_str(), actor.uuid.as_str()), ("nobody", ""));
        assert_eq!((subject.r#type.as_str(), &subject.uuid), ("portal", &portal.uuid));
        assert!(event.ip.starts_with("198.51.100."));
        let data: serde_json::Value = serde_json::from_str(&event.data_json).unwrap();
        let told = serde_json::json!({"grant_type": "client_credentials", "reason": "INVALID_CLIENT"});
        assert_eq!(data, told);
    }
}
