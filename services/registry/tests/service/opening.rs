//! How a registry begins: its operator's token, its first organization, and what it refuses.

use crate::desk::{ADMIN_TOKEN, Desk, EDGE_KEY, config, fault, first, refused, reopen};
use model::{Reason, Secret};
use proto::{
    channel,
    registry::v1::{self, administration_service_client::AdministrationServiceClient},
};
use registry::{Config, OpenError, Opened, open};
use tonic::Request;

async fn describe(opened: &Opened, token: &str) -> Result<v1::DescribeAccessTokenResponse, model::Fault> {
    let channel = channel::local(opened.registry.administration_service());
    let mut request = Request::new(v1::DescribeAccessTokenRequest {});
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    fault(AdministrationServiceClient::new(channel).describe_access_token(request).await)
}

#[tokio::test]
async fn an_admin_token_is_made_once_and_holds() {
    let folder = tempfile::tempdir().unwrap();
    let told = || Config { admin_token: None, ..config(folder.path()) };
    let opened = open(told()).await.unwrap();
    let made = opened.made_admin_token.as_ref().unwrap().expose().to_owned();
    let described = describe(&opened, &made).await.unwrap();
    assert_eq!(described.scopes.len(), 8);
    drop(opened);

    let opened = reopen(told).await.unwrap();

    assert!(opened.made_admin_token.is_none());
    assert_eq!(describe(&opened, &made).await.unwrap(), described);
}

#[tokio::test]
async fn a_start_that_is_refused_does_not_swallow_the_token_that_it_made() {
    let folder = tempfile::tempdir().unwrap();
    let told = |first_organization| Config { admin_token: None, first_organization, ..config(folder.path()) };
    let Err(error) = open(told(Some(first("No Slug")))).await else { panic!("expected a refusal") };
    assert_eq!(error.exit_code(), 64);

    let opened = reopen(|| told(Some(first("a-slug")))).await.unwrap();

    describe(&opened, opened.made_admin_token.as_ref().unwrap().expose()).await.unwrap();
}

#[tokio::test]
async fn a_new_admin_token_takes_the_place_of_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(config(folder.path())).await.unwrap();
    describe(&opened, ADMIN_TOKEN).await.unwrap();
    drop(opened);
    let other = "another-admin-token-for-the-tests-alone";
    let told = || Config { admin_token: Some(Secret::new(other)), ..config(folder.path()) };

    let opened = reopen(told).await.unwrap();

    describe(&opened, other).await.unwrap();
    refused(describe(&opened, ADMIN_TOKEN).await, Reason::Unauthenticated);
}

#[tokio::test]
async fn the_first_organization_is_made_once() {
    let desk = Desk::open_empty()
        .await
        .restart(|config| config.first_organization = Some(first("my-organization")))
        .await;
    let desk = desk.restart(|config| config.first_organization = Some(first("my-organization"))).await;
    let request = desk.signed(v1::ListOrganizationsRequest { page: None });
    let listed = desk.administration().list_organizations(request).await.unwrap().into_inner();
    assert_eq!((listed.total, listed.organizations[0].slug.as_str()), (1, "my-organization"));
    assert_eq!(desk.events("my-organization").await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let with = |change: fn(&mut Config)| {
        let folder = folder.path();
        move || {
            let mut config = config(folder);
            change(&mut config);
            config
        }
    };
    let bad: [fn(&mut Config); 5] = [
        |config| config.admin_token = Some(Secret::new("too-short-canary")),
        |config| config.admin_token = Some(Secret::new("canary ".repeat(10))),
        |config| config.edge_key = Secret::new(""),
        |config| config.first_organization = Some(first("No Slug")),
        |config| config.first_organization.insert(first("a")).upstream_url = "upstream".to_owned(),
    ];
    for change in bad {
        let Err(error) = reopen(with(change)).await else { panic!("expected a refusal") };
        assert_eq!(error.exit_code(), 64, "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    let _opened = reopen(|| config(folder.path())).await.unwrap();
    let Err(error) = open(config(folder.path())).await else { panic!("expected a refusal") };
    assert!(matches!(&error, OpenError::Store(registry::store::OpenError::InUse { .. })), "{error}");
    assert_eq!(error.exit_code(), 78);
}

#[tokio::test]
async fn what_is_told_is_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { first_organization: Some(first("a")), ..config(folder.path()) };
    let printed = format!("{config:?}");
    for secret in [ADMIN_TOKEN, EDGE_KEY, "canary-credential"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
