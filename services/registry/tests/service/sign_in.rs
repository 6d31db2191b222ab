//! Passwords, sessions and invitations: who is let in, by what, and until when.

use crate::desk::{Desk, fault, refused};
use model::{Fault, Reason};
use proto::{
    Channel, channel,
    registry::v1::{
        self, membership_service_client::MembershipServiceClient, sign_in_service_client::SignInServiceClient,
    },
};
use std::{fs, path::Path};
use tonic::Request;

const PASSWORD: &str = "canary-horse-battery";
const OTHER: &str = "another-canary-horse";
const ADA: &str = "ada@example.com";
const WRONG: &str = "the email address or the password is wrong";

fn client(desk: &Desk) -> SignInServiceClient<Channel> {
    SignInServiceClient::new(channel::local(desk.registry.sign_in_service()))
}

fn members(desk: &Desk) -> MembershipServiceClient<Channel> {
    MembershipServiceClient::new(channel::local(desk.registry.membership_service()))
}

/// A request from an address, of whoever holds `token`, if anybody.
fn from<Message>(address: &str, token: Option<&str>, message: Message) -> Request<Message> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("portals-client-address", address.parse().unwrap());
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    request
}

async fn user(desk: &Desk, email: &str) -> v1::User {
    let request = v1::CreateUserRequest { name: "Ada".to_owned(), email: email.to_owned() };
    fault(members(desk).create_user(desk.signed(request)).await).unwrap().user.unwrap()
}

/// An access token of a user, which lasts.
async fn access_token(desk: &Desk, user: &v1::User) -> String {
    let scopes = vec!["write_user".to_owned()];
    let properties = Some(v1::AccessTokenProperties { scopes, ..Default::default() });
    let request = v1::CreateUserAccessTokenRequest { user: user.uuid.clone(), properties };
    fault(members(desk).create_user_access_token(desk.signed(request)).await).unwrap().token
}

async fn set_password(desk: &Desk, token: &str, current: Option<&str>, new: &str) -> Result<(), Fault> {
    let request =
        v1::SetPasswordRequest { current_password: current.map(str::to_owned), password: new.to_owned() };
    fault(client(desk).set_password(from("192.0.2.9", Some(token), request)).await).map(drop)
}

/// A user with a password, and an access token of theirs which lasts.
async fn ada(desk: &Desk) -> (v1::User, String) {
    let user = user(desk, ADA).await;
    let token = access_token(desk, &user).await;
    set_password(desk, &token, None, PASSWORD).await.unwrap();
    (user, token)
}

async fn sign_in_from(
    desk: &Desk,
    address: &str,
    email: &str,
    password: &str,
) -> Result<v1::CreateSessionResponse, Fault> {
    let request = v1::CreateSessionRequest { email: email.to_owned(), password: password.to_owned() };
    fault(client(desk).create_session(from(address, None, request)).await)
}

async fn sign_in(desk: &Desk, password: &str) -> Result<v1::CreateSessionResponse, Fault> {
    sign_in_from(desk, "192.0.2.9", ADA, password).await
}

async fn describe(desk: &Desk, token: &str) -> Result<v1::DescribeAccessTokenResponse, Fault> {
    let request = from("192.0.2.9", Some(token), v1::DescribeAccessTokenRequest {});
    fault(desk.administration().describe_access_token(request).await)
}

async fn sign_out(desk: &Desk, token: &str) -> Result<(), Fault> {
    let request = from("192.0.2.9", Some(token), v1::DeleteSessionRequest {});
    fault(client(desk).delete_session(request).await).map(drop)
}

async fn invite(desk: &Desk, email: &str, role: v1::Role) -> Result<(String, String), Fault> {
    let request = v1::CreateInvitationRequest {
        organization: "acme".to_owned(),
        email: email.to_owned(),
        role: role.into(),
    };
    let made = fault(client(desk).create_invitation(desk.signed(request)).await)?;
    Ok((made.invitation.unwrap().uuid, made.token))
}

fn acceptance(token: &str, new: Option<(&str, &str)>) -> v1::AcceptInvitationRequest {
    let (name, password) = new.map(|(name, password)| (name.to_owned(), password.to_owned())).unzip();
    v1::AcceptInvitationRequest { token: token.to_owned(), name, password }
}

async fn accept(
    desk: &Desk,
    presented: Option<&str>,
    request: v1::AcceptInvitationRequest,
) -> Result<v1::AcceptInvitationResponse, Fault> {
    fault(client(desk).accept_invitation(from("192.0.2.9", presented, request)).await)
}

async fn invitations(desk: &Desk) -> Vec<v1::Invitation> {
    let request = v1::ListInvitationsRequest { organization: "acme".to_owned(), page: None };
    fault(client(desk).list_invitations(desk.signed(request)).await).unwrap().invitations
}

async fn types(desk: &Desk, organization: &str) -> Vec<String> {
    desk.events(organization).await.into_iter().rev().map(|event| event.r#type).collect()
}

#[tokio::test]
async fn a_session_is_its_users_until_it_is_ended_and_makes_tokens_that_outlast_it() {
    let desk = Desk::open().await;
    let (user, lasting) = ada(&desk).await;
    let made = sign_in_from(&desk, "192.0.2.9", "Ada@Example.com", PASSWORD).await.unwrap();
    assert_eq!(made.user.as_ref(), Some(&user));
    let told = describe(&desk, &made.token).await.unwrap();
    assert_eq!((told.user, told.expires_at), (Some(user), made.expires_at));
    assert!(told.scopes.iter().all(|scope| scope != "write_organizations") && told.scopes.len() > 5);

    let scopes = vec!["read_portals".to_owned()];
    let properties = Some(v1::AccessTokenProperties { scopes, ..Default::default() });
    let request = from("192.0.2.9", Some(&made.token), v1::CreateAccessTokenRequest { properties });
    let own = fault(members(&desk).create_access_token(request).await).unwrap();
    assert_eq!(own.access_token.unwrap().expires_at, None);

    let said = refused(sign_out(&desk, &lasting).await, Reason::NotFound);
    assert_eq!(said, "No session found: the API access token is none");
    sign_out(&desk, &made.token).await.unwrap();
    refused(describe(&desk, &made.token).await, Reason::Unauthenticated);
    refused(sign_out(&desk, &made.token).await, Reason::Unauthenticated);
    describe(&desk, &own.token).await.unwrap();
    let seen = types(&desk, "").await;
    assert_eq!(
        seen,
        [
            "USER_CREATED",
            "API_ACCESS_TOKEN_CREATED",
            "USER_PASSWORD_CHANGED",
            "SESSION_CREATED",
            "API_ACCESS_TOKEN_CREATED",
            "SESSION_ENDED",
        ]
    );
}

#[tokio::test]
async fn an_unknown_user_one_without_a_password_and_a_wrong_password_are_answered_alike() {
    let desk = Desk::open().await;
    ada(&desk).await;
    user(&desk, "bob@example.com").await;
    for (email, password) in [
        (ADA, OTHER),
        (ADA, ""),
        ("bob@example.com", PASSWORD),
        ("bob@example.com", ""),
        ("nobody@example.com", PASSWORD),
        ("no address", PASSWORD),
    ] {
        let answer = sign_in_from(&desk, "192.0.2.9", email, password).await;
        assert_eq!(refused(answer, Reason::Unauthenticated), WRONG, "{email}");
    }
}

#[tokio::test]
async fn a_user_who_is_guessed_at_is_left_alone_from_everywhere_and_others_are_not() {
    let desk = Desk::open().await;
    ada(&desk).await;
    for host in 0..10 {
        let answer = sign_in_from(&desk, &format!("192.0.2.{host}"), ADA, OTHER).await;
        refused(answer, Reason::Unauthenticated);
    }
    let answer = sign_in_from(&desk, "198.51.100.1", ADA, PASSWORD).await;
    let Err(late) = answer else { panic!("the right one would still be found") };
    assert_eq!(late.reason(), Reason::RateLimited);
    assert!(late.wait().is_some());

    for guess in 0..10 {
        let email = format!("user-{guess}@example.com");
        refused(sign_in_from(&desk, "203.0.113.1", &email, OTHER).await, Reason::Unauthenticated);
    }
    refused(sign_in_from(&desk, "203.0.113.1", "fresh@example.com", OTHER).await, Reason::RateLimited);
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it_alone_and_ends_all_sessions_and_no_token() {
    let desk = Desk::open().await;
    let (_, lasting) = ada(&desk).await;
    let (one, other) = (sign_in(&desk, PASSWORD).await.unwrap(), sign_in(&desk, PASSWORD).await.unwrap());

    for (current, new, said) in [
        (None, OTHER, "current_password is required"),
        (Some(OTHER), OTHER, "current_password is not the user's password"),
        (Some(PASSWORD), "short", "password: expected at least 12 characters and at most 256 bytes"),
    ] {
        let told = refused(set_password(&desk, &one.token, current, new).await, Reason::ValidationFailed);
        assert_eq!(told, format!("Validation failed: {said}"));
    }
    describe(&desk, &one.token).await.unwrap();

    set_password(&desk, &one.token, Some(PASSWORD), OTHER).await.unwrap();
    for session in [&one, &other] {
        refused(describe(&desk, &session.token).await, Reason::Unauthenticated);
    }
    describe(&desk, &lasting).await.unwrap();
    refused(sign_in(&desk, PASSWORD).await, Reason::Unauthenticated);
    sign_in(&desk, OTHER).await.unwrap();
    let events = desk.events("").await;
    let changed = events.iter().find(|event| event.r#type == "USER_PASSWORD_CHANGED").unwrap();
    assert_eq!(changed.data_json, format!(r#"{{"email":"{ADA}","sessions_ended":2}}"#));
    assert_eq!(changed.actor.as_ref().unwrap().r#type, "user");
}

#[tokio::test]
async fn a_user_has_twenty_sessions_and_they_end_with_the_user() {
    let desk = Desk::open().await;
    let (user, _) = ada(&desk).await;
    let mut sessions = Vec::new();
    for _ in 0..21 {
        sessions.push(sign_in(&desk, PASSWORD).await.unwrap().token);
    }
    refused(describe(&desk, &sessions[0]).await, Reason::Unauthenticated);
    describe(&desk, &sessions[1]).await.unwrap();
    let request = v1::DeleteUserRequest { user: user.uuid };
    fault(members(&desk).delete_user(desk.signed(request)).await).unwrap();
    refused(describe(&desk, &sessions[20]).await, Reason::Unauthenticated);
    assert_eq!(refused(sign_in(&desk, PASSWORD).await, Reason::Unauthenticated), WRONG);
}

#[tokio::test]
async fn whoever_is_invited_becomes_a_user_and_a_member_once() {
    let desk = Desk::open().await;
    let (uuid, token) = invite(&desk, ADA, v1::Role::Administrator).await.unwrap();
    assert!(token.starts_with("pti_"), "{token}");
    let listed = invitations(&desk).await;
    assert_eq!((listed.len(), &*listed[0].uuid, listed[0].role()), (1, &*uuid, v1::Role::Administrator));

    let said = refused(accept(&desk, None, acceptance(&token, None)).await, Reason::ValidationFailed);
    assert!(said.contains("name must not be blank, password: expected"), "{said}");
    let accepted = accept(&desk, None, acceptance(&token, Some(("Ada", PASSWORD)))).await.unwrap();
    let member = accepted.member.unwrap();
    assert_eq!((&*accepted.organization, member.role()), ("acme", v1::Role::Administrator));
    assert_eq!(member.user.as_ref().unwrap().email, ADA);
    refused(accept(&desk, None, acceptance(&token, Some(("Eve", OTHER)))).await, Reason::NotFound);
    assert_eq!(invitations(&desk).await, []);

    let session = sign_in(&desk, PASSWORD).await.unwrap();
    let request = v1::ListMembersRequest { organization: "acme".to_owned(), page: None };
    let seen = fault(members(&desk).list_members(from("192.0.2.9", Some(&session.token), request)).await);
    assert_eq!(seen.unwrap().members, [member]);
    let seen = types(&desk, "acme").await;
    let expected = ["ORGANIZATION_INVITATION_CREATED", "ORGANIZATION_INVITATION_ACCEPTED"];
    assert_eq!(seen[seen.len() - 2..], expected);
    let said = refused(invite(&desk, "ADA@example.com", v1::Role::Member).await, Reason::ValidationFailed);
    assert!(said.contains("is a member already"), "{said}");
}

#[tokio::test]
async fn a_user_accepts_with_a_token_of_their_own_and_nobody_else_does() {
    let desk = Desk::open().await;
    let (_, ada) = ada(&desk).await;
    let bob = user(&desk, "bob@example.com").await;
    let bob = access_token(&desk, &bob).await;
    let (_, token) = invite(&desk, ADA, v1::Role::Member).await.unwrap();
    let newcomer = || acceptance(&token, Some(("Ada", OTHER)));
    refused(accept(&desk, None, newcomer()).await, Reason::Unauthenticated);
    refused(accept(&desk, Some("pta_nobody"), newcomer()).await, Reason::Unauthenticated);
    refused(accept(&desk, Some(&bob), newcomer()).await, Reason::Forbidden);
    refused(accept(&desk, Some(&desk.admin), newcomer()).await, Reason::Forbidden);

    let member = accept(&desk, Some(&ada), acceptance(&token, None)).await.unwrap().member.unwrap();
    assert_eq!((member.role(), &*member.user.unwrap().email), (v1::Role::Member, ADA));
    sign_in(&desk, PASSWORD).await.expect("their password is as it was");
}

#[tokio::test]
async fn of_many_who_accept_at_once_one_does_and_a_user_who_is_made_meanwhile_is_not_there_twice() {
    let desk = Desk::open().await;
    let (_, token) = invite(&desk, ADA, v1::Role::Member).await.unwrap();
    let request = v1::CreateUserRequest { name: "Ada".to_owned(), email: "ADA@example.com".to_owned() };
    let mut people = members(&desk);
    let (one, two, three, made) = tokio::join!(
        accept(&desk, None, acceptance(&token, Some(("One", PASSWORD)))),
        accept(&desk, None, acceptance(&token, Some(("Two", PASSWORD)))),
        accept(&desk, None, acceptance(&token, Some(("Three", PASSWORD)))),
        people.create_user(desk.signed(request)),
    );
    let accepted = [one.is_ok(), two.is_ok(), three.is_ok()].into_iter().filter(|accepted| *accepted).count();
    assert_eq!(accepted + usize::from(made.is_ok()), 1);
    let users = fault(people.list_users(desk.signed(v1::ListUsersRequest { page: None })).await).unwrap();
    assert_eq!(users.total, 1);
}

#[tokio::test]
async fn a_revoked_invitation_is_none_and_an_organization_has_a_hundred() {
    let desk = Desk::open().await;
    let (uuid, token) = invite(&desk, ADA, v1::Role::Member).await.unwrap();
    for guest in 1..100 {
        invite(&desk, &format!("guest-{guest}@example.com"), v1::Role::Member).await.unwrap();
    }
    let said = refused(invite(&desk, "one@more.example", v1::Role::Member).await, Reason::ValidationFailed);
    assert!(said.contains("100 live invitations, which is the most"), "{said}");
    let revoke = |uuid: &str| {
        desk.signed(v1::DeleteInvitationRequest { organization: "acme".to_owned(), uuid: uuid.to_owned() })
    };
    fault(client(&desk).delete_invitation(revoke(&uuid)).await).unwrap();
    refused(fault(client(&desk).delete_invitation(revoke(&uuid)).await), Reason::NotFound);
    refused(accept(&desk, None, acceptance(&token, Some(("Ada", PASSWORD)))).await, Reason::NotFound);
    invite(&desk, "one@more.example", v1::Role::Member).await.unwrap();

    for guess in 1..10 {
        let guess = acceptance(&format!("pti_{guess}"), None);
        refused(accept(&desk, None, guess).await, Reason::NotFound);
    }
    refused(accept(&desk, None, acceptance("pti_more", None)).await, Reason::RateLimited);
}

/// All that lies in a folder, as bytes.
fn contents(folder: &Path) -> Vec<u8> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { contents(&path) } else { fs::read(path).unwrap() }).collect()
}

#[tokio::test]
async fn what_is_known_after_a_restart_is_on_no_disk_in_the_clear() {
    let desk = Desk::open().await;
    let (_, invitation) = invite(&desk, ADA, v1::Role::Member).await.unwrap();
    accept(&desk, None, acceptance(&invitation, Some(("Ada", PASSWORD)))).await.unwrap();
    let (_, pending) = invite(&desk, "bob@example.com", v1::Role::Member).await.unwrap();
    let session = sign_in(&desk, PASSWORD).await.unwrap();
    set_password(&desk, &session.token, Some(PASSWORD), OTHER).await.unwrap();
    let ended = session.token;
    let session = sign_in(&desk, OTHER).await.unwrap();

    let desk = desk.restart(|_| {}).await;
    describe(&desk, &session.token).await.unwrap();
    refused(describe(&desk, &ended).await, Reason::Unauthenticated);
    sign_in(&desk, OTHER).await.unwrap();
    accept(&desk, None, acceptance(&pending, Some(("Bob", PASSWORD)))).await.unwrap();
    let written = contents(desk.folder());
    for secret in [PASSWORD, OTHER, &*invitation, &*pending, &*session.token, &*ended] {
        let shows = written.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!shows, "{secret}");
    }
}
