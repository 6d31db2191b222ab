//! Tokens that may do less than their portal.

use crate::desk::{Desk, fault, refused};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{Fault, Reason, fault::Details, restriction::Rule};
use proto::{
    grant::{Claims, NARROWED_TYPE},
    registry::v1::{
        self, CreatePortalTokenRequest, Restrictions, TokenRevision, UpdatePortalRequest, VariableRestriction,
    },
};

const DOCUMENT: &str = "query Viewer($id: ID!, $n: Int) { viewer(id: $id, n: $n) } mutation Other($name: String) { other(name: $name) }";

fn fixed(name: &str, value: &str) -> VariableRestriction {
    VariableRestriction {
        name: name.to_owned(),
        fixed_json: Some(value.to_owned()),
        schemas_json: Vec::new(),
    }
}

fn checked(name: &str, schema: &str) -> VariableRestriction {
    VariableRestriction { name: name.to_owned(), fixed_json: None, schemas_json: vec![schema.to_owned()] }
}

async fn create(desk: &Desk, restrictions: Restrictions) -> Result<(v1::PortalToken, String), Fault> {
    let request = CreatePortalTokenRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        restrictions: Some(restrictions),
        ..Default::default()
    };
    let made = fault(desk.administration().create_portal_token(desk.signed(request)).await)?;
    Ok((made.portal_token.unwrap(), made.token))
}

async fn publish(desk: &Desk, query: &str) {
    let request = UpdatePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        query: Some(query.to_owned()),
        ..Default::default()
    };
    fault(desk.administration().update_portal(desk.signed(request)).await).unwrap();
}

async fn desk() -> Desk {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    publish(&desk, DOCUMENT).await;
    desk
}

async fn listed(desk: &Desk) -> Vec<v1::PortalToken> {
    let request = v1::ListPortalTokensRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        page: None,
    };
    fault(desk.administration().list_portal_tokens(desk.signed(request)).await).unwrap().tokens
}

async fn granted(desk: &Desk, bearer: &str) -> (String, Claims, v1::AuthorizeResponse) {
    let answer = desk.authorize("acme", "viewer", bearer).await.unwrap();
    let parts: Vec<Vec<u8>> =
        answer.grant.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    let header: serde_json::Value = serde_json::from_slice(&parts[0]).unwrap();
    (header["typ"].as_str().unwrap().to_owned(), serde_json::from_slice(&parts[1]).unwrap(), answer)
}

#[tokio::test]
async fn restrictions_are_told_granted_and_audited_as_they_were_asked_for() {
    let desk = desk().await;
    let asked = Restrictions {
        operations: vec!["Viewer".to_owned()],
        variables: vec![checked("id", r#"{"pattern":"^a"}"#), fixed("n", "1.0")],
        allowed_ip_addresses: Some("192.0.2.0/24 2001:db8::1".to_owned()),
        ..Default::default()
    };
    let (made, bearer) = create(&desk, asked.clone()).await.unwrap();
    let told = Restrictions { revision: TokenRevision::Follow.into(), ..asked };
    assert_eq!(made.restrictions.as_ref(), Some(&told));
    let desk = desk.restart(|_| {}).await;
    assert_eq!(listed(&desk).await[0], made);

    let (r#type, claims, answer) = granted(&desk, &bearer).await;
    assert_eq!(r#type, NARROWED_TYPE);
    let claim = claims.restrictions.unwrap();
    assert_eq!(claim.operations, Some(vec!["Viewer".to_owned()]));
    assert_eq!((claim.variables[0].name.as_str(), &claim.variables[0].fixed), ("id", &None));
    assert_eq!(claim.variables[1].fixed.as_deref(), Some("1.0"), "digit for digit");
    assert_eq!(answer.token_allowed_ip_addresses, ["192.0.2.0/24", "2001:db8::1"]);
    assert_eq!(answer.allowed_ip_addresses.len(), 0);

    let event = &desk.events("acme").await[0];
    let data: serde_json::Value = serde_json::from_str(&event.data_json).unwrap();
    assert_eq!(event.r#type, "PORTAL_TOKEN_CREATED");
    assert_eq!(data["restrictions"]["operations"][0], "Viewer");
    assert_eq!(data["restrictions"]["variables"][1]["fixed"], "1.0");
}

#[tokio::test]
async fn a_pinned_token_runs_the_document_of_its_making_and_others_follow() {
    let desk = desk().await;
    let pin = Restrictions { revision: TokenRevision::Pin.into(), ..Default::default() };
    let (made, pinned) = create(&desk, pin).await.unwrap();
    assert_eq!(made.restrictions.unwrap().pinned_revision, Some(2));
    let (_, following) = desk.token("acme", "viewer").await;
    publish(&desk, "{ me }").await;
    let source = |claims: &Claims| claims.document.operations[0].source.clone();
    let (_, claims, _) = granted(&desk, &pinned).await;
    assert!(source(&claims).contains("Viewer") && claims.revision == 2, "{claims:?}");
    let (_, claims, _) = granted(&desk, &following).await;
    assert!(source(&claims).contains("me") && claims.revision == 3, "{claims:?}");
}

#[tokio::test]
async fn what_does_not_fit_the_portals_document_makes_no_token() {
    let desk = desk().await;
    let operations = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    for (restrictions, part) in [
        (
            Restrictions { operations: operations(&["Nobody"]), ..Default::default() },
            "it has `Viewer`, `Other`",
        ),
        (
            Restrictions {
                operations: operations(&["Viewer"]),
                variables: vec![fixed("name", "\"a\"")],
                ..Default::default()
            },
            "variables.name is declared by no operation",
        ),
        (
            Restrictions { variables: vec![fixed("n", "\"one\"")], ..Default::default() },
            "variables.n.fixed: variable `$n`: expected `Int`",
        ),
        (
            Restrictions { variables: vec![checked("n", r#"{"maxium":1}"#)], ..Default::default() },
            "variables.n.schema has `maxium`",
        ),
        (
            Restrictions {
                variables: vec![VariableRestriction {
                    schemas_json: vec!["{}".to_owned()],
                    ..fixed("n", "1")
                }],
                ..Default::default()
            },
            "and not both",
        ),
        (
            Restrictions { allowed_ip_addresses: Some("home".to_owned()), ..Default::default() },
            "allowed_ip_addresses: `home`",
        ),
    ] {
        let message = refused(create(&desk, restrictions).await, Reason::ValidationFailed);
        assert!(message.starts_with("Validation failed: ") && message.contains(part), "{message}");
    }
    let message = refused(create(&desk, uses(0)).await, Reason::ValidationFailed);
    assert!(message.contains("max_uses must be a whole number of at least 1"), "{message}");
    let message = refused(create(&desk, uses(1_000_000_001)).await, Reason::ValidationFailed);
    assert!(message.contains("max_uses must be at most 1000000000"), "{message}");
    assert_eq!(listed(&desk).await.len(), 1, "the portal's first");
}

fn uses(most: u32) -> Restrictions {
    Restrictions { max_uses: Some(most), ..Default::default() }
}

/// What an edge asks for to keep.
async fn spare(desk: &Desk, bearer: &str) -> Result<v1::AuthorizeResponse, Fault> {
    let request = v1::AuthorizeRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        bearer: bearer.to_owned(),
        spare_uses: true,
    };
    fault(desk.calls().authorize(request).await)
}

fn all_spent<T>(answer: Result<T, Fault>) {
    let Err(fault) = answer else { panic!("a use more than there are") };
    let rule = Details::Restricted { rule: Rule::MaxUses, variable: None };
    assert_eq!((fault.reason(), fault.details()), (Reason::TokenRestricted, &rule), "{fault}");
}

#[tokio::test]
async fn each_grant_spends_a_use_and_is_good_for_one_call() {
    let desk = desk().await;
    let (made, bearer) = create(&desk, uses(2)).await.unwrap();
    assert_eq!((made.uses, made.restrictions.unwrap().max_uses), (Some(0), Some(2)));
    let spared = spare(&desk, &bearer).await.unwrap();
    assert!(spared.counts_uses && spared.grant.is_empty(), "{spared:?}");
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (r#type, claims, answer) = granted(&desk, &bearer).await;
        assert!(answer.counts_uses && r#type == NARROWED_TYPE);
        assert!(claims.exp - claims.iat <= 30, "long enough to be carried to an executor");
        ids.push(claims.jti.unwrap());
    }
    assert_ne!(ids[0], ids[1]);
    all_spent(desk.authorize("acme", "viewer", &bearer).await);
    assert_eq!(listed(&desk).await[0].uses, Some(2));

    let desk = desk.restart(|_| {}).await;
    all_spent(desk.authorize("acme", "viewer", &bearer).await);
    assert!(spare(&desk, &bearer).await.unwrap().grant.is_empty());
    let (token, plain) = desk.token("acme", "viewer").await;
    assert_eq!((token.uses, spare(&desk, &plain).await.unwrap().counts_uses), (None, false));
    assert!(!spare(&desk, &plain).await.unwrap().grant.is_empty());
}

#[tokio::test]
async fn of_many_who_ask_at_once_as_many_are_let_in_as_there_are_uses() {
    let desk = desk().await;
    let (made, bearer) = create(&desk, uses(7)).await.unwrap();
    let asks = (0..20).map(|_| desk.authorize("acme", "viewer", &bearer));
    let (granted, refused): (Vec<_>, Vec<_>) =
        futures_util::future::join_all(asks).await.into_iter().partition(Result::is_ok);
    assert_eq!((granted.len(), refused.len()), (7, 13));
    refused.into_iter().for_each(all_spent);

    desk.revoke("acme", "viewer", &made.uuid).await.unwrap();
    refused_as_unknown(&desk, &bearer).await;
}

async fn refused_as_unknown(desk: &Desk, bearer: &str) {
    refused(desk.authorize("acme", "viewer", bearer).await, Reason::Unauthenticated);
    refused(spare(desk, bearer).await, Reason::Unauthenticated);
}
