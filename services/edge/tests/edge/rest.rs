//! Managing portals: JSON in and out, and what reaches the registry.

use crate::stage::{ORGANIZATION, PORTAL, Reply, Stage, TOKEN};
use axum::body::Body;
use http::{Method, Request};
use model::{Fault, Reason};
use proto::registry::v1;
use std::time::{Duration, SystemTime};

const PORTALS: &str = "/v2/organizations/my-organization/portals";
pub(crate) const ONE: &str = "/v2/organizations/my-organization/portals/trigger-main-build";

pub(crate) fn at(ms: u64) -> Option<proto::time::Timestamp> {
    Some(proto::time::write(SystemTime::UNIX_EPOCH + Duration::from_millis(ms)))
}

fn portal() -> v1::Portal {
    v1::Portal {
        uuid: PORTAL.to_owned(),
        organization_uuid: ORGANIZATION.to_owned(),
        slug: "trigger-main-build".to_owned(),
        name: "Trigger main build".to_owned(),
        description: None,
        query: "mutation triggerBuild($pipelineID: ID!) { a }".to_owned(),
        allowed_ip_addresses: Some("192.0.2.1/32".to_owned()),
        user_invokable: false,
        extra_variables: v1::ExtraVariables::Reject.into(),
        created_at: at(1_787_714_565_555),
        created_by: Some(v1::User {
            uuid: TOKEN.to_owned(),
            name: "Ada".to_owned(),
            email: "ada@example.com".to_owned(),
            created_at: at(0),
        }),
        updated_at: at(1_787_714_565_000),
        revision: 3,
        operations: vec![v1::Operation {
            name: Some("triggerBuild".to_owned()),
            kind: v1::OperationKind::Mutation.into(),
            variables: vec![v1::Variable {
                name: "pipelineID".to_owned(),
                r#type: "ID!".to_owned(),
                required: true,
            }],
        }],
        warnings: vec!["w".to_owned()],
        organization_slug: "my-organization".to_owned(),
        coalesce: false,
        rate_limit_per_minute: None,
    }
}

const PORTAL_JSON: &str = concat!(
    r#"{"uuid":"00000000-0000-4000-8000-00000000000b","slug":"trigger-main-build","#,
    r#""organization_uuid":"00000000-0000-4000-8000-00000000000a","name":"Trigger main build","#,
    r#""description":null,"query":"mutation triggerBuild($pipelineID: ID!) { a }","#,
    r#""allowed_ip_addresses":"192.0.2.1/32","user_invokable":false,"extra_variables":"reject","#,
    r#""created_at":"2026-08-26T03:22:45.555Z","#,
    r#""created_by":{"id":"00000000-0000-4000-8000-00000000000c","uuid":"00000000-0000-4000-8000-00000000000c","#,
    r#""graphql_id":"VXNlci0tLTAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwYw==","name":"Ada","#,
    r#""email":"ada@example.com","avatar_url":null,"created_at":"1970-01-01T00:00:00.000Z"},"#,
    r#""updated_at":"2026-08-26T03:22:45.000Z","revision":3,"#,
    r#""url":"https://portals.example/organizations/my-organization/portals/trigger-main-build","#,
    r#""operations":[{"name":"triggerBuild","kind":"mutation","#,
    r#""variables":[{"name":"pipelineID","type":"ID!","required":true}]}],"warnings":["w"],"coalesce":false,"#,
    r#""rate_limit_per_minute":null"#,
);

/// A stage whose registry knows the token and gives it every scope.
pub(crate) fn stage() -> Stage {
    let stage = Stage::open();
    stage.registry.answer("describe_access_token", |_: &v1::DescribeAccessTokenRequest| {
        Ok(v1::DescribeAccessTokenResponse {
            uuid: TOKEN.to_owned(),
            scopes: vec!["write_portals".to_owned(), "write_organizations".to_owned()],
            ..v1::DescribeAccessTokenResponse::default()
        })
    });
    stage.registry.answer("update_portal", |_: &v1::UpdatePortalRequest| {
        Ok(v1::UpdatePortalResponse { portal: Some(portal()) })
    });
    stage
}

pub(crate) async fn send(stage: &Stage, method: Method, path: &str, body: &str) -> Reply {
    stage.ask(stage.request(method, path, body.to_owned())).await
}

pub(crate) fn message(reply: &Reply) -> String {
    assert_eq!(reply.json().as_object().unwrap().len(), 1);
    reply.json()["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_portal_is_written_as_the_contract_shows_it() {
    let stage = stage();
    stage.registry.answer("get_portal", |_: &v1::GetPortalRequest| {
        Ok(v1::GetPortalResponse { portal: Some(portal()) })
    });
    let reply = send(&stage, Method::GET, ONE, "").await;
    assert_eq!((reply.status.as_u16(), reply.text()), (200, &*format!("{PORTAL_JSON}}}")));
    for (name, value) in [
        ("etag", "\"3\""),
        ("content-type", "application/json; charset=utf-8"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    let (asked, metadata) = stage.registry.asked::<v1::GetPortalRequest>("get_portal").unwrap();
    assert_eq!((&*asked.organization, &*asked.portal), ("my-organization", "trigger-main-build"));
    assert_eq!(metadata.get("authorization").unwrap(), &*format!("Bearer {}", stage.token));
    assert_eq!(metadata.get("portals-client-address").unwrap(), "192.0.2.1");
    assert_eq!(metadata.get("portals-request-id").unwrap().to_str().ok(), reply.header("x-request-id"));
    let head = send(&stage, Method::HEAD, ONE, "").await;
    assert_eq!((head.status.as_u16(), head.header("etag"), head.body.len()), (200, Some("\"3\""), 0));
}

#[tokio::test]
async fn a_portal_is_made_and_its_token_told_once() {
    let stage = stage();
    stage.registry.answer("create_portal", |_: &v1::CreatePortalRequest| {
        Ok(v1::CreatePortalResponse { portal: Some(portal()), token: "ptk_secret".to_owned() })
    });
    let body = r#"{"name":"Trigger","query":" { a } ","slug":null,"extra_variables":"ignore","unknown":[1]}"#;
    let reply = send(&stage, Method::POST, PORTALS, body).await;
    assert_eq!(reply.status.as_u16(), 201);
    assert_eq!(reply.text(), format!("{PORTAL_JSON},\"token\":\"ptk_secret\"}}"));
    assert_eq!(
        reply.header("location"),
        Some("https://portals.example/v2/organizations/my-organization/portals/trigger-main-build")
    );
    let (asked, _) = stage.registry.asked::<v1::CreatePortalRequest>("create_portal").unwrap();
    assert_eq!((&*asked.name, &*asked.query, asked.slug.as_deref()), ("Trigger", " { a } ", None));
    assert_eq!(asked.extra_variables(), v1::ExtraVariables::Ignore);
}

#[tokio::test]
async fn a_change_says_what_stays_and_what_is_cleared() {
    let stage = stage();
    let body = r#"{"description":null,"allowed_ip_addresses":"10.0.0.0/8","coalesce":true}"#;
    assert_eq!(send(&stage, Method::PUT, ONE, body).await.status.as_u16(), 200);
    let (asked, _) = stage.registry.asked::<v1::UpdatePortalRequest>("update_portal").unwrap();
    assert_eq!((asked.name, asked.query, asked.user_invokable, asked.if_revision), (None, None, None, None));
    assert_eq!(asked.coalesce, Some(true));
    assert_eq!(asked.description.unwrap().value, None);
    assert_eq!(asked.allowed_ip_addresses.unwrap().value.as_deref(), Some("10.0.0.0/8"));
    for (body, problem) in [
        (r#"{"name":null}"#, "name must be a string"),
        (r#"{"name":1,"user_invokable":"x"}"#, "name must be a string, user_invokable must be true or false"),
        (r#"{"coalesce":null}"#, "coalesce must be true or false"),
        (r#"{"extra_variables":"drop"}"#, "extra_variables must be \"reject\" or \"ignore\""),
    ] {
        let reply = send(&stage, Method::PUT, ONE, body).await;
        assert_eq!(reply.status.as_u16(), 422, "{body}");
        assert_eq!(message(&reply), format!("Validation failed: {problem}"));
    }
}

#[tokio::test]
async fn a_change_may_depend_on_the_revision() {
    let stage = stage();
    stage.registry.answer("update_portal", |asked: &v1::UpdatePortalRequest| match asked.if_revision {
        Some(revision) if revision != 3 && !asked.or_revisions.contains(&3) => {
            Err(Fault::new(Reason::PreconditionFailed, "the revision is another"))
        }
        _ => Ok(v1::UpdatePortalResponse { portal: Some(portal()) }),
    });
    let tags =
        |last: u64| (10..30).chain([last]).map(|tag| format!("\"{tag}\"")).collect::<Vec<_>>().join(", ");
    for (condition, status) in [
        ("\"3\"", 200),
        ("\"2\"", 412),
        ("*", 200),
        ("\"2\", \"3\"", 200),
        ("W/\"3\"", 412),
        ("\"x\"", 412),
        ("\"003\", \"+3\"", 412),
        (&tags(3), 200),
        (&tags(30), 412),
    ] {
        let mut request = stage.request(Method::PUT, ONE, "{}");
        request.headers_mut().insert("if-match", condition.parse().unwrap());
        let reply = stage.ask(request).await;
        assert_eq!(reply.status.as_u16(), status, "{condition}");
    }
    let mut request = stage.request(Method::DELETE, ONE, "");
    request.headers_mut().insert("if-match", "\"7\"".parse().unwrap());
    let reply = stage.ask(request).await;
    assert_eq!((reply.status.as_u16(), reply.body.len(), reply.header("content-type")), (204, 0, None));
    let (asked, _) = stage.registry.asked::<v1::DeletePortalRequest>("delete_portal").unwrap();
    assert_eq!((asked.if_revision, asked.or_revisions), (Some(7), Vec::new()));
}

#[tokio::test]
async fn a_list_tells_where_its_other_pages_are() {
    let stage = stage();
    stage.registry.answer("list_portals", |_: &v1::ListPortalsRequest| {
        Ok(v1::ListPortalsResponse { portals: vec![portal()], total: 250 })
    });
    let url = "https://portals.example/v2/organizations/my-organization/portals";
    let reply = send(&stage, Method::GET, &format!("{PORTALS}?page=2&per_page=500&q=a%26b"), "").await;
    assert_eq!(reply.text(), format!("[{PORTAL_JSON}}}]"));
    let link = |page, rel| format!("<{url}?per_page=500&q=a%26b&page={page}>; rel=\"{rel}\"");
    let expected = [link(3, "next"), link(1, "prev"), link(1, "first"), link(3, "last")].join(", ");
    assert_eq!(reply.header("link"), Some(&*expected));
    let (asked, _) = stage.registry.asked::<v1::ListPortalsRequest>("list_portals").unwrap();
    assert_eq!(asked.page, Some(v1::Page { number: 2, size: 100 }));
    let scoped = |scope: &'static str| {
        stage.registry.answer("describe_access_token", move |_: &v1::DescribeAccessTokenRequest| {
            let scopes = vec![scope.to_owned()];
            Ok(v1::DescribeAccessTokenResponse { scopes, ..v1::DescribeAccessTokenResponse::default() })
        });
    };
    scoped("read_portals");
    for query in ["page=0", "page=x", "per_page=-1"] {
        let reply = send(&stage, Method::GET, &format!("{PORTALS}?{query}"), "").await;
        assert_eq!(reply.status.as_u16(), 422, "{query}");
        assert!(message(&reply).starts_with("Validation failed: "));
    }
    // Who may not ask hears that first.
    scoped("write_portals");
    let reply = send(&stage, Method::GET, &format!("{PORTALS}?page=0"), "").await;
    assert_eq!(
        (reply.status.as_u16(), message(&reply)),
        (403, "the API access token lacks the scope read_portals".to_owned())
    );
}

#[tokio::test]
async fn tokens_are_listed_made_and_revoked() {
    let stage = stage();
    let path = format!("{ONE}/tokens");
    let token = || v1::PortalToken {
        uuid: TOKEN.to_owned(),
        description: Some("ci".to_owned()),
        kind: "service".to_owned(),
        created_at: at(0),
        created_by: None,
        expires_at: at(1_787_714_565_555),
        last_used_at: None,
        restrictions: None,
        uses: None,
        rate_limit_per_minute: None,
    };
    stage.registry.answer("list_portal_tokens", move |_: &v1::ListPortalTokensRequest| {
        Ok(v1::ListPortalTokensResponse { tokens: vec![token()], total: 1 })
    });
    stage.registry.answer("create_portal_token", move |_: &v1::CreatePortalTokenRequest| {
        Ok(v1::CreatePortalTokenResponse { portal_token: Some(token()), token: "ptk_secret".to_owned() })
    });
    let json = concat!(
        r#"{"uuid":"00000000-0000-4000-8000-00000000000c","description":"ci","kind":"service","#,
        r#""created_at":"1970-01-01T00:00:00.000Z","created_by":null,"#,
        r#""expires_at":"2026-08-26T03:22:45.555Z","last_used_at":null"#
    );
    assert_eq!(send(&stage, Method::GET, &path, "").await.text(), format!("[{json}}}]"));
    let body = r#"{"description":"ci","expires_at":"2026-08-26T05:22:45.555+02:00"}"#;
    let reply = send(&stage, Method::POST, &path, body).await;
    assert_eq!((reply.status.as_u16(), reply.text()), (201, &*format!("{json},\"token\":\"ptk_secret\"}}")));
    let (asked, _) = stage.registry.asked::<v1::CreatePortalTokenRequest>("create_portal_token").unwrap();
    assert_eq!(asked.expires_at, at(1_787_714_565_555));
    assert_eq!(send(&stage, Method::POST, &path, "").await.status.as_u16(), 201, "nothing is required");
    let reply = send(&stage, Method::POST, &path, r#"{"expires_at":"tomorrow"}"#).await;
    assert_eq!(reply.status.as_u16(), 422);
    for (uuid, asked_for) in [(TOKEN, TOKEN), ("nonsense", "00000000-0000-0000-0000-000000000000")] {
        let reply = send(&stage, Method::DELETE, &format!("{path}/{uuid}"), "").await;
        assert_eq!(reply.status.as_u16(), 204);
        let (asked, _) = stage.registry.asked::<v1::DeletePortalTokenRequest>("delete_portal_token").unwrap();
        assert_eq!(asked.uuid, asked_for);
    }
}

#[tokio::test]
async fn audit_events_and_the_access_token_are_told() {
    let stage = stage();
    stage.registry.answer("list_audit_events", |_: &v1::ListAuditEventsRequest| {
        let event = v1::AuditEvent {
            uuid: TOKEN.to_owned(),
            occurred_at: at(0),
            r#type: "PORTAL_CREATED".to_owned(),
            actor: Some(v1::Actor { r#type: "operator".to_owned(), ..v1::Actor::default() }),
            subject: Some(v1::Subject {
                r#type: "portal".to_owned(),
                uuid: "u".to_owned(),
                name: "n".to_owned(),
            }),
            data_json: r#"{"after":{"z":1,"a":2}}"#.to_owned(),
            ip: "192.0.2.1".to_owned(),
            sequence: 1,
            hash: "5f".to_owned(),
            ..v1::AuditEvent::default()
        };
        Ok(v1::ListAuditEventsResponse { events: vec![event], total: 1 })
    });
    let reply = send(&stage, Method::GET, "/v2/organizations/my-organization/audit_events", "").await;
    assert_eq!(
        reply.text(),
        concat!(
            r#"[{"uuid":"00000000-0000-4000-8000-00000000000c","occurred_at":"1970-01-01T00:00:00.000Z","#,
            r#""type":"PORTAL_CREATED","actor":{"type":"operator","uuid":null,"name":null},"#,
            r#""subject":{"type":"portal","uuid":"u","name":"n"},"data":{"after":{"z":1,"a":2}},"ip":"192.0.2.1","#,
            r#""sequence":1,"previous_hash":null,"hash":"5f"}]"#
        )
    );
    let reply = send(&stage, Method::GET, "/v2/access-token", "").await;
    assert_eq!(reply.json()["scopes"][0], "write_portals");
    assert!(reply.json()["user"].is_null());
}

#[tokio::test]
async fn every_fault_of_the_registry_has_its_status() {
    for (reason, status) in [
        (Reason::Unauthenticated, 401),
        (Reason::Forbidden, 403),
        (Reason::NotFound, 404),
        (Reason::Conflict, 409),
        (Reason::PreconditionFailed, 412),
        (Reason::ValidationFailed, 422),
        (Reason::RateLimited, 429),
        (Reason::StorageUnavailable, 503),
        (Reason::RegistryUnavailable, 503),
        (Reason::Internal, 500),
    ] {
        let stage = stage();
        stage.registry.answer("get_portal", move |_: &v1::GetPortalRequest| {
            Err::<v1::GetPortalResponse, _>(Fault::new(reason, "No portal found"))
        });
        let reply = send(&stage, Method::GET, ONE, "").await;
        assert_eq!(reply.status.as_u16(), status, "{reason:?}");
        assert!(!message(&reply).is_empty());
        assert_eq!(reply.header("retry-after").is_some(), matches!(status, 429 | 503), "{reason:?}");
        assert_eq!(reply.header("www-authenticate").is_some(), status == 401);
        assert_ne!(reply.header("ratelimit-scope"), Some("portal"), "no invocation's");
    }
}

#[tokio::test]
async fn a_body_is_read_from_those_alone_who_may_send_it() {
    let stage = stage();
    for (token, body, status) in [(true, "{", 400), (true, "[]", 400), (true, "{\"a\":1,\"a\":2}", 400)] {
        let mut request = stage.request(Method::POST, PORTALS, body);
        if !token {
            request.headers_mut().remove("authorization");
        }
        let reply = stage.ask(request).await;
        assert_eq!(reply.status.as_u16(), status, "{body}");
        assert!(!message(&reply).is_empty());
    }
    let mut request = stage.request(Method::POST, PORTALS, "{}");
    request.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(stage.ask(request).await.status.as_u16(), 415);
    let large = "a".repeat((3 << 20) + 1);
    assert_eq!(send(&stage, Method::POST, PORTALS, &large).await.status.as_u16(), 413);

    stage.registry.answer("describe_access_token", |_: &v1::DescribeAccessTokenRequest| {
        Ok(v1::DescribeAccessTokenResponse::default())
    });
    let reply = send(&stage, Method::POST, PORTALS, "{").await;
    assert_eq!(reply.status.as_u16(), 403);
    assert!(message(&reply).contains("write_portals"));
    stage.registry.answer("describe_access_token", |_: &v1::DescribeAccessTokenRequest| {
        Err::<v1::DescribeAccessTokenResponse, _>(Fault::new(Reason::Unauthenticated, "no"))
    });
    let reply = send(&stage, Method::POST, PORTALS, "{").await;
    assert_eq!(reply.status.as_u16(), 401);
    let request = Request::builder().uri(PORTALS).header("host", "portals.example");
    let request = request.body(Body::empty()).unwrap();
    let reply = stage.ask(request).await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("www-authenticate")),
        (401, Some("Bearer realm=\"portals\""))
    );
}

#[tokio::test]
async fn every_path_knows_its_methods() {
    let stage = stage();
    for (method, path, allow) in [
        (Method::PUT, "/v2/organizations", "GET, HEAD, POST"),
        (Method::POST, "/v2/organizations/a", "GET, HEAD, PATCH, DELETE"),
        (Method::DELETE, PORTALS, "GET, HEAD, POST"),
        (Method::POST, ONE, "GET, HEAD, PUT, DELETE"),
        (Method::PATCH, &format!("{ONE}/tokens"), "GET, HEAD, POST"),
        (Method::GET, &format!("{ONE}/tokens/{TOKEN}"), "DELETE"),
        (Method::POST, "/v2/organizations/a/audit_events", "GET, HEAD"),
        (Method::OPTIONS, "/v2/access-token", "GET, HEAD"),
    ] {
        let reply = send(&stage, method.clone(), path, "").await;
        assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some(allow)), "{method} {path}");
        assert!(!message(&reply).is_empty());
    }
}

#[tokio::test]
async fn what_is_no_slug_is_asked_for_as_what_nothing_is_named() {
    let stage = stage();
    send(&stage, Method::GET, "/v2/organizations/A_B/portals/%ff", "").await;
    let (asked, _) = stage.registry.asked::<v1::GetPortalRequest>("get_portal").unwrap();
    assert_eq!((&*asked.organization, &*asked.portal), ("-", "-"));
    // One bad name spoils none of the others, so that each answer names what was not found.
    let path = "/v2/organizations/my%2Dorganization/portals/a-b/tokens/%ff";
    send(&stage, Method::DELETE, path, "").await;
    let (asked, _) = stage.registry.asked::<v1::DeletePortalTokenRequest>("delete_portal_token").unwrap();
    assert_eq!((&*asked.organization, &*asked.portal), ("my-organization", "a-b"));
    assert_eq!(asked.uuid, uuid::Uuid::nil().to_string());
}
