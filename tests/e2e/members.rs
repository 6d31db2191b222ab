//! People manage what is theirs, from outside, and nothing after they have left.

use crate::PORTALS;
use house::{House, Shape};
use http::Method;
use serde_json::{Value, json};

const DOCUMENT: &str = "query Who { viewer { user { name } } }";
const PORTALS_OF_ACME: &str = "/v2/organizations/acme/portals";

/// A user who is a member of `acme`: their UUID and an access token of theirs.
async fn member(house: &House, name: &str, role: &str) -> (String, String) {
    let email = format!("{name}@example.com");
    let user = json!({"name": name, "email": email});
    let user = house.manage(Method::POST, "/v2/users", user).await.expect(201).json();
    let uuid = user["uuid"].as_str().unwrap().to_owned();
    let membership = json!({"email": email, "role": role});
    house.manage(Method::POST, "/v2/organizations/acme/members", membership).await.expect(201);
    let scopes = [
        "read_organizations",
        "read_portals",
        "write_portals",
        "read_audit_events",
        "read_members",
        "write_members",
        "write_user",
    ];
    let path = format!("/v2/users/{uuid}/access-tokens");
    let made = house.manage(Method::POST, &path, json!({"scopes": scopes})).await.expect(201).json();
    (uuid, made["token"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_administrator_manages_their_organization_under_their_name_until_they_are_removed() {
    let house = House::open(PORTALS, Shape::Split { edges: 2 }, &[]).await;
    house.organization("acme", json!({})).await;
    house.organization("other", json!({})).await;
    let (ada, token) = member(&house, "ada", "administrator").await;
    let (bob, bobs) = member(&house, "bob", "member").await;

    let me = house.manage_as(&token, Method::GET, "/v2/user", Value::Null).await.expect(200).json();
    assert_eq!((&me["uuid"], &me["email"]), (&json!(ada), &json!("ada@example.com")));
    let body = json!({"name": "door", "query": DOCUMENT});
    let made = house.manage_as(&token, Method::POST, PORTALS_OF_ACME, body.clone()).await.expect(201).json();
    assert_eq!(made["created_by"], me);
    house.call("acme", "door", made["token"].as_str().unwrap(), "{}").await.expect(200);
    let tokens =
        house.manage_as(&token, Method::GET, "/v2/organizations/acme/portals/door/tokens", Value::Null);
    assert_eq!(tokens.await.expect(200).json()[0]["created_by"], me);

    let own = house.manage_as(&token, Method::GET, "/v2/organizations", Value::Null).await.expect(200).json();
    assert_eq!(own.as_array().unwrap().iter().map(|one| &one["slug"]).collect::<Vec<_>>(), ["acme"]);
    let others = house.manage_as(&token, Method::GET, "/v2/organizations/other/portals", Value::Null).await;
    let nobodys = house.manage_as(&token, Method::GET, "/v2/organizations/none/portals", Value::Null).await;
    assert_eq!(others.expect(404).body, nobodys.expect(404).body);
    let refused = house.manage_as(&bobs, Method::POST, PORTALS_OF_ACME, body.clone()).await.expect(403);
    assert_eq!(refused.json()["message"], "only an administrator of the organization may do that");

    let path = format!("/v2/organizations/acme/members/{bob}");
    let raised = house.manage_as(&token, Method::PATCH, &path, json!({"role": "administrator"})).await;
    assert_eq!(raised.expect(200).json()["role"], "administrator");
    let path = format!("/v2/organizations/acme/members/{ada}");
    house.manage_as(&bobs, Method::DELETE, &path, Value::Null).await.expect(204);
    house.manage_as(&token, Method::POST, PORTALS_OF_ACME, body).await.expect(404);
    house
        .manage_as(&bobs, Method::DELETE, &format!("/v2/organizations/acme/members/{bob}"), Value::Null)
        .await
        .expect(403);

    house.manage(Method::DELETE, &format!("/v2/users/{ada}"), Value::Null).await.expect(204);
    house.manage_as(&token, Method::GET, "/v2/user", Value::Null).await.expect(401);
    let door = house.manage_as(&bobs, Method::GET, "/v2/organizations/acme/portals/door", Value::Null).await;
    assert_eq!(door.expect(200).json()["created_by"], Value::Null);
    let events =
        house.manage_as(&bobs, Method::GET, "/v2/organizations/acme/audit_events", Value::Null).await;
    let events = events.expect(200).json();
    let created = events.as_array().unwrap().iter().find(|event| event["type"] == "PORTAL_CREATED").unwrap();
    assert_eq!(created["actor"], json!({"type": "user", "uuid": ada, "name": "ada"}));
    house.close().await;
}
