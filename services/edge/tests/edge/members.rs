//! Managing users, members and access tokens: JSON in and out, and what reaches the registry.

use crate::stage::{Reply, Stage, TOKEN};
use http::Method;
use proto::registry::v1;
use std::time::{Duration, SystemTime};

const MEMBERS: &str = "/v2/organizations/my-organization/members";
const USER: &str = "00000000-0000-4000-8000-00000000000d";

fn at(ms: u64) -> Option<proto::time::Timestamp> {
    Some(proto::time::write(SystemTime::UNIX_EPOCH + Duration::from_millis(ms)))
}

fn user() -> v1::User {
    v1::User {
        uuid: USER.to_owned(),
        name: "Ada".to_owned(),
        email: "ada@example.com".to_owned(),
        created_at: at(0),
    }
}

fn member() -> v1::Member {
    v1::Member { user: Some(user()), role: v1::Role::Administrator.into(), created_at: at(1_000) }
}

fn access_token() -> v1::AccessToken {
    v1::AccessToken {
        uuid: TOKEN.to_owned(),
        description: String::new(),
        scopes: vec!["read_portals".to_owned()],
        allowed_ip_addresses: None,
        created_at: at(1_000),
        expires_at: at(2_000),
        last_used_at: None,
    }
}

/// A stage whose registry knows the token as that of a user who may write.
fn stage() -> Stage {
    let stage = Stage::open();
    stage.registry.answer("describe_access_token", |_: &v1::DescribeAccessTokenRequest| {
        Ok(v1::DescribeAccessTokenResponse {
            uuid: TOKEN.to_owned(),
            scopes: vec!["write_members".to_owned(), "write_user".to_owned()],
            user: Some(user()),
            ..v1::DescribeAccessTokenResponse::default()
        })
    });
    stage
}

async fn send(stage: &Stage, method: Method, path: &str, body: &str) -> Reply {
    stage.ask(stage.request(method, path, body.to_owned())).await
}

const USER_JSON: &str = concat!(
    r#"{"id":"00000000-0000-4000-8000-00000000000d","uuid":"00000000-0000-4000-8000-00000000000d","#,
    r#""graphql_id":"VXNlci0tLTAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwZA==","name":"Ada","#,
    r#""email":"ada@example.com","avatar_url":null,"created_at":"1970-01-01T00:00:00.000Z"}"#,
);
const MEMBER_JSON: &str = concat!(
    r#"{"uuid":"00000000-0000-4000-8000-00000000000d","name":"Ada","email":"ada@example.com","#,
    r#""role":"administrator","created_at":"1970-01-01T00:00:01.000Z"}"#,
);
const TOKEN_JSON: &str = concat!(
    r#"{"uuid":"00000000-0000-4000-8000-00000000000c","description":null,"scopes":["read_portals"],"#,
    r#""allowed_ip_addresses":null,"created_at":"1970-01-01T00:00:01.000Z","#,
    r#""expires_at":"1970-01-01T00:00:02.000Z","last_used_at":null"#,
);

#[tokio::test]
async fn a_member_is_made_by_address_and_written_with_their_role() {
    let stage = stage();
    stage.registry.answer("create_member", |_: &v1::CreateMemberRequest| {
        Ok(v1::CreateMemberResponse { member: Some(member()) })
    });
    let body = r#"{"email":"ada@example.com","user":null,"role":"administrator"}"#;
    let reply = send(&stage, Method::POST, MEMBERS, body).await;
    assert_eq!((reply.status.as_u16(), reply.text()), (201, MEMBER_JSON));
    let location = format!("https://portals.example{MEMBERS}/{USER}");
    assert_eq!(reply.header("location"), Some(&*location));
    let (asked, _) = stage.registry.asked::<v1::CreateMemberRequest>("create_member").unwrap();
    assert_eq!(
        (&*asked.organization, asked.user.as_deref(), asked.role()),
        ("my-organization", None, v1::Role::Administrator)
    );
    assert_eq!(asked.email.as_deref(), Some("ada@example.com"));

    for (body, said) in [
        (r#"{"email":"a@b"}"#, "role is required"),
        (r#"{"email":"a@b","role":"owner"}"#, "role must be \"administrator\" or \"member\""),
        (r#"{"email":1,"role":"member"}"#, "email must be a string"),
    ] {
        let reply = send(&stage, Method::POST, MEMBERS, body).await;
        assert_eq!(reply.status.as_u16(), 422, "{body}");
        assert_eq!(reply.json()["message"], format!("Validation failed: {said}"));
    }
}

#[tokio::test]
async fn a_member_is_told_changed_and_removed_under_the_users_uuid() {
    let stage = stage();
    stage.registry.answer("get_member", |_: &v1::GetMemberRequest| {
        Ok(v1::GetMemberResponse { member: Some(member()) })
    });
    stage.registry.answer("update_member", |_: &v1::UpdateMemberRequest| {
        Ok(v1::UpdateMemberResponse { member: Some(member()) })
    });
    stage.registry.answer("list_members", |_: &v1::ListMembersRequest| {
        Ok(v1::ListMembersResponse { members: vec![member()], total: 1 })
    });
    let one = format!("{MEMBERS}/{USER}");
    assert_eq!(send(&stage, Method::GET, &one, "").await.text(), MEMBER_JSON);
    assert_eq!(send(&stage, Method::GET, MEMBERS, "").await.text(), format!("[{MEMBER_JSON}]"));
    for (body, role) in [(r#"{"role":"member"}"#, v1::Role::Member), ("{}", v1::Role::Unspecified)] {
        assert_eq!(send(&stage, Method::PATCH, &one, body).await.text(), MEMBER_JSON);
        let (asked, _) = stage.registry.asked::<v1::UpdateMemberRequest>("update_member").unwrap();
        assert_eq!((&*asked.organization, &*asked.user, asked.role()), ("my-organization", USER, role));
    }
    assert_eq!(send(&stage, Method::DELETE, &one, "").await.status.as_u16(), 204);
    let (asked, _) = stage.registry.asked::<v1::DeleteMemberRequest>("delete_member").unwrap();
    assert_eq!((&*asked.organization, &*asked.user), ("my-organization", USER));
}

#[tokio::test]
async fn users_are_written_as_whoever_made_something_is() {
    let stage = stage();
    stage
        .registry
        .answer("create_user", |_: &v1::CreateUserRequest| Ok(v1::CreateUserResponse { user: Some(user()) }));
    stage
        .registry
        .answer("get_user", |_: &v1::GetUserRequest| Ok(v1::GetUserResponse { user: Some(user()) }));
    let made = send(&stage, Method::POST, "/v2/users", r#"{"name":"Ada","email":"ada@example.com"}"#).await;
    assert_eq!((made.status.as_u16(), made.text()), (201, USER_JSON));
    let one = format!("/v2/users/{USER}");
    assert_eq!(made.header("location"), Some(&*format!("https://portals.example{one}")));
    assert_eq!(send(&stage, Method::GET, &one, "").await.text(), USER_JSON);
    assert_eq!(send(&stage, Method::DELETE, &one, "").await.status.as_u16(), 204);
    let (asked, _) = stage.registry.asked::<v1::DeleteUserRequest>("delete_user").unwrap();
    assert_eq!(asked.user, USER);

    let me = send(&stage, Method::GET, "/v2/user", "").await;
    assert_eq!((me.status.as_u16(), me.text()), (200, USER_JSON));
    stage.registry.answer("describe_access_token", |_: &v1::DescribeAccessTokenRequest| {
        Ok(v1::DescribeAccessTokenResponse::default())
    });
    assert_eq!(send(&stage, Method::GET, "/v2/user", "").await.status.as_u16(), 404);
}

#[tokio::test]
async fn an_access_token_is_told_once_and_each_path_reaches_its_own_call() {
    let stage = stage();
    stage.registry.answer("create_access_token", |_: &v1::CreateAccessTokenRequest| {
        Ok(v1::CreateAccessTokenResponse {
            access_token: Some(access_token()),
            token: "pta_secret".to_owned(),
        })
    });
    stage.registry.answer("list_access_tokens", |_: &v1::ListAccessTokensRequest| {
        Ok(v1::ListAccessTokensResponse { access_tokens: vec![access_token()], total: 1 })
    });
    let body =
        r#"{"scopes":["read_portals"],"expires_at":"1970-01-01T00:00:02Z","allowed_ip_addresses":"::1"}"#;
    let made = send(&stage, Method::POST, "/v2/user/access-tokens", body).await;
    assert_eq!(
        (made.status.as_u16(), made.text()),
        (201, &*format!("{TOKEN_JSON},\"token\":\"pta_secret\"}}"))
    );
    let one = format!("/v2/user/access-tokens/{TOKEN}");
    assert_eq!(made.header("location"), Some(&*format!("https://portals.example{one}")));
    let (asked, _) = stage.registry.asked::<v1::CreateAccessTokenRequest>("create_access_token").unwrap();
    let properties = asked.properties.unwrap();
    assert_eq!((properties.scopes, properties.expires_at), (vec!["read_portals".to_owned()], at(2_000)));
    assert_eq!(properties.allowed_ip_addresses.as_deref(), Some("::1"));
    let listed = send(&stage, Method::GET, "/v2/user/access-tokens", "").await;
    assert_eq!(listed.text(), format!("[{TOKEN_JSON}}}]"));
    send(&stage, Method::DELETE, &one, "").await;
    let (asked, _) = stage.registry.asked::<v1::DeleteAccessTokenRequest>("delete_access_token").unwrap();
    assert_eq!(asked.uuid, TOKEN);

    let theirs = format!("/v2/users/{USER}/access-tokens");
    send(&stage, Method::POST, &theirs, body).await;
    let name = "create_user_access_token";
    let (asked, _) = stage.registry.asked::<v1::CreateUserAccessTokenRequest>(name).unwrap();
    assert_eq!(asked.user, USER);
    send(&stage, Method::DELETE, &format!("{theirs}/{TOKEN}"), "").await;
    let name = "delete_user_access_token";
    let (asked, _) = stage.registry.asked::<v1::DeleteUserAccessTokenRequest>(name).unwrap();
    assert_eq!((&*asked.user, &*asked.uuid), (USER, TOKEN));
}

#[tokio::test]
async fn what_happened_in_no_organization_is_asked_for_as_such_and_no_slug_leads_there() {
    let stage = stage();
    for (path, organization) in [
        ("/v2/audit_events", ""),
        ("/v2/organizations/acme/audit_events", "acme"),
        ("/v2/organizations/%20/audit_events", "-"),
    ] {
        assert_eq!(send(&stage, Method::GET, path, "").await.status.as_u16(), 200);
        let (asked, _) = stage.registry.asked::<v1::ListAuditEventsRequest>("list_audit_events").unwrap();
        assert_eq!(asked.organization, organization, "{path}");
    }
}
