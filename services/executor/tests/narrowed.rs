//! Grants of tokens that may do less than their portal.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails ends here"
)]

mod support;

use model::{Fault, Reason, fault::Details, restriction::Rule};
use proto::{
    Execute,
    executor::v1::{ExecuteRequest, session_request::Event, session_response::Outcome},
    fault::read_status,
    grant::{NARROWED_TYPE, NarrowingClaim, RestrictionsClaim, TYPE},
};
use support::{
    Granted, House,
    session::{Session, channel, client, hashed},
    upstream::Upstream,
};
use uuid::Uuid;

const DOCUMENT: &str =
    "query a($x: Int) { a(x: $x) } mutation b($x: Int, $y: String) { b(x: $x, y: $y) } query c { c }";

fn narrowed(
    house: &House,
    upstream: &Upstream,
    operations: &[&str],
    variables: Vec<NarrowingClaim>,
) -> Granted {
    let operations = Some(operations.iter().map(|name| (*name).to_owned()).collect());
    let operations = operations.filter(|names: &Vec<String>| !names.is_empty());
    let mut granted = house.grant(DOCUMENT, &upstream.url);
    granted.header.typ = Some(NARROWED_TYPE.to_owned());
    granted.change(|claims| claims.restrictions = Some(RestrictionsClaim { operations, variables }))
}

fn fixed(name: &str, value: &str) -> NarrowingClaim {
    NarrowingClaim {
        name: name.to_owned(),
        fixed: Some(value.to_owned()),
        schemas: Vec::new(),
        declared_by: None,
    }
}

fn checked(name: &str, schema: &str) -> NarrowingClaim {
    NarrowingClaim { name: name.to_owned(), fixed: None, schemas: vec![schema.to_owned()], declared_by: None }
}

fn for_one_call(house: &House, upstream: &Upstream) -> Granted {
    let mut granted = house.grant(DOCUMENT, &upstream.url);
    granted.header.typ = Some(NARROWED_TYPE.to_owned());
    granted.change(|claims| {
        claims.jti = Some(Uuid::now_v7());
        claims.exp = claims.iat + 30;
    })
}

async fn run(
    house: &House,
    granted: &Granted,
    name: Option<&str>,
    variables: &'static str,
) -> Result<(), Fault> {
    let mut call = granted.call();
    call.operation_name = name.map(str::to_owned);
    call.variables = variables.into();
    house.executor.execute(call).await.map(drop)
}

fn rule(outcome: Result<(), Fault>) -> Rule {
    let fault = outcome.unwrap_err();
    let Details::Restricted { rule, .. } = fault.details() else { panic!("{fault:?}") };
    *rule
}

#[tokio::test]
async fn an_operation_that_may_not_be_run_does_not_reach_the_upstream() {
    let (house, upstream) = (House::open(), Upstream::start([]).await);
    let one = narrowed(&house, &upstream, &["b"], vec![]);
    for name in [None, Some(""), Some("b")] {
        run(&house, &one, name, "").await.unwrap();
    }
    // The same answer for one that is there and one that is not.
    for name in ["a", "c", "nowhere"] {
        assert_eq!(rule(run(&house, &one, Some(name), "").await), Rule::Operations, "{name}");
    }
    let two = narrowed(&house, &upstream, &["a", "c"], vec![]);
    let fault = run(&house, &two, None, "").await.unwrap_err();
    assert_eq!(fault.reason(), Reason::OperationNameRequired);
    assert_eq!(fault.details(), &Details::Operations(vec!["a".to_owned(), "c".to_owned()]));
    let gone = narrowed(&house, &upstream, &["c", "gone"], vec![]);
    let fault = run(&house, &gone, Some("gone"), "").await.unwrap_err();
    assert_eq!(fault.reason(), Reason::OperationNotFound);
    assert_eq!(fault.details(), &Details::Operations(vec!["c".to_owned()]));
    run(&house, &gone, None, "").await.unwrap();
    let all_gone = narrowed(&house, &upstream, &["gone"], vec![]);
    assert_eq!(rule(run(&house, &all_gone, None, "").await), Rule::Operations);
    assert_eq!(upstream.seen().len(), 4);
}

#[tokio::test]
async fn variables_are_put_in_and_checked_as_they_are_sent() {
    let (house, upstream) = (House::open(), Upstream::start([]).await);
    let rules = vec![fixed("x", "7.0"), checked("y", r#"{"pattern":"^release/"}"#)];
    let granted = narrowed(&house, &upstream, &["b"], rules);
    run(&house, &granted, None, r#"{"y":"release/1"}"#).await.unwrap();
    let sent = &upstream.seen()[0].body;
    assert!(sent.contains(r#""variables":{"x":7.0,"y":"release/1"}}"#), "{sent}");
    for variables in [r#"{"y":"main"}"#, "{}", r#"{"y":null}"#, r#"{"x":7.0,"y":"release/1"}"#] {
        assert_eq!(rule(run(&house, &granted, None, variables).await), Rule::Variables, "{variables}");
    }
    assert_eq!(run(&house, &granted, None, "[]").await.unwrap_err().reason(), Reason::BadRequest);
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_document_without_what_was_to_be_held_is_not_run() {
    let (house, upstream) = (House::open(), Upstream::start([]).await);
    for rules in [vec![checked("renamed", "{}")], vec![fixed("renamed", "1")]] {
        let granted = narrowed(&house, &upstream, &[], rules);
        assert_eq!(rule(run(&house, &granted, Some("a"), "").await), Rule::Revision);
    }
    // Another operation that may be run has it: this one needs it not.
    let granted = narrowed(&house, &upstream, &["a", "b"], vec![checked("y", r#"{"pattern":"^r"}"#)]);
    run(&house, &granted, Some("a"), "").await.unwrap();
    let granted = narrowed(&house, &upstream, &["a"], vec![checked("y", r#"{"pattern":"^r"}"#)]);
    assert_eq!(rule(run(&house, &granted, Some("a"), "").await), Rule::Revision);
    // Where it was held when more could be run, one of those must have it still.
    let held = |operations: &[&str]| NarrowingClaim {
        declared_by: Some(operations.iter().map(|name| (*name).to_owned()).collect()),
        ..checked("y", r#"{"pattern":"^r"}"#)
    };
    for among in [&["a", "b"][..], &[]] {
        let granted = narrowed(&house, &upstream, &["a"], vec![held(among)]);
        run(&house, &granted, Some("a"), "").await.unwrap();
    }
    let granted = narrowed(&house, &upstream, &["a"], vec![held(&["a", "c"])]);
    assert_eq!(rule(run(&house, &granted, Some("a"), "").await), Rule::Revision);
    assert_eq!(upstream.seen().len(), 3);
}

#[tokio::test]
async fn one_revision_serves_tokens_of_every_kind() {
    let (house, upstream) = (House::open(), Upstream::start([]).await);
    let plain = house.grant(DOCUMENT, &upstream.url);
    let narrowed = narrowed(&house, &upstream, &["a"], vec![]);
    run(&house, &plain, Some("c"), "").await.unwrap();
    assert_eq!(rule(run(&house, &narrowed, Some("c"), "").await), Rule::Operations);
    run(&house, &plain, Some("c"), "").await.unwrap();
}

#[tokio::test]
async fn a_grant_whose_restrictions_cannot_be_kept_to_is_not_run() {
    let (house, upstream) = (House::open(), Upstream::start([]).await);
    let unreadable = narrowed(&house, &upstream, &[], vec![checked("x", r#"{"$ref":"#)]);
    assert_eq!(run(&house, &unreadable, Some("a"), "").await.unwrap_err().reason(), Reason::GrantInvalid);
    // By its type, an executor of before the restrictions tells such a grant from one that it can run.
    let mut disguised = narrowed(&house, &upstream, &["a"], vec![]);
    disguised.header.typ = Some(TYPE.to_owned());
    assert_eq!(run(&house, &disguised, Some("a"), "").await.unwrap_err().reason(), Reason::GrantInvalid);
    assert_eq!(upstream.seen().len(), 0);
}

#[tokio::test]
async fn the_rule_is_told_over_grpc_too() {
    let (house, upstream) = (House::open(), Upstream::start([]).await);
    let granted = narrowed(&house, &upstream, &["b"], vec![fixed("x", "7")]);
    let request =
        ExecuteRequest { grant: granted.jwt(), variables: r#"{"x":1}"#.into(), ..ExecuteRequest::default() };
    let fault = read_status(client(&house).execute(request).await.unwrap_err(), Reason::Internal);
    let expected = Details::Restricted { rule: Rule::Variables, variable: Some("x".to_owned()) };
    assert_eq!((fault.reason(), fault.details()), (Reason::TokenRestricted, &expected));

    let mut session = Session::open(channel(&house)).await;
    let granted = narrowed(&house, &upstream, &["c"], vec![fixed("x", "7")]);
    session.call(1, &granted).await;
    let Some(Outcome::Fault(fault)) = session.answers.message().await.unwrap().unwrap().outcome else {
        panic!("answered")
    };
    assert_eq!((fault.reason.as_str(), fault.rule.as_str()), ("TOKEN_RESTRICTED", "revision"));
    assert_eq!(fault.restricted_variable, "x");
}

#[tokio::test]
async fn a_grant_of_one_call_is_taken_once_whichever_way_it_comes() {
    let (house, upstream) = (House::open(), Upstream::start([]).await);
    let granted = for_one_call(&house, &upstream);
    let calls = (0..10).map(|_| run(&house, &granted, Some("c"), ""));
    let outcomes = futures_util::future::join_all(calls).await;
    let (taken, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((taken.len(), upstream.calls()), (1, 1));
    assert!(refused.into_iter().all(|refused| rule(refused) == Rule::MaxUses));

    let request =
        ExecuteRequest { grant: granted.jwt(), operation_name: Some("c".to_owned()), ..Default::default() };
    let fault = read_status(client(&house).execute(request).await.unwrap_err(), Reason::Internal);
    assert_eq!(rule(Err(fault)), Rule::MaxUses);
    let mut session = Session::open(channel(&house)).await;
    session.call(1, &granted).await;
    assert_eq!(session.next().await.1.unwrap_err(), Reason::TokenRestricted);
    session.send(Event::Call(hashed(2, &granted))).await;
    assert_eq!(session.next().await.1.unwrap_err(), Reason::GrantUnknown);
    // A call that is refused has been its call too.
    let another = for_one_call(&house, &upstream);
    let reason = run(&house, &another, Some("nobody"), "").await.unwrap_err().reason();
    assert_eq!(reason, Reason::OperationNotFound);
    assert_eq!(rule(run(&house, &another, Some("c"), "").await), Rule::MaxUses);
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test]
async fn a_grant_of_one_call_that_could_be_shown_again_is_not_taken() {
    let (house, upstream) = (House::open(), Upstream::start([]).await);
    let reason = async |granted: Granted| run(&house, &granted, Some("c"), "").await.unwrap_err().reason();
    let lasting = for_one_call(&house, &upstream).change(|claims| claims.exp = claims.iat + 300);
    assert_eq!(reason(lasting).await, Reason::GrantInvalid, "it would be forgotten before it runs out");
    let timeless = for_one_call(&house, &upstream).change(|claims| claims.jti = Some(Uuid::new_v4()));
    assert_eq!(reason(timeless).await, Reason::ExecutorUnavailable, "it may be of before the start");
    assert_eq!(upstream.calls(), 0);
}
