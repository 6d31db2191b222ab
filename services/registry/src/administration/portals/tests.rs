//! Where documents lie: with their portal while they are live, apart from it before and after.

use super::*;
use crate::{
    Registry,
    administration::desk::{operator, registry},
    authorize::admit,
    record,
    store::Batch,
};
use proto::registry::v1::{CreatePortalTokenRequest, DeletePortalRequest};
use std::time::SystemTime;

const FIRST: &str = "{ me }";
const SECOND: &str = "{ you }";

fn viewer(registry: &Registry) -> Portal {
    registry.administration().portal("acme", "viewer").unwrap()
}

async fn update(registry: &Registry, change: UpdatePortalRequest) -> v1::Portal {
    let request =
        UpdatePortalRequest { organization: "acme".to_owned(), portal: "viewer".to_owned(), ..change };
    registry.administration().update_portal(&operator(), request).await.unwrap()
}

async fn save(registry: &Registry, query: &str) -> v1::Portal {
    update(registry, UpdatePortalRequest { query: Some(query.to_owned()), ..Default::default() }).await
}

/// What lies apart from the portal as the document of its revision.
fn apart(registry: &Registry, revision: u64) -> Option<String> {
    let key = table::document(viewer(registry).uuid, revision);
    let entry = registry.catalog().get(&key).unwrap()?;
    Some(record::read::<Document>(&entry.value).unwrap().source)
}

fn with_it(portal: &Portal) -> Option<&str> {
    portal.document.as_ref().map(|document| document.source.as_str())
}

#[tokio::test]
async fn a_document_lies_with_its_portal_while_it_is_live() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path()).await;
    assert_eq!((with_it(&viewer(&registry)), apart(&registry, 1)), (Some(FIRST), None));

    assert_eq!(save(&registry, SECOND).await.query, SECOND);
    let portal = viewer(&registry);
    assert_eq!((with_it(&portal), portal.document_revision), (Some(SECOND), 2));
    assert_eq!((apart(&registry, 1).as_deref(), apart(&registry, 2)), (Some(FIRST), None));
    for (revision, source) in [(1, Some(FIRST)), (2, Some(SECOND)), (3, None)] {
        let saved = registry.catalog().document_saved(&portal, revision).unwrap();
        assert_eq!(saved.as_ref().map(|document| document.source.as_str()), source, "revision {revision}");
    }

    let request = DeletePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        ..Default::default()
    };
    registry.administration().delete_portal(&operator(), request).await.unwrap();
    for (revision, source) in [(1, FIRST), (2, SECOND)] {
        let kept = registry.catalog().get(&table::document(portal.uuid, revision)).unwrap().unwrap();
        assert_eq!(record::read::<Document>(&kept.value).unwrap().source, source);
    }
}

#[tokio::test]
async fn a_document_that_lies_apart_from_its_portal_as_all_did_once_is_run_told_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path()).await;
    let mut portal = viewer(&registry);
    let document = portal.document.take().unwrap();
    let batch = Batch::new()
        .put(table::portal(portal.organization, portal.uuid), record::write(&portal))
        .put(table::document(portal.uuid, portal.document_revision), record::write(&document));
    registry.catalog().commit(batch).await.unwrap();
    assert_eq!((with_it(&viewer(&registry)), apart(&registry, 1).as_deref()), (None, Some(FIRST)));

    let told = registry.administration().show_portal(viewer(&registry), "acme").unwrap();
    assert_eq!(told.query, FIRST);
    let request = CreatePortalTokenRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        ..Default::default()
    };
    let (_, token) = registry.administration().create_token(&operator(), request).await.unwrap();
    let admitted = || admit(registry.catalog(), ("acme", "viewer", token.expose()), SystemTime::now());
    let runs = || admitted().unwrap().document.operations.into_iter().map(|operation| operation.source);
    assert!(runs().eq([FIRST]));

    let rename = UpdatePortalRequest { name: Some("Another".to_owned()), ..Default::default() };
    let renamed = update(&registry, rename).await;
    assert_eq!((renamed.name.as_str(), renamed.query.as_str()), ("Another", FIRST));
    assert_eq!(with_it(&viewer(&registry)), Some(FIRST));
    assert!(runs().eq([FIRST]));

    save(&registry, SECOND).await;
    assert_eq!((with_it(&viewer(&registry)), apart(&registry, 1).as_deref()), (Some(SECOND), Some(FIRST)));
    assert!(runs().eq([SECOND]));
}
