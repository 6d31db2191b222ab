//! A registry on a real store, for the tests of this room that must look behind its doors.

use crate::{
    Config, FirstOrganization, Opened, Registry,
    caller::{Caller, operator_token},
    identity::issuing::Published,
    open,
    record::{self, AccessToken, AccessTokenKind, Scope},
    store::Batch,
    table,
};
use model::{Bearer, BearerKind, Fault, Reason, Secret, key::Keyring};
use proto::registry::v1;
use std::{path::Path, sync::Arc};
use uuid::Uuid;

pub(crate) fn keyring() -> Keyring {
    Keyring::parse(&Secret::new("cG9ydGFscyBwb3J0YWxzIHBvcnRhbHMgcG9ydGFscyE=")).unwrap()
}

/// Whoever may do everything.
pub(crate) fn operator() -> Caller {
    Caller::operator(operator_token(Uuid::now_v7()))
}

/// A registry with the portal `acme/viewer`, which has the token of its making.
pub(crate) async fn registry(folder: &Path) -> Registry {
    registry_asking(folder, Published::new(&[])).await
}

/// The same, with issuers that publish something.
pub(crate) async fn registry_asking(folder: &Path, issuers: Arc<Published>) -> Registry {
    let config = Config {
        data_dir: folder.to_owned(),
        keyring: keyring(),
        edge_key: Secret::new("an-edge-key"),
        admin_token: None,
        first_organization: Some(FirstOrganization {
            slug: "acme".to_owned(),
            upstream_url: "http://upstream.example/".to_owned(),
            upstream_token: None,
        }),
        sole_edge: true,
        min_free_bytes: 0,
        issuers,
        openid: None,
    };
    let Opened { registry, .. } = open(config).await.unwrap();
    let request = v1::CreatePortalRequest {
        organization: "acme".to_owned(),
        name: "Viewer".to_owned(),
        query: "{ me }".to_owned(),
        ..Default::default()
    };
    registry.administration().create_portal(&operator(), request).await.unwrap();
    registry
}

/// The calls that a service has.
pub(crate) fn calls(proto: &'static str) -> Vec<&'static str> {
    let calls = proto.lines().filter_map(|line| line.trim().strip_prefix("rpc "));
    calls.map(|call| call.split('(').next().unwrap()).collect()
}

/// An access token with these scopes, a user's or nobody's.
pub(crate) async fn access_token(registry: &Registry, scopes: Vec<Scope>, user: Option<Uuid>) -> Bearer {
    let bearer = Bearer::generate(BearerKind::AccessToken);
    let kind = match user {
        Some(_) => AccessTokenKind::User,
        None => AccessTokenKind::AccessToken,
    };
    let token = AccessToken { kind, scopes, user, ..operator_token(Uuid::now_v7()) };
    let batch = Batch::new().put(table::access_token(&bearer.fingerprint()), record::write(&token));
    registry.catalog().commit(batch).await.unwrap();
    bearer
}

/// Checks that a message which says nothing was let in if the scope is `held`, and refused for it otherwise.
pub(crate) fn check_scope(
    name: &str,
    needed: Option<Scope>,
    held: Option<Scope>,
    answer: &Result<(), Fault>,
) {
    let Some(missing) = needed.filter(|needed| Some(*needed) != held) else {
        let let_in = [None, Some(Reason::NotFound), Some(Reason::ValidationFailed)];
        let reason = answer.as_ref().err().map(Fault::reason);
        assert!(let_in.contains(&reason), "{name} with {held:?}: {answer:?}");
        return;
    };
    let fault = answer.as_ref().expect_err(name);
    assert_eq!(fault.reason(), Reason::Forbidden, "{name} with {held:?}: {fault}");
    let said = format!("lacks the scope {}", missing.name());
    assert!(fault.message().ends_with(&said), "{name} with {held:?}: {fault}");
}
