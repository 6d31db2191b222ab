//! Codes of members: from the asking to the token, and with what that ends.

use crate::desk::{Desk, fault, refused};
use model::{Bearer, BearerKind, Fault, Reason};
use proto::{
    Channel, channel,
    registry::v1::{
        self, code_service_client::CodeServiceClient, exchange_token_request::Grant,
        membership_service_client::MembershipServiceClient,
    },
    time,
};
use std::time::{Duration, SystemTime};
use tonic::Request;

const UNKNOWN: &str = "the code is unknown, spent, or not for this portal";

fn client(desk: &Desk) -> CodeServiceClient<Channel> {
    CodeServiceClient::new(channel::local(desk.registry.code_service()))
}

fn members(desk: &Desk) -> MembershipServiceClient<Channel> {
    MembershipServiceClient::new(channel::local(desk.registry.membership_service()))
}

fn by<Message>(token: &str, message: Message) -> Request<Message> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request.metadata_mut().insert("portals-client-address", "192.0.2.9".parse().unwrap());
    request
}

/// A member of `acme`, with an access token of theirs.
struct Ada {
    user: String,
    token: String,
}

/// A desk with the portal `acme/viewer` that gives tokens to members, and a member with an upstream credential.
async fn desk() -> (Desk, Ada) {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    invokable(&desk, true).await;
    let ada = member(&desk, "ada").await;
    credential(&desk, &ada.token, "canary-of-ada").await.unwrap();
    (desk, ada)
}

async fn invokable(desk: &Desk, on: bool) {
    let request = v1::UpdatePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        user_invokable: Some(on),
        ..Default::default()
    };
    fault(desk.administration().update_portal(desk.signed(request)).await).unwrap();
}

async fn user(desk: &Desk, name: &str) -> Ada {
    let request = v1::CreateUserRequest { name: name.to_owned(), email: format!("{name}@example.com") };
    let user = fault(members(desk).create_user(desk.signed(request)).await).unwrap().user.unwrap().uuid;
    let properties =
        Some(v1::AccessTokenProperties { scopes: vec!["write_user".to_owned()], ..Default::default() });
    let request = v1::CreateUserAccessTokenRequest { user: user.clone(), properties };
    let token = fault(members(desk).create_user_access_token(desk.signed(request)).await).unwrap().token;
    Ada { user, token }
}

async fn join(desk: &Desk, user: &str) {
    let (organization, role) = ("acme".to_owned(), v1::Role::Member.into());
    let request = v1::CreateMemberRequest { organization, user: Some(user.to_owned()), email: None, role };
    fault(members(desk).create_member(desk.signed(request)).await).unwrap();
}

async fn leave(desk: &Desk, user: &str) {
    let request = v1::DeleteMemberRequest { organization: "acme".to_owned(), user: user.to_owned() };
    fault(members(desk).delete_member(desk.signed(request)).await).unwrap();
}

async fn member(desk: &Desk, name: &str) -> Ada {
    let ada = user(desk, name).await;
    join(desk, &ada.user).await;
    ada
}

async fn credential(desk: &Desk, token: &str, credential: &str) -> Result<(), Fault> {
    let (organization, upstream_token) = ("acme".to_owned(), credential.to_owned());
    let request = v1::SetUpstreamCredentialRequest { organization, upstream_token };
    fault(members(desk).set_upstream_credential(by(token, request)).await).map(drop)
}

async fn code_from(desk: &Desk, address: &str, portal: &str) -> Result<v1::CreateCodeResponse, Fault> {
    let (organization, portal) = ("acme".to_owned(), portal.to_owned());
    let mut request = Request::new(v1::CreateCodeRequest { organization, portal });
    request.metadata_mut().insert("portals-client-address", address.parse().unwrap());
    fault(desk.calls().create_code(request).await)
}

async fn code(desk: &Desk) -> v1::CreateCodeResponse {
    code_from(desk, "198.51.100.1", "viewer").await.unwrap()
}

async fn poll_with(
    desk: &Desk,
    device: v1::DeviceCode,
    minutes: Option<u32>,
) -> Result<v1::ExchangeTokenResponse, Fault> {
    poll_within(desk, device, minutes, None).await
}

async fn poll_within(
    desk: &Desk,
    device: v1::DeviceCode,
    expires_in_minutes: Option<u32>,
    restrictions: Option<v1::Restrictions>,
) -> Result<v1::ExchangeTokenResponse, Fault> {
    let request = v1::ExchangeTokenRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        expires_in_minutes,
        grant: Some(Grant::DeviceCode(device)),
        restrictions,
    };
    desk.exchange_from("198.51.100.1", request).await
}

async fn poll(desk: &Desk, code: &v1::CreateCodeResponse) -> Result<v1::ExchangeTokenResponse, Fault> {
    let device = v1::DeviceCode { secret: code.secret.clone(), code: Some(code.code.clone()) };
    poll_with(desk, device, None).await
}

async fn see(desk: &Desk, token: &str, code: &str) -> Result<v1::Code, Fault> {
    let request = v1::GetCodeRequest { code: code.to_owned() };
    fault(client(desk).get_code(by(token, request)).await).map(|told| told.code.unwrap())
}

async fn approve_at(desk: &Desk, token: &str, code: &str, revision: u64) -> Result<v1::Code, Fault> {
    let request = v1::AuthorizeCodeRequest { code: code.to_owned(), revision };
    fault(client(desk).authorize_code(by(token, request)).await).map(|told| told.code.unwrap())
}

async fn approve(desk: &Desk, token: &str, code: &str) -> Result<v1::Code, Fault> {
    let revision = see(desk, token, code).await?.portal.unwrap().revision;
    approve_at(desk, token, code, revision).await
}

/// A token in Ada's name.
async fn token(desk: &Desk, ada: &Ada) -> String {
    let code = code(desk).await;
    approve(desk, &ada.token, &code.code).await.unwrap();
    poll(desk, &code).await.unwrap().token
}

#[tokio::test]
async fn a_code_that_a_member_approves_gives_one_token_in_their_name() {
    let (desk, ada) = desk().await;
    let code = code(&desk).await;
    assert_eq!((code.expires_in_seconds, code.interval_seconds), (300, 5));
    assert!(Bearer::parse(&code.secret).unwrap().is(BearerKind::DeviceCode));
    refused(poll(&desk, &code).await, Reason::AuthorizationPending);
    refused(poll(&desk, &code).await, Reason::SlowDown);

    let told = see(&desk, &ada.token, &code.code.to_lowercase().replace('-', "")).await.unwrap();
    assert_eq!(
        (told.state(), &*told.ip, told.has_upstream_credential),
        (v1::CodeState::Pending, "198.51.100.1", true)
    );
    let portal = told.portal.unwrap();
    assert!(portal.query.starts_with("query Viewer"));
    let told = approve_at(&desk, &ada.token, &code.code, portal.revision).await.unwrap();
    assert_eq!(told.state(), v1::CodeState::Authorized);
    refused(approve_at(&desk, &ada.token, &code.code, portal.revision).await, Reason::Conflict);
    let request = v1::DenyCodeRequest { code: code.code.clone() };
    refused(fault(client(&desk).deny_code(by(&ada.token, request)).await), Reason::Conflict);

    let before = SystemTime::now();
    let made = poll(&desk, &code).await.unwrap();
    assert_eq!(made.expires_in_seconds, 12 * 3_600);
    let ends = time::read(made.expires_at.unwrap()).unwrap();
    assert!(ends > before + Duration::from_secs(12 * 3_600 - 1), "{ends:?}");
    assert_eq!(refused(poll(&desk, &code).await, Reason::InvalidGrant), UNKNOWN);
    refused(see(&desk, &ada.token, &code.code).await, Reason::NotFound);
    let granted = desk.authorize("acme", "viewer", &made.token).await.unwrap();
    assert_eq!(granted.token_uuid, made.token_uuid);

    let events = desk.events("acme").await;
    let types: Vec<_> = events.iter().take(2).map(|event| &*event.r#type).collect();
    assert_eq!(types, ["PORTAL_TOKEN_CREATED", "PORTAL_TOKEN_CODE_AUTHORIZED"]);
    for event in &events[..2] {
        let actor = event.actor.as_ref().unwrap();
        assert_eq!((&*actor.r#type, &*actor.uuid), ("user", &*ada.user));
    }
    assert_eq!(
        (&*events[0].ip, &*events[1].ip),
        ("198.51.100.1", "192.0.2.9"),
        "who fetched it, and who approved"
    );
    assert!(events[0].data_json.contains(r#""kind":"user""#), "{}", events[0].data_json);
}

#[tokio::test]
async fn a_token_lasts_as_many_minutes_as_are_asked_for_and_the_code_is_not_spent_on_a_wrong_number() {
    let (desk, ada) = desk().await;
    let code = code(&desk).await;
    approve(&desk, &ada.token, &code.code).await.unwrap();
    let device = || v1::DeviceCode { secret: code.secret.clone(), code: None };
    for minutes in [0, 721, u32::MAX] {
        let said = refused(poll_with(&desk, device(), Some(minutes)).await, Reason::BadRequest);
        assert!(said.contains("1 to 720"), "{said}");
    }
    assert_eq!(poll_with(&desk, device(), Some(60)).await.unwrap().expires_in_seconds, 3_600);
}

#[tokio::test]
async fn a_token_does_less_than_was_approved_where_that_is_asked_for_and_never_more() {
    let (desk, ada) = desk().await;
    let code = code(&desk).await;
    approve(&desk, &ada.token, &code.code).await.unwrap();
    let device = || v1::DeviceCode { secret: code.secret.clone(), code: None };
    let follow = v1::Restrictions { revision: v1::TokenRevision::Follow.into(), ..Default::default() };
    let nobody = v1::Restrictions { operations: vec!["Nobody".to_owned()], ..Default::default() };
    for (asked, expected) in
        [(follow, "revision is 1 already"), (nobody, "the portal has no operation `Nobody`, it has `Viewer`")]
    {
        let said = refused(poll_within(&desk, device(), None, Some(asked)).await, Reason::BadRequest);
        assert!(said.contains(expected), "{said}");
    }
    let operations = vec!["Viewer".to_owned()];
    let asked = v1::Restrictions { operations, max_uses: Some(1), ..Default::default() };
    // What was refused has not spent the code.
    let made = poll_within(&desk, device(), None, Some(asked)).await.unwrap();
    assert!(desk.authorize("acme", "viewer", &made.token).await.unwrap().counts_uses);
    let restrictions = r#""restrictions":{"document_revision":1,"max_uses":1,"operations":["Viewer"]}"#;
    assert!(desk.events("acme").await[0].data_json.contains(restrictions));
}

#[tokio::test]
async fn a_code_that_is_denied_gives_nothing() {
    let (desk, ada) = desk().await;
    let code = code(&desk).await;
    let request = v1::DenyCodeRequest { code: code.code.clone() };
    let told = fault(client(&desk).deny_code(by(&ada.token, request)).await).unwrap().code.unwrap();
    assert_eq!(told.state(), v1::CodeState::Denied);
    for _ in 0..2 {
        refused(poll(&desk, &code).await, Reason::AccessDenied);
    }
    refused(approve(&desk, &ada.token, &code.code).await, Reason::Conflict);
    assert_eq!(desk.events("acme").await[0].r#type, "PORTAL_TOKEN_CODE_DENIED");
}

#[tokio::test]
async fn codes_are_given_where_members_may_have_tokens_and_nobody_learns_what_else_there_is() {
    let (desk, _) = desk().await;
    desk.portal("acme", "Closed").await;
    let closed = refused(code_from(&desk, "198.51.100.1", "closed").await, Reason::Forbidden);
    let none = refused(code_from(&desk, "198.51.100.1", "none").await, Reason::Forbidden);
    assert_eq!(closed, none);
    invokable(&desk, false).await;
    assert_eq!(refused(code_from(&desk, "198.51.100.1", "viewer").await, Reason::Forbidden), none);
}

#[tokio::test]
async fn whoever_holds_the_wrong_half_or_another_portals_gets_nothing_and_is_listened_to_ten_times() {
    let (desk, ada) = desk().await;
    let (one, other) = (code(&desk).await, code(&desk).await);
    approve(&desk, &ada.token, &one.code).await.unwrap();
    let device = |secret: &str, code: Option<&str>| v1::DeviceCode {
        secret: secret.to_owned(),
        code: code.map(str::to_owned),
    };
    let generated = Bearer::generate(BearerKind::DeviceCode);
    for wrong in [
        device(&one.secret, Some(&other.code)),
        device(&one.secret, Some("nothing")),
        device(generated.expose(), Some(&one.code)),
        device(&one.code, None),
        device("", None),
    ] {
        assert_eq!(refused(poll_with(&desk, wrong, None).await, Reason::InvalidGrant), UNKNOWN);
    }
    let elsewhere = v1::ExchangeTokenRequest {
        organization: "acme".to_owned(),
        portal: "other".to_owned(),
        expires_in_minutes: None,
        grant: Some(Grant::DeviceCode(device(&one.secret, None))),
        restrictions: None,
    };
    assert_eq!(refused(desk.exchange_from("198.51.100.1", elsewhere).await, Reason::InvalidGrant), UNKNOWN);
    poll(&desk, &one).await.unwrap();

    for _ in 6..10 {
        refused(poll(&desk, &one).await, Reason::InvalidGrant);
    }
    refused(poll(&desk, &other).await, Reason::RateLimited);
}

#[tokio::test]
async fn codes_are_for_members_of_the_organization_and_guessing_is_limited() {
    let (desk, ada) = desk().await;
    let code = code(&desk).await;
    let stranger = user(&desk, "eve").await;
    for number in 0..10 {
        let typed = if number == 0 { &*code.code } else { "BBBB-BBBB" };
        assert_eq!(refused(see(&desk, &stranger.token, typed).await, Reason::NotFound), "No code found");
    }
    let said = refused(see(&desk, &stranger.token, &code.code).await, Reason::RateLimited);
    assert_eq!(said, "too many wrong codes came from this address");
    let mut request = by(&ada.token, v1::GetCodeRequest { code: code.code.clone() });
    request.metadata_mut().insert("portals-client-address", "203.0.113.1".parse().unwrap());
    fault(client(&desk).get_code(request).await).unwrap();
    let mut request = by(&stranger.token, v1::GetCodeRequest { code: code.code });
    request.metadata_mut().insert("portals-client-address", "203.0.113.1".parse().unwrap());
    let said = refused(fault(client(&desk).get_code(request).await), Reason::RateLimited);
    assert_eq!(said, "too many wrong codes were tried with this access token");
    refused(see(&desk, &desk.admin, "BBBB-BBBB").await, Reason::NotFound);
}

#[tokio::test]
async fn what_is_approved_is_the_document_that_was_shown() {
    let (desk, ada) = desk().await;
    let code = code(&desk).await;
    let revision = see(&desk, &ada.token, &code.code).await.unwrap().portal.unwrap().revision;
    let change = |query: &str| v1::UpdatePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        query: Some(query.to_owned()),
        ..Default::default()
    };
    let request = change("mutation Drop { drop }");
    fault(desk.administration().update_portal(desk.signed(request)).await).unwrap();
    refused(approve_at(&desk, &ada.token, &code.code, revision).await, Reason::PreconditionFailed);
    refused(poll(&desk, &code).await, Reason::AuthorizationPending);
    approve_at(&desk, &ada.token, &code.code, revision + 1).await.unwrap();

    // What comes after the approval is not what was approved.
    let request = change("mutation Other { other }");
    fault(desk.administration().update_portal(desk.signed(request)).await).unwrap();
    let token = poll(&desk, &code).await.unwrap().token;
    let grant = desk.authorize("acme", "viewer", &token).await.unwrap().grant;
    let claims = grant.split('.').nth(1).unwrap();
    let claims = base64_text(claims);
    assert!(claims.contains("drop") && !claims.contains("other"), "{claims}");
}

/// The text of a part of a JWT.
fn base64_text(part: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_ends_with_the_membership_and_is_not_brought_back_by_another() {
    let (desk, ada) = desk().await;
    let token = token(&desk, &ada).await;
    leave(&desk, &ada.user).await;
    refused(desk.authorize("acme", "viewer", &token).await, Reason::Unauthenticated);
    join(&desk, &ada.user).await;
    refused(desk.authorize("acme", "viewer", &token).await, Reason::Unauthenticated);
    let code = code(&desk).await;
    let said = refused(approve(&desk, &ada.token, &code.code).await, Reason::ValidationFailed);
    assert!(said.contains("no credential"), "with the membership went the credential: {said}");
}

#[tokio::test]
async fn a_token_ends_when_members_may_not_have_one_and_is_not_brought_back() {
    let (desk, ada) = desk().await;
    let token = token(&desk, &ada).await;
    let waiting = code(&desk).await;
    let approved = code(&desk).await;
    approve(&desk, &ada.token, &approved.code).await.unwrap();
    invokable(&desk, false).await;
    refused(desk.authorize("acme", "viewer", &token).await, Reason::Unauthenticated);
    refused(approve(&desk, &ada.token, &waiting.code).await, Reason::Forbidden);
    invokable(&desk, true).await;
    refused(desk.authorize("acme", "viewer", &token).await, Reason::Unauthenticated);
    refused(poll(&desk, &approved).await, Reason::AccessDenied);
    let desk = desk.restart(|_| {}).await;
    refused(desk.authorize("acme", "viewer", &token).await, Reason::Unauthenticated);
}

#[tokio::test]
async fn a_token_ends_with_the_user_and_with_the_portal_and_can_be_revoked() {
    let (desk, ada) = desk().await;
    let bob = member(&desk, "bob").await;
    credential(&desk, &bob.token, "canary-of-bob").await.unwrap();
    let (adas, bobs) = (token(&desk, &ada).await, token(&desk, &bob).await);
    let request = v1::DeleteUserRequest { user: ada.user.clone() };
    fault(members(&desk).delete_user(desk.signed(request)).await).unwrap();
    refused(desk.authorize("acme", "viewer", &adas).await, Reason::Unauthenticated);
    let granted = desk.authorize("acme", "viewer", &bobs).await.unwrap();
    desk.revoke("acme", "viewer", &granted.token_uuid).await.unwrap();
    refused(desk.authorize("acme", "viewer", &bobs).await, Reason::Unauthenticated);
    let bobs = token(&desk, &bob).await;
    let request = v1::DeletePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        ..Default::default()
    };
    fault(desk.administration().delete_portal(desk.signed(request)).await).unwrap();
    refused(desk.authorize("acme", "viewer", &bobs).await, Reason::Unauthenticated);
}

#[tokio::test]
async fn without_a_credential_of_their_own_nothing_runs_in_a_members_name() {
    let (desk, ada) = desk().await;
    let token = token(&desk, &ada).await;
    let sealed = |grant: &str| {
        let claims: serde_json::Value =
            serde_json::from_str(&base64_text(grant.split('.').nth(1).unwrap())).unwrap();
        claims["upstream"]["sealed"].as_str().unwrap().to_owned()
    };
    let first = sealed(&desk.authorize("acme", "viewer", &token).await.unwrap().grant);
    let (_, service) = desk.token("acme", "viewer").await;
    let organizations = sealed(&desk.authorize("acme", "viewer", &service).await.unwrap().grant);
    assert_ne!(first, organizations);

    credential(&desk, &ada.token, "canary-another-of-ada").await.unwrap();
    assert_ne!(sealed(&desk.authorize("acme", "viewer", &token).await.unwrap().grant), first);
    let request = || v1::DeleteUpstreamCredentialRequest { organization: "acme".to_owned() };
    fault(members(&desk).delete_upstream_credential(by(&ada.token, request())).await).unwrap();
    let said = refused(desk.authorize("acme", "viewer", &token).await, Reason::Forbidden);
    assert!(said.contains("no credential"), "{said}");
    refused(
        fault(members(&desk).delete_upstream_credential(by(&ada.token, request())).await),
        Reason::NotFound,
    );
    refused(credential(&desk, &ada.token, "").await, Reason::ValidationFailed);
    let said = refused(credential(&desk, &ada.token, "canary bad").await, Reason::ValidationFailed);
    assert!(!said.contains("canary"), "{said}");
    let stranger = user(&desk, "eve").await;
    refused(credential(&desk, &stranger.token, "canary-of-eve").await, Reason::NotFound);
    refused(credential(&desk, &desk.admin, "canary-of-nobody").await, Reason::NotFound);
    credential(&desk, &ada.token, "canary-of-ada").await.unwrap();
    desk.authorize("acme", "viewer", &token).await.unwrap();
    let list = v1::ListUpstreamCredentialsRequest { page: None };
    let listed = fault(members(&desk).list_upstream_credentials(by(&ada.token, list)).await).unwrap();
    assert_eq!((listed.total, &*listed.upstream_credentials[0].organization), (1, "acme"));
    assert!(desk.events("acme").await.iter().all(|event| !event.data_json.contains("canary")));
}

#[tokio::test]
async fn a_token_in_a_members_name_outlives_a_restart_and_a_code_does_not() {
    let (desk, ada) = desk().await;
    let (token, code) = (token(&desk, &ada).await, code(&desk).await);
    let desk = desk.restart(|_| {}).await;
    desk.authorize("acme", "viewer", &token).await.unwrap();
    refused(poll(&desk, &code).await, Reason::InvalidGrant);
    refused(see(&desk, &ada.token, &code.code).await, Reason::NotFound);
}
