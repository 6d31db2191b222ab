//! The portals of Buildkite's Terraform provider: what its resource and its data sources send, and how they read it.
//!
//! To Terraform an attribute that is not told as it was sent is an error, and one that changes by itself a difference.

use crate::PORTALS;
use house::{ADMIN_TOKEN, House, Reply, Shape};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

const ALL: &str = "/v2/organizations/acme/portals";
const ONE: &str = "/v2/organizations/acme/portals/viewer";
const DOCUMENT: &str = "query Viewer { viewer { user { name } } }\n";
/// As the provider has them: without the first four there is no resource.
const TOLD: [&str; 10] = [
    "uuid",
    "slug",
    "name",
    "query",
    "description",
    "allowed_ip_addresses",
    "user_invokable",
    "created_at",
    "created_by",
    "organization_uuid",
];

/// A portal as the provider reads it: what has no `Option` must be of its type, and what has one may be null.
#[derive(Debug, Deserialize, PartialEq)]
struct Portal {
    uuid: String,
    slug: String,
    organization_uuid: String,
    name: String,
    description: Option<String>,
    query: String,
    allowed_ip_addresses: Option<String>,
    user_invokable: bool,
    #[serde(default)]
    token: Option<String>,
    created_at: String,
    created_by: Option<Creator>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Creator {
    uuid: String,
    name: String,
    email: String,
}

/// The provider with an access token.
struct Provider<'a> {
    house: &'a House,
    authorization: String,
}

impl<'a> Provider<'a> {
    fn new(house: &'a House, token: &str) -> Self {
        Self { house, authorization: format!("Bearer {token}") }
    }

    /// Sends a request as the provider does: a media type where there is a body, and neither where there is none.
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let mut headers = vec![
            ("authorization", self.authorization.as_str()),
            ("user-agent", "Terraform/1.11.4 (+https://www.terraform.io) buildkite/1.38.0"),
            ("accept-encoding", "gzip"),
        ];
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let reply = self.house.client.send(method, &self.house.url(path), &headers, body).await.unwrap();
        // When it is told to wait, it waits as long as this says.
        assert!(reply.header("ratelimit-reset").parse::<i64>().is_ok(), "{reply:?}");
        reply
    }

    async fn create(&self, body: Value) -> Portal {
        read(&self.send(Method::POST, ALL, Some(body)).await.expect(201).json())
    }

    async fn update(&self, body: Value) -> Portal {
        let updated = read(&self.send(Method::PUT, ONE, Some(body)).await.expect(200).json());
        assert_eq!(updated, self.read().await, "what is read is what the change was answered with");
        updated
    }

    async fn read(&self) -> Portal {
        read(&self.send(Method::GET, ONE, None).await.expect(200).json())
    }
}

fn read(answer: &Value) -> Portal {
    for name in TOLD {
        assert!(answer.get(name).is_some(), "{name} is missing: {answer}");
    }
    serde_json::from_value(answer.clone()).unwrap()
}

/// What the provider sends on creation and on change, where nothing is set that need not be.
fn minimal() -> Value {
    json!({"name": "Viewer", "slug": "viewer", "query": DOCUMENT, "user_invokable": false})
}

/// The same with more.
fn with(more: &Value) -> Value {
    let mut body = minimal();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn house() -> House {
    let house = House::open(PORTALS, Shape::Up, &["--rest-rate-limit", "600"]).await;
    house.organization("acme", json!({})).await;
    house
}

#[tokio::test]
async fn a_portal_is_made_read_changed_and_ended_as_terraform_does_it() {
    let house = house().await;
    let provider = Provider::new(&house, ADMIN_TOKEN);
    assert_eq!(provider.send(Method::GET, ONE, None).await.expect(404).json()["message"], "No portal found");

    let made = provider.create(minimal()).await;
    let token = made.token.clone().expect("the token is told once");
    house.secrets.add(token.as_str());
    assert_eq!((&*made.slug, &*made.name, &*made.query), ("viewer", "Viewer", DOCUMENT));
    assert_eq!((&made.description, &made.allowed_ip_addresses, made.user_invokable), (&None, &None, false));
    assert_eq!(made.created_by, None, "the operator is no user");
    assert!(made.created_at.parse::<jiff::Timestamp>().is_ok(), "{}", made.created_at);
    let there = provider.read().await;
    assert_eq!(there, Portal { token: None, ..made });
    house.call("acme", "viewer", &token, "{}").await.expect(200);

    // Each of these comes back as it was sent.
    for (name, description, addresses) in [
        ("Deploy — main", "Builds the main branch\n", "127.0.0.1/32 198.51.100.0/24"),
        (" Viewer ", " ", "127.0.0.1  198.51.100.7/24 ::1"),
        ("Viewer", "", ""),
    ] {
        let sent = with(&json!({"name": name, "description": description, "allowed_ip_addresses": addresses,
            "user_invokable": name != "Viewer"}));
        let updated = provider.update(sent).await;
        assert_eq!(updated.name, name);
        assert_eq!(updated.description.as_deref(), Some(description));
        assert_eq!(updated.allowed_ip_addresses.as_deref(), Some(addresses));
        assert_eq!(updated.user_invokable, name != "Viewer");
        assert_eq!((&updated.uuid, &updated.created_at), (&there.uuid, &there.created_at));
        house.call("acme", "viewer", &token, "{}").await.expect(200);
    }

    let gone = provider.send(Method::DELETE, ONE, None).await.expect(204);
    assert!(gone.body.is_empty());
    provider.send(Method::GET, ONE, None).await.expect(404);
    house.call("acme", "viewer", &token, "{}").await.expect_fault(401, "UNAUTHENTICATED");
    let again = provider.create(minimal()).await;
    assert_ne!((again.uuid, again.token), (there.uuid, Some(token)));
    house.close().await;
}

#[tokio::test]
async fn what_is_not_sent_stays_and_null_clears() {
    let house = house().await;
    let provider = Provider::new(&house, ADMIN_TOKEN);
    let full = json!({"description": "Who", "allowed_ip_addresses": "192.0.2.1", "user_invokable": true});
    provider.create(with(&full)).await;

    let left = provider.update(json!({"name": "Other"})).await;
    assert_eq!((&*left.name, &*left.query, left.user_invokable), ("Other", DOCUMENT, true));
    assert_eq!(
        (left.description.as_deref(), left.allowed_ip_addresses.as_deref()),
        (Some("Who"), Some("192.0.2.1"))
    );
    let cleared = provider.update(json!({"description": null, "allowed_ip_addresses": null})).await;
    assert_eq!((cleared.description, cleared.allowed_ip_addresses), (None, None));
    assert_eq!((&*cleared.name, cleared.user_invokable), ("Other", true));

    for required in ["name", "query", "slug", "user_invokable"] {
        let refused = provider.send(Method::PUT, ONE, Some(json!({required: null}))).await.expect(422);
        assert!(refused.json()["message"].as_str().unwrap().contains(required), "{refused:?}");
    }
    assert_eq!(provider.read().await, provider.update(json!({})).await);
    house.close().await;
}

#[tokio::test]
async fn whoever_made_a_portal_is_told_and_all_of_them_are_listed_in_pages() {
    let house = house().await;
    let user = json!({"name": "Ada Lovelace", "email": "ada@example.com"});
    let user = house.manage(Method::POST, "/v2/users", user).await.expect(201).json();
    let membership = json!({"user": user["uuid"], "role": "administrator"});
    house.manage(Method::POST, "/v2/organizations/acme/members", membership).await.expect(201);
    let path = format!("/v2/users/{}/access-tokens", user["uuid"].as_str().unwrap());
    let scopes = json!({"scopes": ["read_portals", "write_portals"]});
    let token = house.manage(Method::POST, &path, scopes).await.expect(201).json();
    let provider = Provider::new(&house, token["token"].as_str().unwrap());

    let made = provider.create(minimal()).await;
    let ada = Creator {
        uuid: user["uuid"].as_str().unwrap().to_owned(),
        name: "Ada Lovelace".to_owned(),
        email: "ada@example.com".to_owned(),
    };
    assert_eq!(made.created_by, Some(ada));
    for number in 1..=34 {
        house.portal("acme", &format!("portal-{number}"), DOCUMENT, Value::Null).await;
    }

    let mut slugs = Vec::new();
    let mut next = Some(ALL.to_owned());
    while let Some(path) = next {
        let reply = provider.send(Method::GET, &path, None).await.expect(200);
        let page = reply.json().as_array().unwrap().iter().map(read).collect::<Vec<_>>();
        slugs.extend(page.into_iter().map(|portal| (portal.slug, portal.token)));
        let links = reply.header("link").to_owned();
        let link = links.split(", ").find_map(|link| link.strip_suffix("; rel=\"next\""));
        next = link.map(|link| link.trim_matches(['<', '>']).replace(&house.url(""), ""));
        assert!(slugs.len() == 30 || next.is_none(), "a page has 30");
    }
    let expected = (1..=34).rev().map(|number| format!("portal-{number}")).chain(["viewer".to_owned()]);
    assert_eq!(slugs, expected.map(|slug| (slug, None)).collect::<Vec<_>>());
    house.close().await;
}
