//! Exchanges of JWTs, by a registry that is told what their issuer publishes.

use super::*;
use crate::{
    Registry,
    administration::desk::{operator, registry_asking},
    identity::issuing::{ISSUER, Published, Signing, claims},
};
use proto::{
    channel,
    fault::read_status,
    registry::v1::{
        self, ExchangeTokenRequest, exchange_token_request::Grant,
        registry_service_client::RegistryServiceClient,
    },
};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tempfile::TempDir;

/// A registry with the portal `acme/viewer`, and an issuer.
struct Desk {
    registry: Registry,
    key: Signing,
    published: Arc<Published>,
    tries: AtomicU64,
    _folder: TempDir,
}

impl Desk {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = Signing::es256("one");
        let published = Published::new(&[&key]);
        let registry = registry_asking(folder.path(), Arc::clone(&published)).await;
        Self { registry, key, published, tries: AtomicU64::new(0), _folder: folder }
    }

    async fn trust(&self, conditions: &[(&str, &str)]) -> Result<v1::TrustedIssuer, Fault> {
        self.trust_within(conditions, None).await
    }

    async fn trust_within(
        &self,
        conditions: &[(&str, &str)],
        restrictions: Option<v1::Restrictions>,
    ) -> Result<v1::TrustedIssuer, Fault> {
        let condition = |(claim, pattern): &(&str, &str)| v1::ClaimCondition {
            claim: (*claim).to_owned(),
            pattern: (*pattern).to_owned(),
        };
        let request = v1::CreateTrustedIssuerRequest {
            organization: "acme".to_owned(),
            portal: "viewer".to_owned(),
            issuer: ISSUER.to_owned(),
            audience: "portals".to_owned(),
            conditions: conditions.iter().map(condition).collect(),
            restrictions,
            ..Default::default()
        };
        self.registry.administration().create_trusted_issuer(&operator(), request).await
    }

    async fn distrust(&self, uuid: &str) -> Result<(), Fault> {
        let request = v1::DeleteTrustedIssuerRequest {
            organization: "acme".to_owned(),
            portal: "viewer".to_owned(),
            uuid: uuid.to_owned(),
        };
        self.registry.administration().delete_trusted_issuer(&operator(), request).await
    }

    fn client(&self) -> RegistryServiceClient<proto::Channel> {
        RegistryServiceClient::new(channel::local(self.registry.registry_service()))
    }

    /// Each try comes from somewhere else: this is not about guessing.
    async fn exchange(&self, portal: &str, token: &str) -> Result<String, Fault> {
        self.exchange_within(portal, token, None).await
    }

    async fn exchange_within(
        &self,
        portal: &str,
        token: &str,
        restrictions: Option<v1::Restrictions>,
    ) -> Result<String, Fault> {
        let mut request = tonic::Request::new(ExchangeTokenRequest {
            organization: "acme".to_owned(),
            portal: portal.to_owned(),
            expires_in_minutes: Some(5),
            grant: Some(Grant::IdentityToken(IdentityToken { token: token.to_owned() })),
            restrictions,
        });
        let address = format!("2001:db8:0:{:x}::1", self.tries.fetch_add(1, Ordering::Relaxed));
        request.metadata_mut().insert("portals-client-address", address.parse().unwrap());
        let answer = self.client().exchange_token(request).await;
        answer.map(|made| made.into_inner().token).map_err(|status| read_status(status, Reason::Internal))
    }

    async fn opens(&self, token: &str) -> bool {
        let request = v1::AuthorizeRequest {
            organization: "acme".to_owned(),
            portal: "viewer".to_owned(),
            bearer: token.to_owned(),
            spare_uses: false,
        };
        self.client().authorize(request).await.is_ok()
    }
}

#[tokio::test]
async fn whoever_a_trusted_issuer_vouches_for_gets_a_token_that_ends_with_the_trust() {
    let desk = Desk::open().await;
    let jwt = desk.key.sign(&claims(SystemTime::now()));
    let nobody = desk.exchange("viewer", &jwt).await.unwrap_err();
    assert_eq!(nobody.reason(), Reason::InvalidGrant);
    let nowhere = desk.exchange("no-such-portal", &jwt).await.unwrap_err();
    assert_eq!(
        nowhere.message(),
        nobody.message(),
        "a portal that is not there is like one that trusts nobody"
    );
    assert_eq!(desk.published.asked(), 0, "who is not trusted is not asked");

    let trusted = desk.trust(&[("repository", "acme/*"), ("ref", "refs/heads/main")]).await.unwrap();
    let token = desk.exchange("viewer", &jwt).await.unwrap();
    assert!(desk.opens(&token).await);
    assert!(desk.exchange("no-such-portal", &jwt).await.is_err());

    let list = v1::ListTrustedIssuersRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        page: None,
    };
    let window = crate::catalog::Window { skip: 0, limit: 10 };
    let listed = desk.registry.administration().list_trusted_issuers(&list, window).unwrap();
    assert_eq!((listed.total, listed.trusted_issuers.len()), (1, 1));
    assert!(listed.trusted_issuers[0].last_used_at.is_some());
    assert_eq!(listed.trusted_issuers[0].conditions, trusted.conditions);

    desk.distrust(&trusted.uuid).await.unwrap();
    assert!(!desk.opens(&token).await);
    assert_eq!(desk.exchange("viewer", &jwt).await.unwrap_err().reason(), Reason::InvalidGrant);
    assert_eq!(desk.distrust(&trusted.uuid).await.unwrap_err().reason(), Reason::NotFound);
}

#[tokio::test]
async fn what_does_not_hold_is_named_and_an_issuer_that_is_silent_is_not_the_callers_fault() {
    let desk = Desk::open().await;
    desk.trust(&[("ref", "refs/heads/main")]).await.unwrap();
    let mut branch = claims(SystemTime::now());
    branch["ref"] = "refs/heads/other".into();
    let refused = desk.exchange("viewer", &desk.key.sign(&branch)).await.unwrap_err();
    assert!(refused.message().contains("`ref`") && !refused.message().contains("main"), "{refused}");
    let jwt = desk.key.sign(&claims(SystemTime::now()));
    for forged in ["", "a.b.c", jwt.split_at(jwt.len() - 1).0, &format!("{jwt}x")] {
        assert_eq!(desk.exchange("viewer", forged).await.unwrap_err().reason(), Reason::InvalidGrant);
    }
    let silent = Desk::open().await;
    silent.trust(&[("ref", "*")]).await.unwrap();
    silent.published.fall_silent();
    let refused = silent.exchange("viewer", &silent.key.sign(&claims(SystemTime::now()))).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::RegistryUnavailable);
}

#[tokio::test]
async fn what_cannot_be_trusted_is_refused_when_it_is_said() {
    let desk = Desk::open().await;
    let invalid = async |change: &dyn Fn(&mut v1::CreateTrustedIssuerRequest)| {
        let condition = v1::ClaimCondition { claim: "ref".to_owned(), pattern: "*".to_owned() };
        let mut request = v1::CreateTrustedIssuerRequest {
            organization: "acme".to_owned(),
            portal: "viewer".to_owned(),
            issuer: ISSUER.to_owned(),
            audience: "portals".to_owned(),
            conditions: vec![condition],
            ..Default::default()
        };
        change(&mut request);
        let refused = desk.registry.administration().create_trusted_issuer(&operator(), request).await;
        let fault = refused.unwrap_err();
        assert_eq!(fault.reason(), Reason::ValidationFailed);
        fault.message().to_owned()
    };
    assert!(invalid(&|request| request.conditions.clear()).await.contains("conditions must be 1 to 20"));
    assert!(invalid(&|request| request.audience.clear()).await.contains("audience"));
    assert!(
        invalid(&|request| request.issuer = "http://a.example".to_owned())
            .await
            .contains("issuer must begin with https")
    );
    assert!(invalid(&|request| request.conditions[0].pattern.clear()).await.contains("pattern for `ref`"));
    assert!(
        invalid(&|request| request.conditions.push(request.conditions[0].clone())).await.contains("once")
    );
    for _ in 0..MAX_TRUSTED_ISSUERS {
        desk.trust(&[("ref", "*")]).await.unwrap();
    }
    assert!(desk.trust(&[("ref", "*")]).await.unwrap_err().message().contains("delete one first"));
}

#[tokio::test]
async fn the_audit_says_for_whom_a_token_was_made() {
    let desk = Desk::open().await;
    let trusted = desk.trust(&[("ref", "*")]).await.unwrap();
    desk.exchange("viewer", &desk.key.sign(&claims(SystemTime::now()))).await.unwrap();
    let window = crate::catalog::Window { skip: 0, limit: 1 };
    let newest = desk.registry.administration().list_audit_events("acme", window).unwrap().events.remove(0);
    let actor = newest.actor.unwrap();
    assert_eq!((newest.r#type.as_str(), actor.r#type.as_str()), ("PORTAL_TOKEN_CREATED", "workload"));
    assert_eq!(
        (actor.uuid, actor.name.as_str()),
        (trusted.uuid.clone(), "repo:acme/app:ref:refs/heads/main")
    );
    let data: serde_json::Value = serde_json::from_str(&newest.data_json).unwrap();
    assert_eq!(data["trusted_issuer"], json!(trusted.uuid));
}

#[tokio::test]
async fn what_an_issuer_leads_to_is_within_what_was_said_when_it_was_trusted() {
    let desk = Desk::open().await;
    let fixed = |name: &str, value: &str| v1::VariableRestriction {
        name: name.to_owned(),
        fixed_json: Some(value.to_owned()),
        schemas_json: Vec::new(),
    };
    let publish = v1::UpdatePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        query: Some("query Viewer($id: ID!) { viewer(id: $id) }".to_owned()),
        ..Default::default()
    };
    desk.registry.administration().update_portal(&operator(), publish).await.unwrap();
    let of = |variable| Some(v1::Restrictions { variables: vec![variable], ..Default::default() });
    let misfit = desk.trust_within(&[("ref", "*")], of(fixed("nobody", "1"))).await.unwrap_err();
    assert!(misfit.message().contains("variables.nobody is declared by no operation"), "{misfit}");
    let held = v1::Restrictions {
        variables: vec![fixed("id", "\"a\"")],
        allowed_ip_addresses: Some("2001:db8::/32".to_owned()),
        ..Default::default()
    };
    let trusted = desk.trust_within(&[("ref", "*")], Some(held.clone())).await.unwrap();
    assert_eq!(trusted.restrictions.as_ref().unwrap().variables, held.variables);
    let jwt = desk.key.sign(&claims(SystemTime::now()));

    let token = desk.exchange("viewer", &jwt).await.unwrap();

    let token =
        desk.registry.catalog().token(&Bearer::parse(&token).unwrap().fingerprint()).unwrap().unwrap();
    let restrictions = token.restrictions.unwrap();
    assert_eq!(restrictions.variables[0].fixed.as_deref(), Some("\"a\""));
    assert_eq!(restrictions.allowed_ip_addresses.as_deref(), Some("2001:db8::/32"));
    let wider = desk.exchange_within("viewer", &jwt, of(fixed("id", "\"b\""))).await.unwrap_err();
    assert_eq!((wider.reason(), wider.message()), (Reason::BadRequest, "variables.id is fixed already"));
    desk.exchange_within("viewer", &jwt, of(fixed("id", "\"a\""))).await.unwrap();
    // Before the JWT is known to be good, nothing of it is told.
    let stranger = desk.exchange_within("viewer", "a.b.c", of(fixed("id", "\"b\""))).await.unwrap_err();
    assert_eq!(stranger.reason(), Reason::InvalidGrant);

    let elsewhere =
        v1::Restrictions { allowed_ip_addresses: Some("192.0.2.1".to_owned()), ..Default::default() };
    desk.distrust(&trusted.uuid).await.unwrap();
    desk.trust_within(&[("ref", "*")], Some(elsewhere)).await.unwrap();
    assert_eq!(desk.exchange("viewer", &jwt).await.unwrap_err().reason(), Reason::IpNotAllowed);
}
