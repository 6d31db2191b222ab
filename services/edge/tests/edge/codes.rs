//! Codes: what is told of one in both vocabularies, what reaches the registry, and what members decide.

use crate::stage::{ORGANIZATION, PATH, PORTAL, Reply, Stage};
use http::Method;
use model::{Fault, Reason};
use proto::registry::v1::{self, exchange_token_request::Grant};
use serde_json::json;
use std::time::{Duration, SystemTime};

const SECRET: &str = "ptd_canary-device-code";

fn at(ms: u64) -> Option<proto::time::Timestamp> {
    Some(proto::time::write(SystemTime::UNIX_EPOCH + Duration::from_millis(ms)))
}

fn stage() -> Stage {
    let stage = Stage::open();
    stage.registry.answer("create_code", |_: &v1::CreateCodeRequest| {
        Ok(v1::CreateCodeResponse {
            code: "WDJB-MJHT".to_owned(),
            secret: SECRET.to_owned(),
            expires_at: at(1_791_807_404_999),
            expires_in_seconds: 300,
            interval_seconds: 5,
        })
    });
    stage.registry.answer("describe_access_token", |_: &v1::DescribeAccessTokenRequest| {
        let scopes = vec!["write_user".to_owned()];
        Ok(v1::DescribeAccessTokenResponse { scopes, ..v1::DescribeAccessTokenResponse::default() })
    });
    stage
}

/// Asks for a code, without a token.
async fn ask(stage: &Stage, method: Method, body: &str) -> Reply {
    let mut request = stage.request(method, &format!("{PATH}/codes"), body.to_owned());
    request.headers_mut().remove("authorization");
    stage.ask(request).await
}

async fn send(stage: &Stage, method: Method, path: &str, body: &str) -> Reply {
    stage.ask(stage.request(method, path, body.to_owned())).await
}

#[tokio::test]
async fn a_code_is_told_in_the_words_of_the_contract_and_of_oauth() {
    let stage = stage();
    // A stock client sends parameters, of which none is needed.
    for body in ["", "client_id=any&scope=", "{"] {
        let reply = ask(&stage, Method::POST, body).await;
        assert_eq!(reply.status.as_u16(), 200, "{body}");
        assert_eq!(
            reply.json(),
            json!({
                "code": "WDJB-MJHT",
                "secret": SECRET,
                "authorization_url": "https://portals.example/device?code=WDJB-MJHT",
                "expires_at": "2026-10-12T12:16:44Z",
                "device_code": SECRET,
                "user_code": "WDJB-MJHT",
                "verification_uri": "https://portals.example/device",
                "verification_uri_complete": "https://portals.example/device?code=WDJB-MJHT",
                "expires_in": 300,
                "interval": 5,
            })
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert!(reply.header("x-request-id").is_some());
    }
    let (asked, metadata) = stage.registry.asked::<v1::CreateCodeRequest>("create_code").unwrap();
    assert_eq!((&*asked.organization, &*asked.portal), ("my-organization", "trigger-main-build"));
    assert!(metadata.get("portals-client-address").is_some() && metadata.get("authorization").is_none());
}

#[tokio::test]
async fn a_refusal_of_a_code_is_oauths_and_access_is_denied_with_403() {
    let stage = stage();
    for (reason, status, error) in [
        (Reason::Forbidden, 403, "access_denied"),
        (Reason::IpNotAllowed, 403, "access_denied"),
        (Reason::RateLimited, 429, "slow_down"),
        (Reason::Overloaded, 503, "temporarily_unavailable"),
    ] {
        stage.registry.answer("create_code", move |_: &v1::CreateCodeRequest| {
            Err::<v1::CreateCodeResponse, _>(Fault::new(reason, "the registry's own words"))
        });
        let reply = ask(&stage, Method::POST, "").await;
        assert_eq!((reply.status.as_u16(), reply.json()["error"].as_str()), (status, Some(error)));
    }
    let reply = ask(&stage, Method::GET, "").await;
    assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some("POST")));
    assert_eq!(reply.json()["error"], "invalid_request");
}

#[tokio::test]
async fn a_token_is_asked_for_with_the_code_and_its_secret_or_in_oauths_words() {
    let stage = stage();
    stage.registry.answer("exchange_token", |_: &v1::ExchangeTokenRequest| {
        Err::<v1::ExchangeTokenResponse, _>(Fault::new(
            Reason::AuthorizationPending,
            "nobody has decided yet",
        ))
    });
    let urn = "urn:ietf:params:oauth:grant-type:device_code";
    for (body, code) in [
        (
            json!({"grant_type": "device_code", "code": "WDJB-MJHT", "secret": SECRET, "expires_in": 720}),
            true,
        ),
        (json!({"grant_type": urn, "device_code": SECRET, "client_id": "any", "expires_in": 720}), false),
    ] {
        let mut request = stage.request(Method::POST, &format!("{PATH}/tokens"), body.to_string());
        request.headers_mut().remove("authorization");
        let reply = stage.ask(request).await;
        assert_eq!(reply.status.as_u16(), 400);
        assert_eq!(reply.json()["error"], "authorization_pending");
        let (asked, _) = stage.registry.asked::<v1::ExchangeTokenRequest>("exchange_token").unwrap();
        assert_eq!(asked.expires_in_minutes, Some(720));
        let Some(Grant::DeviceCode(held)) = asked.grant else { panic!("another grant") };
        assert_eq!((&*held.secret, held.code.is_some()), (SECRET, code));
        assert!(!format!("{held:?}").contains("canary"));
    }
}

#[tokio::test]
async fn a_member_sees_what_a_code_is_for_and_decides() {
    let stage = stage();
    let code = || v1::Code {
        code: "WDJB-MJHT".to_owned(),
        state: v1::CodeState::Pending.into(),
        portal: Some(v1::Portal {
            uuid: PORTAL.to_owned(),
            slug: "door".to_owned(),
            organization_uuid: ORGANIZATION.to_owned(),
            organization_slug: "acme".to_owned(),
            revision: 3,
            ..v1::Portal::default()
        }),
        ip: "192.0.2.1".to_owned(),
        created_at: at(0),
        expires_at: at(300_000),
        has_upstream_credential: true,
    };
    stage
        .registry
        .answer("get_code", move |_: &v1::GetCodeRequest| Ok(v1::GetCodeResponse { code: Some(code()) }));
    let told = send(&stage, Method::GET, "/v2/codes/wdjb%20mjht", "").await.json();
    assert_eq!(
        (&told["code"], &told["state"], &told["ip"]),
        (&json!("WDJB-MJHT"), &json!("pending"), &json!("192.0.2.1"))
    );
    assert_eq!(told["portal"]["url"], "https://portals.example/organizations/acme/portals/door");
    assert_eq!((&told["portal"]["revision"], &told["has_upstream_credential"]), (&json!(3), &json!(true)));
    assert_eq!(told["expires_at"], "1970-01-01T00:05:00.000Z");
    let (asked, metadata) = stage.registry.asked::<v1::GetCodeRequest>("get_code").unwrap();
    assert_eq!(asked.code, "wdjb mjht");
    assert!(metadata.get("authorization").is_some());

    stage.registry.answer("authorize_code", move |_: &v1::AuthorizeCodeRequest| {
        let state = v1::CodeState::Authorized.into();
        Ok(v1::AuthorizeCodeResponse { code: Some(v1::Code { state, ip: String::new(), ..code() }) })
    });
    let path = "/v2/codes/WDJB-MJHT/authorize";
    let reply = send(&stage, Method::POST, path, r#"{"revision":3}"#).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["state"]), (200, &json!("authorized")));
    assert!(reply.json()["ip"].is_null());
    let (asked, _) = stage.registry.asked::<v1::AuthorizeCodeRequest>("authorize_code").unwrap();
    assert_eq!((&*asked.code, asked.revision), ("WDJB-MJHT", 3));
    for body in ["", "{}", r#"{"revision":"3"}"#, r#"{"revision":-1}"#] {
        let reply = send(&stage, Method::POST, path, body).await;
        assert_eq!(reply.status.as_u16(), 422, "{body}");
        assert!(reply.json()["message"].as_str().unwrap().contains("revision"), "{body}");
    }

    stage.registry.answer("deny_code", move |_: &v1::DenyCodeRequest| {
        let state = v1::CodeState::Denied.into();
        Ok(v1::DenyCodeResponse { code: Some(v1::Code { state, ..code() }) })
    });
    let reply = send(&stage, Method::POST, "/v2/codes/WDJB-MJHT/deny", "").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["state"]), (200, &json!("denied")));
}

#[tokio::test]
async fn an_upstream_credential_goes_in_and_never_comes_out() {
    let stage = stage();
    let path = "/v2/user/upstream_credentials/acme";
    let reply = send(&stage, Method::PUT, path, r#"{"upstream_token":"canary-of-ada"}"#).await;
    assert_eq!((reply.status.as_u16(), reply.text().len()), (204, 0));
    let (asked, _) =
        stage.registry.asked::<v1::SetUpstreamCredentialRequest>("set_upstream_credential").unwrap();
    assert_eq!((&*asked.organization, &*asked.upstream_token), ("acme", "canary-of-ada"));
    assert!(!format!("{asked:?}").contains("canary"));
    assert_eq!(send(&stage, Method::PUT, path, "{}").await.status.as_u16(), 422);

    stage.registry.answer("list_upstream_credentials", |_: &v1::ListUpstreamCredentialsRequest| {
        let credential = v1::UpstreamCredential { organization: "acme".to_owned(), updated_at: at(0) };
        Ok(v1::ListUpstreamCredentialsResponse { upstream_credentials: vec![credential], total: 1 })
    });
    let told = send(&stage, Method::GET, "/v2/user/upstream_credentials", "").await.json();
    assert_eq!(told, json!([{"organization": "acme", "updated_at": "1970-01-01T00:00:00.000Z"}]));
    assert_eq!(send(&stage, Method::DELETE, path, "").await.status.as_u16(), 204);
    let (asked, _) =
        stage.registry.asked::<v1::DeleteUpstreamCredentialRequest>("delete_upstream_credential").unwrap();
    assert_eq!(asked.organization, "acme");
}

#[tokio::test]
async fn whoever_goes_where_a_code_leads_reads_what_to_do() {
    let stage = stage();
    let reply = send(&stage, Method::GET, "/device?code=WDJB-MJHT", "").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("content-type")),
        (200, Some("text/plain; charset=utf-8"))
    );
    assert!(reply.text().contains("portals code authorize"));
    let reply = send(&stage, Method::POST, "/device", "").await;
    assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(send(&stage, Method::GET, "/device/", "").await.status.as_u16(), 404);
}
