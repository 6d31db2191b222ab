//! An organization that has everything, and what all of it is called.

use house::House;
use http::Method;
use serde_json::{Value, json};
use std::{collections::BTreeMap, ops::Index};

const DOCUMENT: &str = "mutation triggerBuild($pipelineID: ID!) { build(id: $pipelineID) { url } }";
const PASSWORD: &str = "canary horse battery staple";
const SCOPES: [&str; 7] = [
    "read_organizations",
    "read_portals",
    "write_portals",
    "read_audit_events",
    "read_members",
    "write_members",
    "write_user",
];

/// What an organization has, by what it is: a slug or a UUID under the segment of a path that comes before it, and the
/// rest under words of this test.
pub(super) struct Things(BTreeMap<&'static str, String>);

impl Index<&str> for Things {
    type Output = String;

    fn index(&self, kind: &str) -> &String {
        self.0.get(kind).unwrap_or_else(|| panic!("nobody knows how to name one of {kind}"))
    }
}

/// What names nothing of that kind.
pub(super) fn nothing(kind: &str) -> String {
    let nothing = match kind {
        "organizations" | "portals" | "upstream_credentials" => "nothing",
        "codes" => "BBBB-BBBB",
        _ => "018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e10",
    };
    nothing.to_owned()
}

impl Things {
    /// Makes an organization that has one of everything, and more where a test needs it.
    pub(super) async fn furnish(house: &House, slug: &str) -> Self {
        house.organization(slug, json!({"upstream_headers": {"X-Team": format!("team-of-{slug}")}})).await;
        let mut things =
            Self(BTreeMap::from([("organizations", slug.to_owned()), ("portals", "door".to_owned())]));
        things.portals(house, slug).await;
        things.people(house, slug).await;
        // These are told by the organization for which they are stored.
        things.0.insert("upstream_credentials", slug.to_owned());
        things
    }

    /// A thing of that kind whose name is no other organization's thing's.
    pub(super) fn theirs_alone(&self, kind: &str) -> String {
        self[if kind == "portals" { "gate" } else { kind }].clone()
    }

    /// A portal that every organization has and one that this has alone; and what belongs to the first.
    async fn portals(&mut self, house: &House, slug: &str) {
        let about = json!({"description": format!("about-{slug}"), "user_invokable": true});
        let token = house.portal(slug, "door", &format!("# {slug}\n{DOCUMENT}"), about.clone()).await;
        let codes = house.url(&format!("/organizations/{slug}/portals/door/codes"));
        let code = house.client.send(Method::POST, &codes, &[], "").await.unwrap().expect(200).json();
        self.0.insert("codes", text(&code["code"]));
        house.portal(slug, &format!("{slug}-gate"), DOCUMENT, Value::Null).await;
        self.0.extend([("service token", token), ("gate", format!("{slug}-gate"))]);
        let path = format!("/v2/organizations/{slug}/portals/door");
        for kind in ["tokens", "secrets"] {
            let made =
                house.manage(Method::POST, &format!("{path}/{kind}"), about.clone()).await.expect(201).json();
            self.0.insert(kind, text(&made["uuid"]));
        }
        let trusted = json!({"issuer": "https://issuer.example", "audience": format!("audience-{slug}"), "conditions": {"sub": "*"}});
        let made =
            house.manage(Method::POST, &format!("{path}/trusted_issuers"), trusted).await.expect(201).json();
        self.0.insert("trusted_issuers", text(&made["uuid"]));
    }

    /// An administrator with a session and access tokens, a member, and somebody who is invited.
    async fn people(&mut self, house: &House, slug: &str) {
        let [administrator, clerk, guest] =
            ["administrator", "clerk", "guest"].map(|who| format!("{who}@{slug}.example"));
        let invitation = invited(house, slug, &administrator, "administrator").await;
        let accepted = json!({"token": invitation["token"], "name": format!("Administrator of {slug}"), "password": PASSWORD});
        let user = house.manage(Method::POST, "/v2/invitations/accept", accepted).await.expect(201).json();
        let signed_in = json!({"email": administrator, "password": PASSWORD});
        let session = house.manage(Method::POST, "/v2/sessions", signed_in).await.expect(201).json();
        let path = format!("/v2/users/{}/access-tokens", text(&user["uuid"]));
        let mut tokens = Vec::new();
        for description in ["one to present", "one to revoke"] {
            let token = json!({"scopes": SCOPES, "description": format!("{description}, of {slug}")});
            tokens.push(house.manage(Method::POST, &path, token).await.expect(201).json());
        }

        let mut users = Vec::new();
        for email in [&clerk, &guest] {
            let user = json!({"name": format!("Somebody, {email}"), "email": email});
            users.push(text(&house.manage(Method::POST, "/v2/users", user).await.expect(201).json()["uuid"]));
        }
        let member = json!({"user": users[0], "role": "member"});
        house.manage(Method::POST, &format!("/v2/organizations/{slug}/members"), member).await.expect(201);
        let invitation = invited(house, slug, &guest, "member").await;
        self.0.extend([
            ("session", text(&session["token"])),
            ("access token", text(&tokens[0]["token"])),
            ("access-tokens", text(&tokens[1]["uuid"])),
            ("users", text(&user["uuid"])),
            ("members", users[0].clone()),
            ("clerk", users[0].clone()),
            ("clerk's email", clerk),
            ("invitations", text(&invitation["uuid"])),
            ("invitation token", text(&invitation["token"])),
        ]);
    }
}

async fn invited(house: &House, organization: &str, email: &str, role: &str) -> Value {
    let path = format!("/v2/organizations/{organization}/invitations");
    house.manage(Method::POST, &path, json!({"email": email, "role": role})).await.expect(201).json()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
