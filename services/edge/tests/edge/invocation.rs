//! Invocations: every row of the contract's tables.

use crate::stage::{PATH, Reply, Stage, answer};
use axum::body::Body;
use http::{Method, Request, StatusCode};
use model::{
    Fault, Reason,
    fault::{Details, PathSegment, VariableFault},
    restriction::Rule,
};
use std::{future::ready, time::Duration};

#[tokio::test]
async fn a_call_gets_the_upstreams_answer_byte_for_byte() {
    let stage = Stage::open();
    stage.executor.on_call(|_| ready(Ok(answer(200, "{\"data\" : {\"n\":1e400}}\n"))));

    let reply = stage.invoke("{\"pipelineSlug\": 1}").await;

    assert_eq!((reply.status, reply.text()), (StatusCode::OK, "{\"data\" : {\"n\":1e400}}\n"));
    for (name, value) in [
        ("content-type", "application/json; charset=utf-8"),
        ("cache-control", "no-store"),
        ("ratelimit-limit", "200"),
        ("ratelimit-remaining", "199"),
        ("ratelimit-reset", "60"),
        ("ratelimit-scope", "portal"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    assert!(reply.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
    let call = stage.executor.calls().remove(0);
    assert_eq!(&*call.variables, b"{\"pipelineSlug\": 1}");
    assert_eq!(call.operation_name, None);
    assert_eq!(call.grant.jwt.expose(), "grant");
    assert_eq!(Some(call.request_id.as_str()), reply.header("x-request-id"));
    let asked = stage.registry.authorized().remove(0);
    assert_eq!(
        (asked.organization.as_str(), asked.portal.as_str()),
        ("my-organization", "trigger-main-build")
    );
}

#[tokio::test]
async fn an_answer_keeps_its_status_and_names_what_was_left_out() {
    let stage = Stage::open();
    stage.executor.on_call(|_| {
        let ignored_variables = vec!["a".to_owned(), "b,c\n".to_owned()];
        ready(Ok(proto::Answer { ignored_variables, ..answer(400, "{\"errors\":[]}") }))
    });
    let reply = stage.invoke("").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(reply.header("portal-ignored-variables"), Some("a, b%2Cc%0A"));
}

#[tokio::test]
async fn the_caller_chooses_the_media_type_and_the_request_id() {
    let stage = Stage::open();
    let mut request = stage.request(Method::POST, PATH, "{}");
    request.headers_mut().insert("accept", "application/graphql-response+json".parse().unwrap());
    request.headers_mut().insert("x-request-id", "my~id".parse().unwrap());
    let reply = stage.ask(request).await;
    assert_eq!(reply.header("content-type"), Some("application/graphql-response+json"));
    assert_eq!(reply.header("x-request-id"), Some("my~id"));
    for bad in ["", "a b", &"x".repeat(129)] {
        let mut request = stage.request(Method::POST, PATH, "{}");
        request.headers_mut().insert("x-request-id", bad.parse().unwrap());
        let reply = stage.ask(request).await;
        assert_eq!(reply.header("x-request-id").unwrap().len(), 36, "{bad:?}");
    }
}

#[tokio::test]
async fn methods_but_post_are_not_allowed() {
    let stage = Stage::open();
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "FOO"] {
        let request = Request::builder().method(method).uri(PATH).header("host", "portals.example");
        let request = request.body(Body::empty()).unwrap();
        let reply = stage.ask(request).await;
        assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some("POST")), "{method}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{method}");
        assert!(reply.header("x-request-id").is_some(), "{method}");
    }
    assert!(stage.registry.authorized().is_empty());
}

#[tokio::test]
async fn an_unknown_route_is_told_in_the_shape_of_its_side() {
    let stage = Stage::open();
    for path in [
        "/",
        "/organizations",
        "/organizations/a/portals/b/",
        "/organizations/a/portals/b/secrets",
        "/organizations/a/portals/b/tokens/c",
        "/organizations/a/portals/b/tokens/",
        "/v20",
    ] {
        let reply = stage.ask(stage.request(Method::POST, path, "{}")).await;
        reply.assert_fault(404, "NOT_FOUND");
        assert!(reply.header("x-request-id").is_some());
    }
    for path in ["/v2", "/v2/", "/v2/openapi", "/v2/organizations/a/portals/b/codes"] {
        let reply = stage.ask(stage.request(Method::GET, path, "")).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (404, r#"{"message":"Not Found"}"#), "{path}");
    }
}

/// What a caller sees but for the request id.
fn seen(reply: &Reply) -> String {
    let mut headers = reply.headers.clone();
    headers.remove("x-request-id").unwrap();
    format!("{} {headers:?} {}", reply.status, reply.text())
}

#[tokio::test]
async fn refusals_do_not_tell_whether_there_is_such_a_portal() {
    for reason in [Reason::Unauthenticated, Reason::Forbidden] {
        let stage = Stage::open();
        stage.registry.refuse(reason);
        let known = stage.invoke("{}").await;
        for path in [
            "/organizations/my-organization/portals/no-such",
            "/organizations/A_B/portals/%00",
            "/organizations/my-organization/portals/%ff",
        ] {
            let reply = stage.ask(stage.request(Method::POST, path, "not json")).await;
            assert_eq!(seen(&reply), seen(&known), "{path}");
            assert!(reply.header("ratelimit-scope").is_none());
        }
        assert_eq!(stage.executor.calls().len(), 0);
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused_without_asking() {
    let stage = Stage::open();
    let plain = "Bearer realm=\"portals\"";
    let invalid = "Bearer realm=\"portals\", error=\"invalid_token\"";
    for (field, challenge) in [
        (None, plain),
        (Some("Basic YTpi"), plain),
        (Some("Bearer nonsense"), invalid),
        (Some("Bearer ptk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), invalid),
    ] {
        let mut request = stage.request(Method::POST, &format!("{PATH}?access_token={}", stage.token), "{}");
        request.headers_mut().remove("authorization");
        if let Some(field) = field {
            request.headers_mut().insert("authorization", field.parse().unwrap());
        }
        let reply = stage.ask(request).await;
        reply.assert_fault(401, "UNAUTHENTICATED");
        assert_eq!(reply.header("www-authenticate"), Some(challenge), "{field:?}");
    }
    assert!(stage.registry.authorized().is_empty());
}

#[tokio::test]
async fn addresses_outside_of_the_ranges_are_refused() {
    let stage = Stage::with(|config| {
        config.trusted_proxies = model::address::TrustedProxies::parse("10.0.0.0/8").unwrap();
    });
    stage
        .registry
        .grant(|grant| grant.allowed_ip_addresses = vec!["192.0.2.0/24".to_owned(), "::1".to_owned()]);
    for (peer, forwarded, status) in [
        ("192.0.2.9:1", &[][..], 200),
        ("[::ffff:192.0.2.9]:1", &[], 200),
        ("[::1]:1", &[], 200),
        ("198.51.100.1:1", &[("x-forwarded-for", "192.0.2.9")], 403),
        ("10.0.0.1:1", &[("x-forwarded-for", "192.0.2.9")], 200),
        ("10.0.0.1:1", &[("x-forwarded-for", "192.0.2.9, 198.51.100.1")], 403),
        ("10.0.0.1:1", &[("forwarded", "for=192.0.2.9")], 200),
        ("10.0.0.1:1", &[("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=192.0.2.9")], 400),
        ("10.0.0.1:1", &[("x-forwarded-for", "192.0.2.9"), ("forwarded", "proto=https")], 200),
        ("10.0.0.1:1", &[("x-forwarded-for", ""), ("forwarded", "for=192.0.2.9")], 200),
        ("10.0.0.1:1", &[("x-forwarded-for", "nonsense")], 400),
        ("10.0.0.1:1", &[], 403),
    ] {
        let mut request = stage.request(Method::POST, PATH, "{}");
        request.extensions_mut().insert(peer.parse::<std::net::SocketAddr>().unwrap());
        for (name, value) in forwarded {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let reply = stage.ask(request).await;
        assert_eq!(reply.status.as_u16(), status, "{peer} {forwarded:?}");
        assert_eq!(reply.header("ratelimit-scope"), Some("portal"));
        match status {
            403 => reply.assert_fault(403, "IP_NOT_ALLOWED"),
            400 => reply.assert_fault(400, "BAD_REQUEST"),
            _ => {}
        }
    }
    let mut request = stage.request(Method::POST, PATH, "{}");
    request.extensions_mut().clear();
    stage.ask(request).await.assert_fault(403, "IP_NOT_ALLOWED");
}

#[tokio::test]
async fn the_tokens_ranges_hold_besides_the_portals() {
    let stage = Stage::open();
    stage.registry.grant(|grant| {
        grant.allowed_ip_addresses = vec!["192.0.2.0/24".to_owned()];
        grant.token_allowed_ip_addresses = vec!["192.0.2.1".to_owned(), "198.51.100.1".to_owned()];
    });
    for (peer, code) in [
        ("192.0.2.1:1", ""),
        ("192.0.2.2:1", "TOKEN_RESTRICTED"),
        ("198.51.100.1:1", "IP_NOT_ALLOWED"),
        ("203.0.113.1:1", "IP_NOT_ALLOWED"),
    ] {
        let mut request = stage.request(Method::POST, PATH, "{}");
        request.extensions_mut().insert(peer.parse::<std::net::SocketAddr>().unwrap());
        let reply = stage.ask(request).await;
        match code {
            "" => assert_eq!(reply.status.as_u16(), 200),
            code => reply.assert_fault(403, code),
        }
        if code == "TOKEN_RESTRICTED" {
            assert!(reply.text().contains(r#""rule":"allowed_ip_addresses""#), "{}", reply.text());
        }
    }
    assert_eq!(stage.executor.calls().len(), 1);
}

#[tokio::test]
async fn the_media_type_must_be_json_unless_there_is_nothing() {
    let stage = Stage::open();
    for (media_type, body, status) in [
        (Some("application/json"), "{}", 200),
        (Some("Application/Json;charset=UTF-8"), "{}", 200),
        (Some("application/json"), "", 200),
        (None, "", 200),
        (None, "{}", 415),
        (Some("text/plain"), "{}", 415),
        (Some("application/graphql"), "", 415),
    ] {
        let mut request = stage.request(Method::POST, PATH, body);
        request.headers_mut().remove("content-type");
        if let Some(media_type) = media_type {
            request.headers_mut().insert("content-type", media_type.parse().unwrap());
        }
        let reply = stage.ask(request).await;
        assert_eq!(reply.status.as_u16(), status, "{media_type:?} {body:?}");
        if status == 415 {
            reply.assert_fault(415, "UNSUPPORTED_MEDIA_TYPE");
        }
    }
}

#[tokio::test]
async fn an_operation_is_named_in_the_query() {
    let stage = Stage::open();
    for (query, name) in
        [("operation_name=GetBuilds", Some("GetBuilds")), ("operation_name=", None), ("x=y", None)]
    {
        stage.ask(stage.request(Method::POST, &format!("{PATH}?{query}"), "{}")).await;
        assert_eq!(stage.executor.calls().last().unwrap().operation_name.as_deref(), name, "{query}");
    }
    let twice = stage.request(Method::POST, &format!("{PATH}?operation_name=a&operation_name=a"), "{}");
    stage.ask(twice).await.assert_fault(400, "BAD_REQUEST");
}

#[tokio::test]
async fn every_reason_has_its_status_and_its_word() {
    for reason in Reason::ALL {
        let expected = match reason {
            Reason::BadRequest => (400, "BAD_REQUEST"),
            Reason::OperationNameRequired => (422, "OPERATION_NAME_REQUIRED"),
            Reason::OperationNotFound => (422, "OPERATION_NOT_FOUND"),
            Reason::VariablesInvalid => (422, "VARIABLES_INVALID"),
            Reason::TokenRestricted => (403, "TOKEN_RESTRICTED"),
            Reason::UpstreamUnreachable => (502, "UPSTREAM_UNREACHABLE"),
            Reason::UpstreamUnauthorized => (502, "UPSTREAM_UNAUTHORIZED"),
            Reason::UpstreamError => (502, "UPSTREAM_ERROR"),
            Reason::UpstreamInvalidResponse => (502, "UPSTREAM_INVALID_RESPONSE"),
            Reason::UpstreamResponseTooLarge => (502, "UPSTREAM_RESPONSE_TOO_LARGE"),
            Reason::Overloaded => (503, "OVERLOADED"),
            Reason::RegistryUnavailable => (503, "REGISTRY_UNAVAILABLE"),
            Reason::ExecutorUnavailable => (503, "EXECUTOR_UNAVAILABLE"),
            Reason::UpstreamCircuitOpen => (503, "UPSTREAM_CIRCUIT_OPEN"),
            Reason::UpstreamRateLimited => (503, "UPSTREAM_RATE_LIMITED"),
            Reason::UpstreamTimeout => (504, "UPSTREAM_TIMEOUT"),
            Reason::Internal | Reason::GrantInvalid | Reason::GrantUnknown => (500, "INTERNAL"),
            _ => continue,
        };
        let stage = Stage::open();
        stage.executor.fail(|| Fault::new(*reason, "why").retry_after(Duration::from_millis(1_500)));
        let reply = stage.invoke("{}").await;
        reply.assert_fault(expected.0, expected.1);
        let message = if expected.0 == 500 { "something went wrong on our side" } else { "why" };
        assert_eq!(reply.json()["errors"][0]["message"], message);
        let wait = (expected.0 == 503).then_some("2");
        assert_eq!(reply.header("retry-after"), wait, "{reason:?}");
        assert_eq!(reply.header("ratelimit-remaining"), Some("199"));
    }
}

#[tokio::test]
async fn a_fault_says_what_can_be_done_about_it() {
    let stage = Stage::open();
    stage.executor.fail(|| {
        Fault::new(Reason::OperationNotFound, "no")
            .with(Details::Operations(vec!["a".to_owned(), "b".to_owned()]))
    });
    let reply = stage.invoke("{}").await;
    assert_eq!(
        reply.text(),
        r#"{"errors":[{"message":"no","extensions":{"code":"OPERATION_NOT_FOUND","operations":["a","b"]}}]}"#
    );
    stage.executor.fail(|| Fault::restricted_variable(Rule::Variables, "branch", "no"));
    assert_eq!(
        stage.invoke("{}").await.text(),
        r#"{"errors":[{"message":"no","extensions":{"code":"TOKEN_RESTRICTED","rule":"variables","variable":"branch"}}]}"#
    );
    stage.executor.fail(|| {
        let path = vec![PathSegment::Key("tags".to_owned()), PathSegment::Index(1)];
        let one = VariableFault { variable: "tags".to_owned(), path, message: "expected Int".to_owned() };
        let other =
            VariableFault { variable: "x".to_owned(), path: Vec::new(), message: "unknown".to_owned() };
        Fault::new(Reason::VariablesInvalid, "bad").with(Details::Variables(vec![one, other]))
    });
    let reply = stage.invoke("{}").await;
    assert_eq!(
        reply.text(),
        concat!(
            r#"{"errors":[{"message":"expected Int","extensions":{"code":"VARIABLES_INVALID","variable":"tags","#,
            r#""path":["tags",1]}},{"message":"unknown","extensions":{"code":"VARIABLES_INVALID","variable":"x","#,
            r#""path":[]}}]}"#
        )
    );
}
