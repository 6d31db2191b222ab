//! A token opens exactly one door.

use crate::PORTALS;
use house::{House, Shape};
use serde_json::{Value, json};

const DOCUMENT: &str = "query Who { viewer { user { name } } }";

#[tokio::test]
async fn only_the_diagonal_of_organizations_portals_and_tokens_is_let_in() {
    let house = House::open(PORTALS, Shape::Split { edges: 1 }, &[]).await;
    let doors: Vec<(String, String)> = (0..3)
        .flat_map(|organization| {
            (0..3).map(move |portal| (format!("org-{organization}"), format!("portal-{portal}")))
        })
        .collect();
    let mut tokens = Vec::new();
    for organization in ["org-0", "org-1", "org-2"] {
        house.organization(organization, json!({"rate_limit_per_minute": 0})).await;
    }
    for (organization, portal) in &doors {
        let first = house.portal(organization, portal, DOCUMENT, Value::Null).await;
        let path = format!("/v2/organizations/{organization}/portals/{portal}/tokens");
        let second = house.manage(http::Method::POST, &path, json!({"description": "second"})).await;
        tokens.push([first, second.expect(201).json()["token"].as_str().unwrap().to_owned()]);
    }

    let mut refusals = Vec::new();
    for (door, (organization, portal)) in doors.iter().enumerate() {
        for (owner, token) in
            tokens.iter().enumerate().flat_map(|(owner, pair)| pair.iter().map(move |token| (owner, token)))
        {
            let reply = house.call(organization, portal, token, "{}").await;
            if owner == door {
                reply.expect(200);
            } else {
                refusals.push(reply.expect_fault(403, "FORBIDDEN"));
            }
        }
    }
    let nowhere =
        [("org-0", "no-such-portal"), ("no-such-organization", "portal-0"), ("Not a slug", "%2e%2e")];
    for (organization, portal) in nowhere {
        let organization = organization.replace(' ', "%20");
        refusals.push(
            house.call(&organization, portal, &tokens[0][0], "{}").await.expect_fault(403, "FORBIDDEN"),
        );
    }
    assert_eq!(refusals.len(), 9 * 8 * 2 + nowhere.len());
    assert_all_alike(&refusals);
    assert_eq!(house.upstream.calls(), doors.len() * 2, "nothing refused reached the upstream");

    let mut strangers = Vec::new();
    let forged = format!("{}A", &tokens[0][0][..tokens[0][0].len() - 1]);
    let unknown = "ptk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for token in [forged.as_str(), unknown, "x", house::ADMIN_TOKEN] {
        for (organization, portal) in [("org-0", "portal-0"), ("org-0", "no-such-portal"), ("nowhere", "x")] {
            strangers.push(
                house.call(organization, portal, token, "{}").await.expect_fault(401, "UNAUTHENTICATED"),
            );
        }
    }
    assert_all_alike(&strangers);
    assert_eq!(strangers[0].header("www-authenticate"), r#"Bearer realm="portals", error="invalid_token""#);
    house.close().await;
}

/// Every answer is the same byte for byte, but for the request id and the date.
fn assert_all_alike(replies: &[house::Reply]) {
    let bare = |reply: &house::Reply| {
        let mut headers = reply.headers.clone();
        assert!(headers.remove("x-request-id").is_some());
        headers.remove("date");
        (reply.status, headers, reply.body.clone())
    };
    for reply in replies {
        assert_eq!(bare(reply), bare(&replies[0]));
    }
}
