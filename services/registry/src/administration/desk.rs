//! A registry on a real store, for the tests of this room that must look behind its doors.

use crate::{
    Config, FirstOrganization, Opened, Registry, caller::Caller, caller::operator_token,
    identity::issuing::Published, open,
};
use model::{Secret, key::Keyring};
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
