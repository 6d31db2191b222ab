//! Tokens that are to do less than their portal, as they are asked for and told.

use crate::rest::{ONE, message, send, stage};
use http::Method;
use proto::registry::v1;

#[tokio::test]
async fn what_a_token_is_to_do_less_is_passed_on_and_told_as_it_was_written() {
    let stage = stage();
    let path = format!("{ONE}/tokens");
    stage.registry.answer("create_portal_token", |asked: &v1::CreatePortalTokenRequest| {
        let restrictions = asked
            .restrictions
            .clone()
            .map(|restrictions| v1::Restrictions { pinned_revision: Some(3), ..restrictions });
        let token = v1::PortalToken { restrictions, ..v1::PortalToken::default() };
        Ok(v1::CreatePortalTokenResponse { portal_token: Some(token), token: "ptk_secret".to_owned() })
    });
    let asked = concat!(
        r#""operations":["a"],"variables":{"branch":{"schema":{"maximum": 1.50}},"#,
        r#""commit":{"fixed":12345678901234567890123}},"allowed_ip_addresses":"192.0.2.1","revision":"pin""#,
    );
    let reply = send(&stage, Method::POST, &path, &format!("{{{asked}}}")).await;
    assert_eq!(reply.status.as_u16(), 201);
    assert!(
        reply.text().contains(&format!(r#","last_used_at":null,{asked},"pinned_revision":3,"token":"#)),
        "{}",
        reply.text()
    );

    for (body, expected) in [
        (r#"{"operations":[]}"#, "operations must be a list of at least one string"),
        (r#"{"operations":"a"}"#, "operations must be a list of at least one string"),
        (r#"{"variables":[]}"#, "variables must be an object such as"),
        (r#"{"variables":{"a":1}}"#, "variables must be an object such as"),
        (r#"{"variables":{"a":{}}}"#, "variables must be an object such as"),
        (r#"{"variables":{"a":{"pattern":"x"}}}"#, "variables must be an object such as"),
        (r#"{"variables":{"a":{"fixed":1,"schema":{}}}}"#, "variables must be an object such as"),
        (r#"{"variables":{"a":{"fixed":1},"a":{"fixed":2}}}"#, "variables must be an object such as"),
        (r#"{"revision":"pinned"}"#, r#"revision must be "follow" or "pin""#),
    ] {
        let reply = send(&stage, Method::POST, &path, body).await;
        assert_eq!(reply.status.as_u16(), 422, "{body}");
        assert!(message(&reply).contains(expected), "{body}: {}", message(&reply));
    }
    for plain in ["{}", r#"{"operations":null,"variables":{}}"#] {
        send(&stage, Method::POST, &path, plain).await;
        let (asked, _) = stage.registry.asked::<v1::CreatePortalTokenRequest>("create_portal_token").unwrap();
        assert_eq!(asked.restrictions, None, "{plain}");
    }
}
