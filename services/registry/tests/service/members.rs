//! Users, members and their access tokens: who may do what, and that it ends when it is said to.

use crate::desk::{Desk, fault, portal, refused};
use model::{Fault, Reason};
use proto::registry::v1::{self, membership_service_client::MembershipServiceClient};
use proto::{Channel, channel};
use std::time::{Duration, SystemTime};
use tonic::Request;

const EVERYTHING: [&str; 7] = [
    "read_organizations",
    "read_portals",
    "write_portals",
    "read_audit_events",
    "read_members",
    "write_members",
    "write_user",
];

fn client(desk: &Desk) -> MembershipServiceClient<Channel> {
    MembershipServiceClient::new(channel::local(desk.registry.membership_service()))
}

/// A request of whoever holds `token`.
fn by<Message>(token: &str, message: Message) -> Request<Message> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request.metadata_mut().insert("portals-client-address", "192.0.2.9".parse().unwrap());
    request
}

async fn user(desk: &Desk, name: &str) -> v1::User {
    let email = format!("{name}@example.com");
    let request = v1::CreateUserRequest { name: name.to_owned(), email };
    fault(client(desk).create_user(desk.signed(request)).await).unwrap().user.unwrap()
}

fn properties(scopes: &[&str]) -> v1::AccessTokenProperties {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    v1::AccessTokenProperties { scopes, ..Default::default() }
}

/// An access token that the operator makes for a user.
async fn token(desk: &Desk, user: &v1::User, properties: v1::AccessTokenProperties) -> (String, String) {
    let request = v1::CreateUserAccessTokenRequest { user: user.uuid.clone(), properties: Some(properties) };
    let made = fault(client(desk).create_user_access_token(desk.signed(request)).await).unwrap();
    (made.access_token.unwrap().uuid, made.token)
}

/// What the holder of `token` makes of one of their own.
async fn own_token(
    desk: &Desk,
    token: &str,
    properties: v1::AccessTokenProperties,
) -> Result<v1::CreateAccessTokenResponse, Fault> {
    let request = v1::CreateAccessTokenRequest { properties: Some(properties) };
    fault(client(desk).create_access_token(by(token, request)).await)
}

fn new_member(organization: &str, user: &v1::User, role: v1::Role) -> v1::CreateMemberRequest {
    v1::CreateMemberRequest {
        organization: organization.to_owned(),
        user: Some(user.uuid.clone()),
        email: None,
        role: role.into(),
    }
}

async fn join(desk: &Desk, organization: &str, user: &v1::User, role: v1::Role) {
    let request = new_member(organization, user, role);
    fault(client(desk).create_member(desk.signed(request)).await).unwrap();
}

async fn leave(desk: &Desk, token: &str, organization: &str, user: &v1::User) -> Result<(), Fault> {
    let request = v1::DeleteMemberRequest { organization: organization.to_owned(), user: user.uuid.clone() };
    fault(client(desk).delete_member(by(token, request)).await).map(drop)
}

/// A user with every scope there is for one, a member of `acme` in this role.
async fn member(desk: &Desk, name: &str, role: v1::Role) -> (v1::User, String) {
    let user = user(desk, name).await;
    join(desk, "acme", &user, role).await;
    let (_, token) = token(desk, &user, properties(&EVERYTHING)).await;
    (user, token)
}

async fn portals(desk: &Desk, token: &str, organization: &str) -> Result<v1::ListPortalsResponse, Fault> {
    let request = v1::ListPortalsRequest { organization: organization.to_owned(), page: None };
    fault(desk.administration().list_portals(by(token, request)).await)
}

async fn organizations(desk: &Desk, token: &str) -> Vec<v1::Organization> {
    let request = by(token, v1::ListOrganizationsRequest { page: None });
    fault(desk.administration().list_organizations(request).await).unwrap().organizations
}

#[tokio::test]
async fn a_role_lets_in_where_it_is_held_and_nowhere_else() {
    let desk = Desk::open().await;
    desk.organization("other").await;
    let (_, administrator) = member(&desk, "ada", v1::Role::Administrator).await;
    let (_, plain) = member(&desk, "bob", v1::Role::Member).await;

    let made = fault(desk.administration().create_portal(by(&administrator, portal("acme", "A"))).await);
    let creator = made.unwrap().portal.unwrap().created_by.unwrap();
    assert_eq!((creator.name.as_str(), creator.email.as_str()), ("ada", "ada@example.com"));
    let listed = portals(&desk, &administrator, "acme").await.unwrap();
    assert_eq!(listed.portals[0].created_by, Some(creator.clone()));

    let said = refused(portals(&desk, &plain, "acme").await, Reason::Forbidden);
    assert_eq!(said, "only an administrator of the organization may do that");
    let answer = desk.administration().create_portal(by(&plain, portal("acme", "B"))).await;
    refused(fault(answer), Reason::Forbidden);
    let answer =
        client(&desk).create_member(by(&plain, new_member("acme", &creator, v1::Role::Member))).await;
    refused(fault(answer), Reason::Forbidden);

    for token in [&administrator, &plain] {
        let theirs = refused(portals(&desk, token, "other").await, Reason::NotFound);
        let nobodys = refused(portals(&desk, token, "none").await, Reason::NotFound);
        assert_eq!((theirs.as_str(), nobodys.as_str()), ("No organization found", "No organization found"));
        let request = new_member("other", &creator, v1::Role::Member);
        refused(fault(client(&desk).create_member(by(token, request)).await), Reason::NotFound);
        let names: Vec<_> = organizations(&desk, token).await.into_iter().map(|one| one.slug).collect();
        assert_eq!(names, ["acme"]);
        let get = v1::GetOrganizationRequest { organization: "acme".to_owned() };
        assert!(fault(desk.administration().get_organization(by(token, get)).await).is_ok());
    }
    assert_eq!(organizations(&desk, &desk.admin).await.len(), 2);
}

#[tokio::test]
async fn what_is_the_operators_is_refused_to_users_whatever_their_scopes() {
    let desk = Desk::open().await;
    let (ada, token) = member(&desk, "ada", v1::Role::Administrator).await;
    let create = v1::CreateUserRequest { name: "eve".to_owned(), email: "eve@example.com".to_owned() };
    refused(fault(client(&desk).create_user(by(&token, create)).await), Reason::Forbidden);
    let list = v1::ListUsersRequest { page: None };
    refused(fault(client(&desk).list_users(by(&token, list)).await), Reason::Forbidden);
    let request = v1::CreateUserAccessTokenRequest {
        user: ada.uuid.clone(),
        properties: Some(properties(&["read_portals"])),
    };
    refused(fault(client(&desk).create_user_access_token(by(&token, request)).await), Reason::Forbidden);
    let delete = v1::DeleteUserRequest { user: ada.uuid };
    refused(fault(client(&desk).delete_user(by(&token, delete)).await), Reason::Forbidden);
    let events = v1::ListAuditEventsRequest { organization: String::new(), page: None };
    refused(fault(desk.administration().list_audit_events(by(&token, events)).await), Reason::Forbidden);
    let delete = v1::DeleteOrganizationRequest { organization: "acme".to_owned(), ..Default::default() };
    refused(fault(desk.administration().delete_organization(by(&token, delete)).await), Reason::Forbidden);
}

#[tokio::test]
async fn a_member_sees_of_the_upstream_no_more_than_an_administrator_lets_them() {
    let desk = Desk::open().await;
    let header = v1::Header { name: "X-Key".to_owned(), value: "canary".to_owned() };
    let update = v1::UpdateOrganizationRequest {
        organization: "acme".to_owned(),
        upstream_headers: Some(v1::Headers { headers: vec![header] }),
        ..Default::default()
    };
    desk.administration().update_organization(desk.signed(update)).await.unwrap();
    let (_, administrator) = member(&desk, "ada", v1::Role::Administrator).await;
    let (_, plain) = member(&desk, "bob", v1::Role::Member).await;
    for (token, headers) in [(&administrator, 1), (&plain, 0)] {
        assert_eq!(organizations(&desk, token).await[0].upstream_headers.len(), headers);
        let get = v1::GetOrganizationRequest { organization: "acme".to_owned() };
        let got = fault(desk.administration().get_organization(by(token, get)).await).unwrap();
        assert_eq!(got.organization.unwrap().upstream_headers.len(), headers);
    }
}

#[tokio::test]
async fn nothing_of_a_membership_or_user_that_has_ended_is_let_in() {
    let desk = Desk::open().await;
    desk.organization("other").await;
    let (_, ada) = member(&desk, "ada", v1::Role::Administrator).await;
    let (bob, bobs) = member(&desk, "bob", v1::Role::Administrator).await;
    join(&desk, "other", &bob, v1::Role::Administrator).await;

    leave(&desk, &ada, "acme", &bob).await.unwrap();
    refused(portals(&desk, &bobs, "acme").await, Reason::NotFound);
    portals(&desk, &bobs, "other").await.unwrap();
    assert_eq!(refused(leave(&desk, &ada, "acme", &bob).await, Reason::NotFound), "No member found");

    join(&desk, "acme", &bob, v1::Role::Member).await;
    refused(portals(&desk, &bobs, "acme").await, Reason::Forbidden);

    let delete = v1::DeleteUserRequest { user: bob.uuid.clone() };
    client(&desk).delete_user(desk.signed(delete.clone())).await.unwrap();
    for organization in ["acme", "other"] {
        refused(portals(&desk, &bobs, organization).await, Reason::Unauthenticated);
        let list = v1::ListMembersRequest { organization: organization.to_owned(), page: None };
        let listed = fault(client(&desk).list_members(desk.signed(list)).await).unwrap();
        assert!(listed.members.iter().all(|member| member.user.as_ref().unwrap().uuid != bob.uuid));
        assert_eq!(listed.total, u64::try_from(listed.members.len()).unwrap());
    }
    refused(fault(client(&desk).delete_user(desk.signed(delete)).await), Reason::NotFound);
    let answer = client(&desk).create_member(desk.signed(new_member("acme", &bob, v1::Role::Member))).await;
    assert!(refused(fault(answer), Reason::ValidationFailed).contains("there is no such user"));
    user(&desk, "bob").await;
}

#[tokio::test]
async fn the_last_administrator_is_left_to_the_operator() {
    let desk = Desk::open().await;
    let (ada, token) = member(&desk, "ada", v1::Role::Administrator).await;
    let (bob, _) = member(&desk, "bob", v1::Role::Member).await;
    let role = |user: &v1::User, role: v1::Role| v1::UpdateMemberRequest {
        organization: "acme".to_owned(),
        user: user.uuid.clone(),
        role: role.into(),
    };
    let said = refused(leave(&desk, &token, "acme", &ada).await, Reason::Forbidden);
    assert!(said.contains("last administrator"), "{said}");
    let answer = client(&desk).update_member(by(&token, role(&ada, v1::Role::Member))).await;
    refused(fault(answer), Reason::Forbidden);

    let answer = client(&desk).update_member(by(&token, role(&bob, v1::Role::Administrator))).await;
    let member = fault(answer).unwrap().member.unwrap();
    assert_eq!((member.role(), member.user.unwrap().uuid), (v1::Role::Administrator, bob.uuid.clone()));
    leave(&desk, &token, "acme", &ada).await.unwrap();
    leave(&desk, &desk.admin, "acme", &bob).await.unwrap();
}

#[tokio::test]
async fn an_access_token_is_good_for_what_was_said_and_until_then_and_from_there() {
    let desk = Desk::open().await;
    let (ada, _) = member(&desk, "ada", v1::Role::Administrator).await;
    let (_, narrow) = token(&desk, &ada, properties(&["read_portals"])).await;
    portals(&desk, &narrow, "acme").await.unwrap();
    let answer = desk.administration().create_portal(by(&narrow, portal("acme", "A"))).await;
    assert!(refused(fault(answer), Reason::Forbidden).ends_with("lacks the scope write_portals"));

    for (ranges, let_in) in [("192.0.2.0/24", true), ("198.51.100.0/24", false)] {
        let allowed = v1::AccessTokenProperties {
            allowed_ip_addresses: Some(ranges.to_owned()),
            ..properties(&["read_portals"])
        };
        let (_, token) = token(&desk, &ada, allowed).await;
        match let_in {
            true => drop(portals(&desk, &token, "acme").await.unwrap()),
            false => drop(refused(portals(&desk, &token, "acme").await, Reason::IpNotAllowed)),
        }
        let mut nowhere = by(&token, v1::DescribeAccessTokenRequest {});
        nowhere.metadata_mut().remove("portals-client-address");
        let answer = fault(desk.administration().describe_access_token(nowhere).await);
        refused(answer, Reason::IpNotAllowed);
    }

    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    // Times lie in the store in milliseconds.
    let in_ms = u64::try_from(now.as_millis()).unwrap() + 300;
    let soon = SystemTime::UNIX_EPOCH + Duration::from_millis(in_ms);
    let short = v1::AccessTokenProperties {
        expires_at: Some(proto::time::write(soon)),
        ..properties(&["read_portals"])
    };
    let (_, token) = token(&desk, &ada, short).await;
    while SystemTime::now() < soon {
        tokio::task::yield_now().await;
        let answer = portals(&desk, &token, "acme").await;
        assert!(answer.is_ok() || SystemTime::now() >= soon, "{answer:?}");
    }
    refused(portals(&desk, &token, "acme").await, Reason::Unauthenticated);
}

#[tokio::test]
async fn a_token_makes_none_that_can_do_more_than_itself() {
    let desk = Desk::open().await;
    let (ada, _) = member(&desk, "ada", v1::Role::Administrator).await;
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    let limited = v1::AccessTokenProperties {
        expires_at: Some(proto::time::write(end)),
        allowed_ip_addresses: Some("192.0.2.0/24".to_owned()),
        ..properties(&["read_portals", "write_user"])
    };
    let (_, maker) = token(&desk, &ada, limited).await;

    let made = own_token(&desk, &maker, properties(&["read_portals", "read_portals"])).await.unwrap();
    let made_token = made.access_token.unwrap();
    assert_eq!(made_token.scopes, ["read_portals"]);
    assert_eq!(made_token.expires_at, Some(proto::time::write(end)));
    assert_eq!(made_token.allowed_ip_addresses.as_deref(), Some("192.0.2.0/24"));
    portals(&desk, &made.token, "acme").await.unwrap();
    let answer = own_token(&desk, &made.token, properties(&["read_portals"])).await;
    assert!(refused(answer, Reason::Forbidden).ends_with("lacks the scope write_user"));

    let later = Some(proto::time::write(end + Duration::from_secs(1)));
    let base = || properties(&["read_portals"]);
    for (properties, said) in [
        (properties(&["write_portals"]), "the API access token which asks lacks write_portals"),
        (properties(&["write_organizations"]), "write_organizations is the operator's alone"),
        (properties(&["everything"]), "`everything` is none of read_organizations, "),
        (properties(&[]), "scopes must name 1 to 32"),
        (properties(&["read_portals"; 33]), "scopes must name 1 to 32"),
        (v1::AccessTokenProperties { expires_at: later, ..base() }, "expires_at must not be later"),
        (
            v1::AccessTokenProperties { allowed_ip_addresses: Some("192.0.0.0/16".to_owned()), ..base() },
            "allowed_ip_addresses must be among those",
        ),
        (
            v1::AccessTokenProperties { description: Some("a".repeat(4_097)), ..base() },
            "description must have at most",
        ),
    ] {
        let message = refused(own_token(&desk, &maker, properties).await, Reason::ValidationFailed);
        assert!(message.contains(said), "{message}\nexpected {said}");
    }
}

#[tokio::test]
async fn a_revoked_access_token_is_dead_and_another_users_cannot_be_revoked() {
    let desk = Desk::open().await;
    let (_, adas) = member(&desk, "ada", v1::Role::Administrator).await;
    let (bob, bobs) = member(&desk, "bob", v1::Role::Administrator).await;
    let (uuid, token) = token(&desk, &bob, properties(&["read_portals"])).await;
    portals(&desk, &token, "acme").await.unwrap();

    let delete = v1::DeleteAccessTokenRequest { uuid };
    refused(fault(client(&desk).delete_access_token(by(&adas, delete.clone())).await), Reason::NotFound);
    client(&desk).delete_access_token(by(&bobs, delete.clone())).await.unwrap();
    refused(portals(&desk, &token, "acme").await, Reason::Unauthenticated);
    refused(fault(client(&desk).delete_access_token(by(&bobs, delete)).await), Reason::NotFound);

    let list = v1::ListAccessTokensRequest { page: None };
    let listed = fault(client(&desk).list_access_tokens(by(&bobs, list)).await).unwrap();
    assert_eq!((listed.total, listed.access_tokens.len()), (1, 1));
    assert!(listed.access_tokens[0].last_used_at.is_some());
    let list = v1::ListAccessTokensRequest { page: None };
    refused(fault(client(&desk).list_access_tokens(desk.signed(list)).await), Reason::NotFound);
}

#[tokio::test]
async fn a_user_is_known_by_an_address_whatever_its_case() {
    let desk = Desk::open().await;
    let ada = user(&desk, "ada").await;
    let create = |name: &str, email: &str| {
        let request = v1::CreateUserRequest { name: name.to_owned(), email: email.to_owned() };
        let (mut client, request) = (client(&desk), desk.signed(request));
        async move { fault(client.create_user(request).await) }
    };
    let said = refused(create("Ada", "ADA@Example.com").await, Reason::ValidationFailed);
    assert_eq!(said, "Validation failed: email `ADA@Example.com` is already taken");
    let said = refused(create(" ", "nowhere").await, Reason::ValidationFailed);
    assert!(said.contains("name must not be blank, email: expected an email address"), "{said}");

    let request = |user: Option<&str>, email: Option<&str>, role: v1::Role| v1::CreateMemberRequest {
        organization: "acme".to_owned(),
        user: user.map(str::to_owned),
        email: email.map(str::to_owned),
        role: role.into(),
    };
    let member = v1::Role::Member;
    for (request, said) in [
        (request(None, None, member), "one of email and user is required"),
        (request(Some(&ada.uuid), Some("ada@example.com"), member), "one of email and user is required"),
        (request(None, Some("ada@example.com"), v1::Role::Unspecified), "role is required"),
        (request(None, Some("eve@example.com"), member), "no user has the address `eve@example.com`"),
        (request(Some("none"), None, member), "user: "),
    ] {
        let answer = client(&desk).create_member(desk.signed(request)).await;
        let message = refused(fault(answer), Reason::ValidationFailed);
        assert!(message.contains(said), "{message}\nexpected {said}");
    }
    let request_by_email = desk.signed(request(None, Some("Ada@EXAMPLE.com"), member));
    let joined = fault(client(&desk).create_member(request_by_email).await).unwrap().member.unwrap();
    assert_eq!(joined.user.as_ref(), Some(&ada));
    let again = client(&desk).create_member(desk.signed(request(Some(&ada.uuid), None, member))).await;
    assert!(refused(fault(again), Reason::ValidationFailed).contains("is a member already"));
}

#[tokio::test]
async fn an_organization_that_has_ended_is_nobodys() {
    let desk = Desk::open().await;
    let (_, token) = member(&desk, "ada", v1::Role::Administrator).await;
    let delete = v1::DeleteOrganizationRequest { organization: "acme".to_owned(), ..Default::default() };
    desk.administration().delete_organization(desk.signed(delete)).await.unwrap();
    assert!(organizations(&desk, &token).await.is_empty());
    desk.organization("acme").await;
    refused(portals(&desk, &token, "acme").await, Reason::NotFound);
}

#[tokio::test]
async fn what_members_do_is_on_record_under_their_names() {
    let desk = Desk::open().await;
    let (ada, token) = member(&desk, "ada", v1::Role::Administrator).await;
    let bob = user(&desk, "bob").await;
    let request = new_member("acme", &bob, v1::Role::Member);
    client(&desk).create_member(by(&token, request)).await.unwrap();
    leave(&desk, &token, "acme", &bob).await.unwrap();
    let made = own_token(&desk, &token, properties(&["read_portals"])).await.unwrap();
    let delete = v1::DeleteAccessTokenRequest { uuid: made.access_token.unwrap().uuid };
    client(&desk).delete_access_token(by(&token, delete)).await.unwrap();
    client(&desk).delete_user(desk.signed(v1::DeleteUserRequest { user: bob.uuid })).await.unwrap();

    let told = |events: &[v1::AuditEvent]| -> Vec<(String, String)> {
        let told = |event: &v1::AuditEvent| {
            for secret in [&token, &made.token] {
                assert!(!event.data_json.contains(secret.as_str()), "{}", event.data_json);
            }
            let actor = event.actor.as_ref().unwrap();
            (event.r#type.clone(), format!("{} {}", actor.r#type, actor.name))
        };
        events.iter().rev().map(told).collect()
    };
    let expected = |events: &[(&str, &str)]| -> Vec<(String, String)> {
        events.iter().map(|(event, actor)| ((*event).to_owned(), (*actor).to_owned())).collect()
    };
    let (operator, user) = ("operator operator", "user ada");
    let of_acme = desk.events("acme").await;
    assert_eq!(
        told(&of_acme),
        expected(&[
            ("ORGANIZATION_CREATED", operator),
            ("ORGANIZATION_MEMBER_CREATED", operator),
            ("ORGANIZATION_MEMBER_CREATED", user),
            ("ORGANIZATION_MEMBER_DELETED", user),
        ])
    );
    assert_eq!(of_acme[0].actor.as_ref().unwrap().uuid, ada.uuid);
    assert_eq!(
        told(&desk.events("").await),
        expected(&[
            ("USER_CREATED", operator),
            ("API_ACCESS_TOKEN_CREATED", operator),
            ("USER_CREATED", operator),
            ("API_ACCESS_TOKEN_CREATED", user),
            ("API_ACCESS_TOKEN_REVOKED", user),
            ("USER_DELETED", operator),
        ])
    );
}
