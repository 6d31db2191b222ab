//! How often portals may be called: by organization, by portal, by token; and how these limits are asked for.

use crate::{
    rest::{ONE, message, send, stage},
    stage::{PATH, PORTAL, Reply, Stage, granted},
};
use http::Method;
use model::{Bearer, BearerKind};
use proto::registry::v1;
use std::future::ready;

/// What the headers say of limit and remaining.
fn told(reply: &Reply) -> (u16, Option<&str>, Option<&str>) {
    (reply.status.as_u16(), reply.header("ratelimit-limit"), reply.header("ratelimit-remaining"))
}

#[tokio::test]
async fn an_organization_has_so_many_calls_in_a_window() {
    let stage = Stage::open();
    stage.registry.grant(|grant| grant.rate_limit_per_minute = 2);
    for remaining in ["1", "0"] {
        let reply = stage.invoke("{}").await;
        assert_eq!((reply.status.as_u16(), reply.header("ratelimit-remaining")), (200, Some(remaining)));
    }
    let path = "/organizations/my-organization/portals/another";
    let reply = stage.ask(stage.request(Method::POST, path, "{}")).await;
    reply.assert_fault(429, "RATE_LIMITED");
    assert_eq!(reply.header("ratelimit-remaining"), Some("0"));
    assert_eq!(reply.header("retry-after"), reply.header("ratelimit-reset"));
    assert_eq!(stage.executor.calls().len(), 2);
}

#[tokio::test]
async fn no_limit_means_no_limit_in_the_headers() {
    let stage = Stage::open();
    stage.registry.grant(|grant| grant.rate_limit_per_minute = 0);
    let reply = stage.invoke("{}").await;
    assert_eq!(reply.header("ratelimit-scope"), Some("portal"));
    for name in ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"] {
        assert_eq!(reply.header(name), None);
    }
}

/// A stage with two tokens, the first of which has a limit of its own.
fn two_tokens() -> (Stage, String) {
    let stage = Stage::open();
    let other = Bearer::generate(BearerKind::PortalToken).expose().to_owned();
    let others = other.clone();
    stage.registry.on_authorize(move |asked| {
        let mut answer = v1::AuthorizeResponse {
            rate_limit_per_minute: 9,
            portal_rate_limit_per_minute: 7,
            token_rate_limit_per_minute: 2,
            ..granted()
        };
        if asked.bearer == others {
            answer.token_uuid = "00000000-0000-4000-8000-00000000000d".to_owned();
            answer.token_rate_limit_per_minute = 0;
        }
        ready(Ok(answer))
    });
    (stage, other)
}

#[tokio::test]
async fn a_token_that_floods_is_refused_by_its_own_limit_and_takes_nothing_of_the_others() {
    let (mut stage, other) = two_tokens();
    assert_eq!(told(&stage.invoke("{}").await), (200, Some("2"), Some("1")));
    assert_eq!(told(&stage.invoke("{}").await), (200, Some("2"), Some("0")));
    for _ in 0..50 {
        let reply = stage.invoke("{}").await;
        reply.assert_fault(429, "RATE_LIMITED");
        assert!(
            reply.text().contains("the token has used up its 2 requests of this minute"),
            "{}",
            reply.text()
        );
        assert_eq!(told(&reply), (429, Some("2"), Some("0")));
        assert_eq!(reply.header("ratelimit-scope"), Some("portal"));
        assert_eq!(reply.header("retry-after"), reply.header("ratelimit-reset"));
    }
    stage.token = other;
    for remaining in ["4", "3", "2", "1", "0"] {
        assert_eq!(
            told(&stage.invoke("{}").await),
            (200, Some("7"), Some(remaining)),
            "what is left of the portal's"
        );
    }
    let reply = stage.invoke("{}").await;
    assert!(reply.text().contains("the portal has used up its 7 requests"), "{}", reply.text());
    assert_eq!(told(&reply), (429, Some("7"), Some("0")));
    assert_eq!(stage.executor.calls().len(), 7);
}

#[tokio::test]
async fn another_portal_has_what_one_has_left_of_the_organizations() {
    let stage = Stage::open();
    stage.registry.on_authorize(|asked| {
        let mut answer = v1::AuthorizeResponse { rate_limit_per_minute: 5, ..granted() };
        match asked.portal.as_str() {
            "another" => answer.portal_uuid = "00000000-0000-4000-8000-00000000000d".to_owned(),
            _ => answer.portal_rate_limit_per_minute = 2,
        }
        ready(Ok(answer))
    });
    for _ in 0..9 {
        stage.invoke("{}").await;
    }
    let another = "/organizations/my-organization/portals/another";
    for remaining in ["2", "1", "0"] {
        let reply = stage.ask(stage.request(Method::POST, another, "{}")).await;
        assert_eq!(told(&reply), (200, Some("5"), Some(remaining)));
    }
    let reply = stage.ask(stage.request(Method::POST, another, "{}")).await;
    assert!(reply.text().contains("the organization has used up its 5"), "{}", reply.text());
    let reply = stage.invoke("{}").await;
    assert_eq!(told(&reply), (429, Some("2"), Some("0")), "of as many left the smaller limit is told");
}

#[tokio::test]
async fn a_limit_of_its_own_holds_where_the_organization_has_none() {
    let stage = Stage::open();
    stage.registry.grant(|grant| {
        (grant.rate_limit_per_minute, grant.portal_rate_limit_per_minute) = (0, 1);
        grant.allowed_ip_addresses = vec!["192.0.2.1".to_owned()];
    });
    let mut elsewhere = stage.request(Method::POST, PATH, "{}");
    elsewhere.extensions_mut().insert("192.0.2.2:1".parse::<std::net::SocketAddr>().unwrap());
    assert_eq!(
        told(&stage.ask(elsewhere).await),
        (403, Some("1"), Some("1")),
        "who is not let in does not count"
    );
    assert_eq!(told(&stage.invoke("{}").await), (200, Some("1"), Some("0")));
    assert_eq!(told(&stage.invoke("{}").await), (429, Some("1"), Some("0")));
}

#[tokio::test]
async fn a_changed_limit_holds_for_the_minute_that_runs() {
    let stage = Stage::open();
    stage.watch();
    let mut watch = stage.registry.watch().await;
    watch.begin(1, 60_000).await;
    while stage.edge.ready().await.is_err() {
        tokio::task::yield_now().await;
    }
    for (revision, limit, expected) in [
        (10, 0, (200, Some("200"), Some("199"))),
        (11, 3, (200, Some("3"), Some("2"))),
        (12, 2, (200, Some("2"), Some("0"))),
    ] {
        stage.registry.grant(|grant| {
            (grant.portal_rate_limit_per_minute, grant.store_revision) = (limit, revision);
        });
        let scope = Some(v1::withdrawn::Scope::PortalUuid(PORTAL.to_owned()));
        let withdrawn = v1::Withdrawn { store_revision: revision, scope };
        watch.say(v1::watch_response::Event::Withdrawn(withdrawn)).await;
        watch.acknowledged(revision).await;
        assert_eq!(told(&stage.invoke("{}").await), expected, "{limit}");
    }
}

#[tokio::test]
async fn limits_are_asked_for_by_number_and_cleared_by_null_or_zero() {
    let stage = stage();
    for (body, expected) in [
        ("{}", None),
        (r#"{"rate_limit_per_minute":50}"#, Some(Some(50))),
        (r#"{"rate_limit_per_minute":5e1}"#, Some(Some(50))),
        (r#"{"rate_limit_per_minute":0}"#, Some(Some(0))),
        (r#"{"rate_limit_per_minute":null}"#, Some(None)),
        // Too much stays too much, for the registry to refuse.
        (r#"{"rate_limit_per_minute":4294967296}"#, Some(Some(u32::MAX))),
    ] {
        assert_eq!(send(&stage, Method::PUT, ONE, body).await.status.as_u16(), 200, "{body}");
        let (asked, _) = stage.registry.asked::<v1::UpdatePortalRequest>("update_portal").unwrap();
        assert_eq!(asked.rate_limit_per_minute.map(|limit| limit.value), expected, "{body}");
    }
    let tokens = format!("{ONE}/tokens");
    for (method, path, more) in [(Method::PUT, ONE, ", or null"), (Method::POST, &tokens, "")] {
        for value in ["-1", "1.5", "\"9\"", "true", "[]", "{}"] {
            let body = format!("{{\"rate_limit_per_minute\":{value}}}");
            let reply = send(&stage, method.clone(), path, &body).await;
            assert_eq!(reply.status.as_u16(), 422, "{body}");
            let expected = format!(
                "Validation failed: rate_limit_per_minute must be a whole number of at least 0{more}"
            );
            assert_eq!(message(&reply), expected, "{body}");
        }
    }
    stage.registry.answer("create_portal_token", |asked: &v1::CreatePortalTokenRequest| {
        let token =
            v1::PortalToken { rate_limit_per_minute: asked.rate_limit_per_minute, ..Default::default() };
        Ok(v1::CreatePortalTokenResponse { portal_token: Some(token), token: "ptk_secret".to_owned() })
    });
    let reply = send(&stage, Method::POST, &tokens, r#"{"rate_limit_per_minute":20}"#).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["rate_limit_per_minute"]), (201, &20.into()));
    let reply = send(&stage, Method::POST, &tokens, r#"{"rate_limit_per_minute":null}"#).await;
    assert_eq!((reply.status.as_u16(), reply.json().get("rate_limit_per_minute")), (201, None));
}
