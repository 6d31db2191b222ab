//! Tokens that are to do less than their portal, as they are asked for and told.

use crate::{
    rest::{ONE, message, send, stage},
    stage::{PATH, Stage, granted},
};
use http::Method;
use model::{Fault, Reason, restriction::Rule};
use proto::registry::v1;
use std::{
    future::ready,
    sync::atomic::{AtomicU32, Ordering},
};

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
        r#""commit":{"fixed":12345678901234567890123}},"allowed_ip_addresses":"192.0.2.1","max_uses":9,"revision":"pin""#,
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

/// Gives the edge a lease of a minute.
async fn leased(stage: &Stage) {
    stage.watch();
    stage.registry.watch().await.begin(1, 60_000).await;
    while stage.edge.ready().await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// A registry that counts uses, of which there are so many.
fn counting(stage: &Stage, most: u32) {
    let spent = AtomicU32::new(0);
    stage.registry.on_authorize(move |asked: v1::AuthorizeRequest| {
        let mut answer = v1::AuthorizeResponse { counts_uses: true, grant: String::new(), ..granted() };
        if !asked.spare_uses {
            let use_number = spent.fetch_add(1, Ordering::Relaxed);
            if use_number >= most {
                return ready(Err(Fault::restricted(Rule::MaxUses, "all uses are spent")));
            }
            answer.grant = format!("grant {use_number}");
        }
        ready(Ok(answer))
    });
}

#[tokio::test]
async fn a_counted_use_is_asked_for_with_each_call_and_for_no_other() {
    let stage = Stage::open();
    leased(&stage).await;
    counting(&stage, 3);
    for _ in 0..3 {
        assert_eq!(stage.invoke("{}").await.status.as_u16(), 200);
    }
    let reply = stage.invoke("{}").await;
    reply.assert_fault(403, "TOKEN_RESTRICTED");
    assert!(reply.text().contains(r#""rule":"max_uses""#), "{}", reply.text());

    let grants: Vec<_> =
        stage.executor.calls().iter().map(|call| call.grant.jwt.expose().to_owned()).collect();
    assert_eq!(grants, ["grant 0", "grant 1", "grant 2"], "none is used twice");
    let asked = stage.registry.authorized();
    assert_eq!(asked.iter().filter(|asked| asked.spare_uses).count(), 1, "what can be kept is kept");
    assert_eq!(asked.iter().filter(|asked| !asked.spare_uses).count(), 4);
}

#[tokio::test]
async fn a_call_that_is_refused_here_spends_no_use() {
    let stage = Stage::open();
    leased(&stage).await;
    counting(&stage, 3);
    stage.invoke("[").await;
    stage.ask(stage.request(Method::POST, &format!("{PATH}?operation_name=a&operation_name=b"), "{}")).await;
    let spent = stage.registry.authorized().iter().filter(|asked| !asked.spare_uses).count();
    assert_eq!(spent, 1, "what is no JSON is for the executor to tell");
}

#[tokio::test]
async fn a_call_whose_use_cannot_be_counted_is_not_made_and_one_that_failed_is_not_made_again() {
    let stage = Stage::open();
    leased(&stage).await;
    counting(&stage, 3);
    assert_eq!(stage.invoke("{}").await.status.as_u16(), 200);
    stage.executor.fail(|| Fault::new(Reason::GrantInvalid, "the executor's own words"));
    stage.invoke("{}").await.assert_fault(500, "INTERNAL");
    assert_eq!(stage.executor.calls().len(), 2);
    stage.registry.refuse(Reason::StorageUnavailable);
    stage.invoke("{}").await.assert_fault(503, "REGISTRY_UNAVAILABLE");
    stage.registry.refuse(Reason::Unauthenticated);
    stage.invoke("{}").await.assert_fault(401, "UNAUTHENTICATED");
    assert_eq!(stage.executor.calls().len(), 2);
}
