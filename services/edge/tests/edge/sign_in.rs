//! Signing in and being invited: JSON in and out, and what reaches the registry of whom.

use crate::stage::{Reply, Stage, TOKEN};
use http::{Method, Request};
use model::{Fault, Reason};
use proto::registry::v1;
use std::time::{Duration, SystemTime};

const INVITATIONS: &str = "/v2/organizations/my-organization/invitations";
const USER: &str = "00000000-0000-4000-8000-00000000000d";
const SIGN_IN: &str = r#"{"email":"ada@example.com","password":"canary-horse-battery"}"#;

fn at(ms: u64) -> Option<proto::time::Timestamp> {
    Some(proto::time::write(SystemTime::UNIX_EPOCH + Duration::from_millis(ms)))
}

fn user() -> v1::User {
    let (name, email) = ("Ada".to_owned(), "ada@example.com".to_owned());
    v1::User { uuid: USER.to_owned(), name, email, created_at: at(0) }
}

/// A stage whose registry knows the token as that of somebody who may write.
fn stage() -> Stage {
    let stage = Stage::open();
    stage.registry.answer("describe_access_token", |_: &v1::DescribeAccessTokenRequest| {
        let scopes = vec!["write_members".to_owned(), "write_user".to_owned()];
        Ok(v1::DescribeAccessTokenResponse { scopes, ..v1::DescribeAccessTokenResponse::default() })
    });
    stage
}

/// Sends what nobody's token is presented with.
async fn visit(stage: &Stage, path: &str, body: &str) -> Reply {
    let mut request: Request<_> = stage.request(Method::POST, path, body.to_owned());
    request.headers_mut().remove("authorization");
    stage.ask(request).await
}

async fn send(stage: &Stage, method: Method, path: &str, body: &str) -> Reply {
    stage.ask(stage.request(method, path, body.to_owned())).await
}

#[tokio::test]
async fn whoever_signs_in_needs_no_token_and_gets_one() {
    let stage = stage();
    stage.registry.answer("create_session", |_: &v1::CreateSessionRequest| {
        let (token, expires_at, user) = ("pta_session".to_owned(), at(1_000), Some(user()));
        Ok(v1::CreateSessionResponse { token, expires_at, user })
    });
    let reply = visit(&stage, "/v2/sessions", SIGN_IN).await;
    assert_eq!(reply.status.as_u16(), 201);
    assert_eq!(reply.header("location"), Some("https://portals.example/v2/sessions/current"));
    let made = reply.json();
    assert_eq!(made["token"], "pta_session");
    assert_eq!(made["expires_at"], "1970-01-01T00:00:01.000Z");
    assert_eq!(made["user"]["uuid"], USER);
    let (asked, metadata) = stage.registry.asked::<v1::CreateSessionRequest>("create_session").unwrap();
    assert_eq!((&*asked.email, &*asked.password), ("ada@example.com", "canary-horse-battery"));
    assert!(!format!("{asked:?}").contains("canary"));
    assert!(metadata.get("authorization").is_none() && metadata.get("portals-client-address").is_some());

    stage.registry.answer("create_session", |_: &v1::CreateSessionRequest| {
        let fault = Fault::new(Reason::Unauthenticated, "the email address or the password is wrong");
        Err::<v1::CreateSessionResponse, _>(fault)
    });
    let reply = visit(&stage, "/v2/sessions", SIGN_IN).await;
    assert_eq!(reply.status.as_u16(), 401);
    assert_eq!(reply.json()["message"], "the email address or the password is wrong");

    for (body, status) in [("{}", 422), ("[]", 400), (&*format!("\"{}\"", "a".repeat(17 << 10)), 413)] {
        assert_eq!(visit(&stage, "/v2/sessions", body).await.status.as_u16(), status, "{status}");
    }
    let malformed = send(&stage, Method::POST, "/v2/sessions", SIGN_IN);
    assert_eq!(malformed.await.status.as_u16(), 401, "a token that is presented is passed on, not required");
}

#[tokio::test]
async fn a_session_is_ended_and_a_password_set_by_whoever_asks() {
    let stage = stage();
    let reply = send(&stage, Method::DELETE, "/v2/sessions/current", "").await;
    assert_eq!((reply.status.as_u16(), reply.text()), (204, ""));
    assert!(stage.registry.asked::<v1::DeleteSessionRequest>("delete_session").is_some());

    let body = r#"{"current_password":"canary-one","password":"canary-two"}"#;
    let reply = send(&stage, Method::PUT, "/v2/user/password", body).await;
    assert_eq!((reply.status.as_u16(), reply.text()), (204, ""));
    let (asked, _) = stage.registry.asked::<v1::SetPasswordRequest>("set_password").unwrap();
    assert_eq!((asked.current_password.as_deref(), &*asked.password), (Some("canary-one"), "canary-two"));
    let reply = send(&stage, Method::PUT, "/v2/user/password", "{}").await;
    assert_eq!(reply.json()["message"], "Validation failed: password is required");
    let reply = visit(&stage, "/v2/invitations/accept", "{}").await;
    assert_eq!(reply.json()["message"], "Validation failed: token is required");
}

#[tokio::test]
async fn an_invitation_shows_its_token_once_and_is_accepted_with_or_without_one_of_the_users() {
    let stage = stage();
    let invitation = || v1::Invitation {
        uuid: TOKEN.to_owned(),
        email: "ada@example.com".to_owned(),
        role: v1::Role::Administrator.into(),
        created_at: at(1_000),
        created_by: None,
        expires_at: at(2_000),
    };
    stage.registry.answer("create_invitation", move |_: &v1::CreateInvitationRequest| {
        Ok(v1::CreateInvitationResponse { invitation: Some(invitation()), token: "pti_once".to_owned() })
    });
    stage.registry.answer("list_invitations", move |_: &v1::ListInvitationsRequest| {
        Ok(v1::ListInvitationsResponse { invitations: vec![invitation()], total: 1 })
    });
    let told = concat!(
        r#"{"uuid":"00000000-0000-4000-8000-00000000000c","email":"ada@example.com","role":"administrator","#,
        r#""created_at":"1970-01-01T00:00:01.000Z","created_by":null,"expires_at":"1970-01-01T00:00:02.000Z""#,
    );
    let body = r#"{"email":"ada@example.com","role":"administrator"}"#;
    let reply = send(&stage, Method::POST, INVITATIONS, body).await;
    let itself = r#","token":"pti_once","url":"https://portals.example/v2/invitations/accept"}"#;
    assert_eq!((reply.status.as_u16(), reply.text()), (201, &*format!("{told}{itself}")));
    let location = format!("https://portals.example{INVITATIONS}/{TOKEN}");
    assert_eq!(reply.header("location"), Some(&*location));
    let reply = send(&stage, Method::GET, INVITATIONS, "").await;
    assert_eq!((reply.status.as_u16(), reply.text()), (200, &*format!("[{told}}}]")));
    let reply = send(&stage, Method::DELETE, &format!("{INVITATIONS}/{TOKEN}"), "").await;
    assert_eq!(reply.status.as_u16(), 204);
    let (asked, _) = stage.registry.asked::<v1::DeleteInvitationRequest>("delete_invitation").unwrap();
    assert_eq!((&*asked.organization, &*asked.uuid), ("my-organization", TOKEN));

    stage.registry.answer("accept_invitation", |_: &v1::AcceptInvitationRequest| {
        let member = v1::Member { user: Some(user()), role: v1::Role::Member.into(), created_at: at(0) };
        Ok(v1::AcceptInvitationResponse { member: Some(member), organization: "my-organization".to_owned() })
    });
    let body = r#"{"token":"pti_once","name":"Ada","password":"canary-horse-battery"}"#;
    let reply = visit(&stage, "/v2/invitations/accept", body).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["role"]), (201, &"member".into()));
    let location = format!("https://portals.example/v2/organizations/my-organization/members/{USER}");
    assert_eq!(reply.header("location"), Some(&*location));
    let asked = || stage.registry.asked::<v1::AcceptInvitationRequest>("accept_invitation").unwrap();
    let (sent, metadata) = asked();
    assert_eq!((&*sent.token, sent.name.as_deref()), ("pti_once", Some("Ada")));
    assert!(!format!("{sent:?}").contains("canary") && metadata.get("authorization").is_none());
    send(&stage, Method::POST, "/v2/invitations/accept", r#"{"token":"pti_once"}"#).await;
    let (sent, metadata) = asked();
    assert_eq!((sent.name, sent.password), (None, None));
    assert!(metadata.get("authorization").is_some());
}
