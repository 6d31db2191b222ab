//! How often the management may be asked.

use crate::stage::{Reply, Stage, TOKEN};
use http::{Method, Request};
use model::{Bearer, BearerKind, Fault, Reason};
use proto::registry::v1;
use std::net::SocketAddr;

const PATH: &str = "/v2/organizations";

/// A stage that grants `limit` requests a minute, whose registry knows the stage's token alone.
fn stage(limit: u32) -> Stage {
    let stage = Stage::with(|config| config.rest_rate_limit = limit);
    stage.registry.answer("list_organizations", |_: &v1::ListOrganizationsRequest| {
        Ok(v1::ListOrganizationsResponse::default())
    });
    stage
}

fn from(stage: &Stage, address: &str, token: &str) -> Request<axum::body::Body> {
    let mut request = stage.request(Method::GET, PATH, "");
    request.extensions_mut().insert(format!("{address}:4711").parse::<SocketAddr>().unwrap());
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn told(reply: &Reply) -> [Option<&str>; 4] {
    ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "ratelimit-scope"]
        .map(|name| reply.header(name))
}

#[tokio::test]
async fn every_answer_tells_how_the_access_token_stands_until_there_is_nothing_left() {
    let stage = stage(3);
    for left in ["2", "1"] {
        let reply = stage.ask(stage.request(Method::GET, PATH, "")).await;
        assert_eq!(reply.status.as_u16(), 200);
        assert_eq!(told(&reply), [Some("3"), Some(left), Some("60"), Some("rest")]);
    }
    stage.registry.answer("describe_access_token", |_: &v1::DescribeAccessTokenRequest| {
        let scopes = vec!["read_organizations".to_owned()];
        Ok(v1::DescribeAccessTokenResponse { scopes, ..v1::DescribeAccessTokenResponse::default() })
    });
    let reply = stage.ask(stage.request(Method::GET, "/v2/organizations?page=x", "")).await;
    assert_eq!((reply.status.as_u16(), told(&reply)[1]), (422, Some("0")), "what is refused counts too");
    assert!(stage.registry.asked::<v1::DescribeAccessTokenRequest>("describe_access_token").is_some());

    let reply = stage.ask(stage.request(Method::GET, "/v2/organizations/acme", "")).await;
    assert_eq!(reply.status.as_u16(), 429);
    assert_eq!(reply.text(), r#"{"message":"the access token has used up its 3 requests of this minute"}"#);
    assert_eq!(told(&reply), [Some("3"), Some("0"), Some("60"), Some("rest")]);
    assert_eq!(reply.header("retry-after"), Some("60"));
    assert!(stage.registry.asked::<v1::GetOrganizationRequest>("get_organization").is_none());
    let open = stage.ask(stage.request(Method::GET, "/v2/openapi.json", "")).await;
    assert_eq!((open.status.as_u16(), told(&open)), (200, [None; 4]));
}

#[tokio::test]
async fn whoever_guesses_is_held_up_and_neither_the_known_nor_those_elsewhere() {
    let stage = stage(3);
    let known = stage.token.clone();
    stage.ask(from(&stage, "192.0.2.1", &known)).await;
    stage.registry.answer("list_organizations", |_: &v1::ListOrganizationsRequest| {
        Err::<v1::ListOrganizationsResponse, _>(Fault::new(Reason::Unauthenticated, "unknown"))
    });
    for _ in 0..3 {
        let guess = Bearer::generate(BearerKind::PortalToken);
        let reply = stage.ask(from(&stage, "192.0.2.1", guess.expose())).await;
        assert_eq!((reply.status.as_u16(), told(&reply)), (401, [None; 4]));
    }
    stage.registry.answer("list_organizations", |_: &v1::ListOrganizationsRequest| {
        Ok(v1::ListOrganizationsResponse::default())
    });

    let guess = Bearer::generate(BearerKind::PortalToken);
    let reply = stage.ask(from(&stage, "192.0.2.1", guess.expose())).await;

    assert_eq!((reply.status.as_u16(), told(&reply)), (429, [None; 4]), "and nothing is told of it");
    assert_eq!(reply.header("retry-after"), Some("60"));
    assert_eq!(stage.ask(from(&stage, "192.0.2.1", &known)).await.status.as_u16(), 200);
    assert_eq!(stage.ask(from(&stage, "192.0.2.2", guess.expose())).await.status.as_u16(), 200);
}

#[tokio::test]
async fn without_a_limit_there_is_nothing_to_tell() {
    let stage = stage(0);
    for _ in 0..10 {
        let reply = stage.ask(stage.request(Method::GET, PATH, "")).await;
        assert_eq!((reply.status.as_u16(), told(&reply)), (200, [None; 4]));
    }
}

/// A body is not read from whoever has nothing left.
#[tokio::test]
async fn who_has_nothing_left_changes_nothing() {
    let stage = stage(1);
    stage.registry.answer("describe_access_token", |_: &v1::DescribeAccessTokenRequest| {
        let scopes = vec!["write_organizations".to_owned()];
        Ok(v1::DescribeAccessTokenResponse { uuid: TOKEN.to_owned(), scopes, ..Default::default() })
    });
    let body = r#"{"name":"a","upstream_url":"http://a"}"#;
    stage.ask(stage.request(Method::GET, PATH, "")).await;

    let reply = stage.ask(stage.request(Method::POST, PATH, body)).await;

    assert_eq!(reply.status.as_u16(), 429);
    assert!(stage.registry.asked::<v1::CreateOrganizationRequest>("create_organization").is_none());
}
