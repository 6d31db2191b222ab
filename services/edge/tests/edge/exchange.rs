//! The token endpoint: both ways of writing, what reaches the registry, and every refusal in OAuth's shape.

use crate::stage::{PATH, PORTAL, Reply, Stage, TOKEN};
use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Method, Request};
use model::{Fault, Reason};
use proto::registry::v1::{self, exchange_token_request::Grant};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

fn stage() -> Stage {
    let stage = Stage::open();
    stage.registry.answer("exchange_token", |_: &v1::ExchangeTokenRequest| {
        Ok(v1::ExchangeTokenResponse {
            token: "ptk_new".to_owned(),
            expires_at: Some(proto::time::write(
                SystemTime::UNIX_EPOCH + Duration::from_millis(1_791_807_404_999),
            )),
            expires_in_seconds: 900,
            token_uuid: TOKEN.to_owned(),
        })
    });
    stage
}

fn request(media_type: &str, body: impl Into<Body>) -> Request<Body> {
    let stage = Stage::open();
    let mut request = stage.request(Method::POST, &format!("{PATH}/tokens"), body);
    request.headers_mut().remove("authorization");
    request.headers_mut().insert("content-type", media_type.parse().unwrap());
    request
}

async fn post(stage: &Stage, media_type: &str, body: &str) -> Reply {
    stage.ask(request(media_type, body.to_owned())).await
}

fn asked(stage: &Stage) -> (v1::ExchangeTokenRequest, v1::ClientCredentials) {
    let (asked, _) = stage.registry.asked::<v1::ExchangeTokenRequest>("exchange_token").unwrap();
    let Some(Grant::ClientCredentials(held)) = asked.grant.clone() else { panic!("another grant") };
    (asked, held)
}

#[track_caller]
fn assert_refused(reply: &Reply, status: u16, error: &str) -> String {
    let json = reply.json();
    assert_eq!((reply.status.as_u16(), json["error"].as_str()), (status, Some(error)), "{}", reply.text());
    assert_eq!(json.as_object().unwrap().len(), 2);
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(reply.header("x-request-id").is_some());
    assert_eq!(reply.header("www-authenticate").is_some(), status == 401);
    assert_eq!(reply.header("retry-after").is_some(), matches!(status, 429 | 503));
    json["error_description"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_is_told_in_the_words_of_the_contract_and_of_oauth() {
    let stage = stage();
    let body = format!(
        r#"{{"grant_type":"client_credentials","client_id":"{PORTAL}","secret":"pts_s","expires_in":15,"x":[]}}"#
    );
    let reply = post(&stage, JSON, &body).await;
    assert_eq!(reply.status.as_u16(), 200);
    assert_eq!(
        reply.text(),
        concat!(
            r#"{"token":"ptk_new","expires_at":"2026-10-12T12:16:44Z","access_token":"ptk_new","#,
            r#""token_type":"Bearer","expires_in":900}"#
        )
    );
    for (name, value) in [
        ("content-type", "application/json; charset=utf-8"),
        ("cache-control", "no-store"),
        ("pragma", "no-cache"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    let (asked, held) = asked(&stage);
    assert_eq!((&*asked.organization, &*asked.portal), ("my-organization", "trigger-main-build"));
    assert_eq!(asked.expires_in_minutes, Some(15));
    assert_eq!((&*held.client_id, &*held.secret), (PORTAL, "pts_s"));
    let (_, metadata) = stage.registry.asked::<v1::ExchangeTokenRequest>("exchange_token").unwrap();
    assert_eq!(metadata.get("portals-client-address").unwrap(), "192.0.2.1");
    assert_eq!(metadata.get("portals-request-id").unwrap().to_str().ok(), reply.header("x-request-id"));
}

#[tokio::test]
async fn every_way_to_send_the_pair_comes_to_the_same() {
    let (json, form) = (
        |pair: &str| format!(r#"{{"grant_type":"client_credentials",{pair}}}"#),
        |pair: &str| format!("grant_type=client_credentials&{pair}"),
    );
    let basic = format!("Basic {}", STANDARD.encode(format!("{PORTAL}:pts_s")));
    for (media_type, body, authorization) in [
        (JSON, json(&format!(r#""client_id":"{PORTAL}","secret":"pts_s""#)), None),
        (JSON, json(&format!(r#""client_id":"{PORTAL}","client_secret":"pts_s""#)), None),
        (JSON, json(r#""scope":"x""#), Some(&basic)),
        (FORM, form(&format!("client_id={PORTAL}&client_secret=pts_s")), None),
        (FORM, form(&format!("client_id={PORTAL}&secret=pts%5Fs&expires_in=")), None),
        (FORM, form("scope=a+b"), Some(&basic)),
    ] {
        let stage = stage();
        let mut request = request(media_type, body.clone());
        if let Some(authorization) = authorization {
            request.headers_mut().insert("authorization", authorization.parse().unwrap());
        }
        let reply = stage.ask(request).await;
        assert_eq!(reply.status.as_u16(), 200, "{body}: {}", reply.text());
        let (asked, held) = asked(&stage);
        assert_eq!((&*held.client_id, &*held.secret), (PORTAL, "pts_s"), "{body}");
        assert_eq!(asked.expires_in_minutes, None, "{body}");
    }
}

#[tokio::test]
async fn what_is_not_of_the_form_is_refused_and_the_registry_is_not_asked() {
    let stage = stage();
    let good = "grant_type=client_credentials&client_id=a&secret=b";
    for (media_type, body, status, error, said) in [
        (JSON, "", 400, "invalid_request", "JSON"),
        (JSON, "[]", 400, "invalid_request", "JSON"),
        (JSON, r#"{"grant_type":"client_credentials","client_id":"a"}"#, 400, "invalid_request", "secret"),
        (JSON, r#"{"grant_type":"client_credentials","secret":"a"}"#, 400, "invalid_request", "client_id"),
        (JSON, r#"{"grant_type":1}"#, 400, "invalid_request", "grant_type"),
        (JSON, r#"{"grant_type":"password"}"#, 400, "unsupported_grant_type", "client_credentials"),
        (JSON, r#"{"expires_in":"soon"}"#, 400, "invalid_request", "expires_in"),
        (FORM, "", 400, "invalid_request", "grant_type"),
        (FORM, "grant_type=", 400, "invalid_request", "grant_type"),
        (FORM, "grant_type=a", 400, "unsupported_grant_type", "client_credentials"),
        (FORM, &format!("{good}&client_id=a"), 400, "invalid_request", "twice"),
        (FORM, &format!("{good}&client_secret=b"), 400, "invalid_request", "client_secret"),
        (FORM, &format!("{good}&expires_in=1.5"), 400, "invalid_request", "expires_in"),
        ("text/plain", good, 415, "invalid_request", "media type"),
        ("multipart/form-data; boundary=x", good, 415, "invalid_request", "media type"),
        (FORM, &"a".repeat(70_000), 413, "invalid_request", "larger"),
    ] {
        let reply = post(&stage, media_type, body).await;
        let description = assert_refused(&reply, status, error);
        assert!(description.contains(said), "{body}: {description}");
    }
    let mut other = request(FORM, good);
    other.headers_mut().insert("authorization", "Bearer ptk_a".parse().unwrap());
    let reply = stage.ask(other).await;
    assert_refused(&reply, 401, "invalid_client");
    assert_eq!(reply.header("www-authenticate"), Some(r#"Basic realm="portals""#));
    assert!(stage.registry.asked::<v1::ExchangeTokenRequest>("exchange_token").is_none());
}

#[tokio::test]
async fn only_post_makes_a_token() {
    let stage = stage();
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS, Method::HEAD] {
        let reply = stage.ask(stage.request(method.clone(), &format!("{PATH}/tokens"), "")).await;
        assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some("POST")), "{method}");
    }
    // A portal may be called that: it is invoked and makes no token.
    let reply = stage.ask(stage.request(Method::POST, "/organizations/a/portals/tokens", "{}")).await;
    assert_eq!(reply.json()["data"]["ok"], 1);
    assert!(stage.registry.asked::<v1::ExchangeTokenRequest>("exchange_token").is_none());
}

#[tokio::test]
async fn every_refusal_of_the_registry_has_its_word() {
    for (reason, status, error) in [
        (Reason::BadRequest, 400, "invalid_request"),
        (Reason::InvalidClient, 401, "invalid_client"),
        (Reason::InvalidGrant, 400, "invalid_grant"),
        (Reason::UnsupportedGrantType, 400, "unsupported_grant_type"),
        (Reason::AuthorizationPending, 400, "authorization_pending"),
        (Reason::SlowDown, 400, "slow_down"),
        (Reason::AccessDenied, 400, "access_denied"),
        (Reason::ExpiredToken, 400, "expired_token"),
        (Reason::IpNotAllowed, 403, "access_denied"),
        (Reason::RateLimited, 429, "slow_down"),
        (Reason::StorageUnavailable, 503, "temporarily_unavailable"),
        (Reason::RegistryUnavailable, 503, "temporarily_unavailable"),
        (Reason::Internal, 500, "server_error"),
    ] {
        let stage = Stage::open();
        stage.registry.answer("exchange_token", move |_: &v1::ExchangeTokenRequest| {
            Err::<v1::ExchangeTokenResponse, _>(Fault::new(reason, "the registry's own words"))
        });
        let reply = post(&stage, FORM, "grant_type=client_credentials&client_id=a&secret=b").await;
        let description = assert_refused(&reply, status, error);
        let hidden = "something went wrong on our side";
        assert_eq!(
            description,
            if status == 500 { hidden } else { "the registry's own words" },
            "{reason:?}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_a_portal_is_asked_for_as_nobodys() {
    let stage = stage();
    for path in ["/organizations/A_B/portals/%00/tokens", "/organizations/%ff/portals/%2e%2e/tokens"] {
        let mut request = request(FORM, "grant_type=client_credentials&client_id=a&secret=b");
        *request.uri_mut() = path.parse().unwrap();
        assert_eq!(stage.ask(request).await.status.as_u16(), 200);
        let (asked, _) = asked(&stage);
        assert_eq!((&*asked.organization, &*asked.portal), ("-", "-"), "{path}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let stage = Stage::with(|config| config.body_timeout = Duration::from_millis(20));
    let never = Body::from_stream(tokio_stream::pending::<Result<bytes::Bytes, std::io::Error>>());
    let reply = stage.ask(request(FORM, never)).await;
    assert_refused(&reply, 408, "invalid_request");
    assert_eq!(reply.header("connection"), Some("close"));
}

#[tokio::test]
async fn strangers_who_ask_for_tokens_do_not_take_what_calls_need() {
    let stage = Arc::new(stage());
    let held = stage.registry.hold_exchanges().await;
    let good = "grant_type=client_credentials&client_id=a&secret=b";
    let waiting: Vec<_> = (0..256)
        .map(|_| {
            let stage = Arc::clone(&stage);
            tokio::spawn(async move { post(&stage, FORM, good).await.status.as_u16() })
        })
        .collect();
    stage.registry.exchanges(256).await;
    let reply = post(&stage, FORM, good).await;
    assert_refused(&reply, 503, "temporarily_unavailable");
    assert_eq!(stage.invoke("{}").await.status.as_u16(), 200);
    drop(held);
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), 200);
    }
    assert_eq!(post(&stage, FORM, good).await.status.as_u16(), 200);
}
