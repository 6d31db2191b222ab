//! A registry in a temporary folder, and an administrator at its desk.

use bytes::Bytes;
use http::Uri;
use model::{Bearer, BearerKind, Fault, Reason, Secret, fault::Cause, key::Keyring};
use proto::{
    Channel, channel,
    fault::read_status,
    registry::v1::{
        self, administration_service_client::AdministrationServiceClient,
        registry_service_client::RegistryServiceClient,
    },
};
use registry::{Config, Fetch, FirstOrganization, OpenError, Opened, Registry, open};
use std::{future::Future, path::Path, pin::Pin, sync::Arc, time::Duration};
use tempfile::TempDir;
use tonic::{Request, Response, Status};

/// A key of the tests: nothing is sealed to it that anybody keeps.
const SECRET: &str = "cG9ydGFscyBwb3J0YWxzIHBvcnRhbHMgcG9ydGFscyE=";
pub(crate) const ADMIN_TOKEN: &str = "an-admin-token-for-the-tests-alone";
pub(crate) const EDGE_KEY: &str = "an-edge-key-for-the-tests";
/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A registry and its folder.
pub(crate) struct Desk {
    pub(crate) registry: Registry,
    pub(crate) admin: String,
    folder: TempDir,
}

/// Issuers that never answer.
#[derive(Debug)]
pub(crate) struct NoIssuers;

impl Fetch for NoIssuers {
    fn get(&self, _: Uri, _: usize) -> Pin<Box<dyn Future<Output = Result<Bytes, Cause>> + Send + '_>> {
        Box::pin(async { Err("nobody answers".into()) })
    }

    fn post(
        &self,
        uri: Uri,
        _: Option<Secret>,
        _: Secret,
        limit: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, Cause>> + Send + '_>> {
        self.get(uri, limit)
    }
}

pub(crate) fn keyring() -> Keyring {
    Keyring::parse(&Secret::new(SECRET)).unwrap()
}

pub(crate) fn config(folder: &Path) -> Config {
    Config {
        data_dir: folder.to_owned(),
        keyring: keyring(),
        edge_key: Secret::new(EDGE_KEY),
        admin_token: Some(Secret::new(ADMIN_TOKEN)),
        first_organization: None,
        sole_edge: true,
        min_free_bytes: 0,
        issuers: Arc::new(NoIssuers),
        openid: None,
    }
}

/// Opens a registry, once whoever had its folder before has let go of it.
pub(crate) async fn reopen(config: impl Fn() -> Config) -> Result<Opened, OpenError> {
    let again = async {
        loop {
            match open(config()).await {
                Err(OpenError::Store(registry::store::OpenError::InUse { .. })) => {
                    tokio::task::yield_now().await
                }
                opened => return opened,
            }
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("the folder is let go of")
}

impl Desk {
    /// A registry with the organization `acme`.
    pub(crate) async fn open() -> Self {
        let desk = Self::open_empty().await;
        desk.organization("acme").await;
        desk
    }

    pub(crate) async fn open_empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let Opened { registry, .. } = open(config(folder.path())).await.unwrap();
        Self { registry, admin: ADMIN_TOKEN.to_owned(), folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The same folder, opened by a new registry.
    pub(crate) async fn restart(self, change: impl Fn(&mut Config)) -> Self {
        let Self { registry, admin, folder } = self;
        registry.close().await;
        drop(registry);
        let told = || {
            let mut config = config(folder.path());
            change(&mut config);
            config
        };
        let Opened { registry, .. } = reopen(told).await.unwrap();
        Self { registry, admin, folder }
    }

    pub(crate) fn calls(&self) -> RegistryServiceClient<Channel> {
        RegistryServiceClient::new(channel::local(self.registry.registry_service()))
    }

    pub(crate) fn administration(&self) -> AdministrationServiceClient<Channel> {
        AdministrationServiceClient::new(channel::local(self.registry.administration_service()))
    }

    /// A request that carries the administrator's token.
    pub(crate) fn signed<Message>(&self, message: Message) -> Request<Message> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {}", self.admin).parse().unwrap());
        request.metadata_mut().insert("portals-client-address", "192.0.2.7".parse().unwrap());
        request
    }

    pub(crate) async fn organization(&self, slug: &str) -> v1::Organization {
        let request = v1::CreateOrganizationRequest {
            name: slug.to_owned(),
            upstream_url: "http://upstream.example/graphql".to_owned(),
            upstream_token: Some("canary-credential".to_owned()),
            ..Default::default()
        };
        let answer = self.administration().create_organization(self.signed(request)).await.unwrap();
        answer.into_inner().organization.unwrap()
    }

    /// Makes a portal; its token comes with it.
    pub(crate) async fn portal(&self, organization: &str, name: &str) -> (v1::Portal, String) {
        let answer = self.administration().create_portal(self.signed(portal(organization, name))).await;
        let v1::CreatePortalResponse { portal, token } = answer.unwrap().into_inner();
        (portal.unwrap(), token)
    }

    pub(crate) async fn token(&self, organization: &str, portal: &str) -> (v1::PortalToken, String) {
        let request = v1::CreatePortalTokenRequest {
            organization: organization.to_owned(),
            portal: portal.to_owned(),
            ..Default::default()
        };
        let answer = self.administration().create_portal_token(self.signed(request)).await.unwrap();
        let v1::CreatePortalTokenResponse { portal_token, token } = answer.into_inner();
        (portal_token.unwrap(), token)
    }

    pub(crate) async fn revoke(&self, organization: &str, portal: &str, uuid: &str) -> Result<(), Fault> {
        let request = v1::DeletePortalTokenRequest {
            organization: organization.to_owned(),
            portal: portal.to_owned(),
            uuid: uuid.to_owned(),
        };
        fault(self.administration().delete_portal_token(self.signed(request)).await).map(drop)
    }

    pub(crate) async fn secret(&self, organization: &str, portal: &str) -> (v1::PortalSecret, String) {
        let request = v1::CreatePortalSecretRequest {
            organization: organization.to_owned(),
            portal: portal.to_owned(),
            ..Default::default()
        };
        let answer = self.administration().create_portal_secret(self.signed(request)).await.unwrap();
        let v1::CreatePortalSecretResponse { portal_secret, secret } = answer.into_inner();
        (portal_secret.unwrap(), secret)
    }

    pub(crate) async fn revoke_secret(
        &self,
        organization: &str,
        portal: &str,
        uuid: &str,
    ) -> Result<(), Fault> {
        let request = v1::DeletePortalSecretRequest {
            organization: organization.to_owned(),
            portal: portal.to_owned(),
            uuid: uuid.to_owned(),
        };
        fault(self.administration().delete_portal_secret(self.signed(request)).await).map(drop)
    }

    /// Exchanges a secret as somebody at 192.0.2.9 does.
    pub(crate) async fn exchange(
        &self,
        organization: &str,
        portal: &str,
        client_id: &str,
        secret: &str,
    ) -> Result<v1::ExchangeTokenResponse, Fault> {
        self.exchange_from("192.0.2.9", exchange(organization, portal, client_id, secret)).await
    }

    pub(crate) async fn exchange_from(
        &self,
        address: &str,
        request: v1::ExchangeTokenRequest,
    ) -> Result<v1::ExchangeTokenResponse, Fault> {
        let mut request = Request::new(request);
        request.metadata_mut().insert("portals-client-address", address.parse().unwrap());
        fault(self.calls().exchange_token(request).await)
    }

    pub(crate) async fn authorize(
        &self,
        organization: &str,
        portal: &str,
        bearer: &str,
    ) -> Result<v1::AuthorizeResponse, Fault> {
        let request = v1::AuthorizeRequest {
            organization: organization.to_owned(),
            portal: portal.to_owned(),
            bearer: bearer.to_owned(),
            spare_uses: false,
        };
        fault(self.calls().authorize(request).await)
    }

    pub(crate) async fn events(&self, organization: &str) -> Vec<v1::AuditEvent> {
        let page = Some(v1::Page { number: 1, size: 100 });
        let request = v1::ListAuditEventsRequest { organization: organization.to_owned(), page };
        let answer =
            self.administration().list_audit_events(self.signed(request)).await.unwrap().into_inner();
        // The count is read first: what is written beside the calls meanwhile is in the list alone.
        assert!(answer.total <= u64::try_from(answer.events.len()).unwrap());
        answer.events
    }
}

pub(crate) fn portal(organization: &str, name: &str) -> v1::CreatePortalRequest {
    v1::CreatePortalRequest {
        organization: organization.to_owned(),
        name: name.to_owned(),
        query: "query Viewer($id: ID!, $unused: Int) { viewer(id: $id) { name } }".to_owned(),
        ..Default::default()
    }
}

pub(crate) fn exchange(
    organization: &str,
    portal: &str,
    client_id: &str,
    secret: &str,
) -> v1::ExchangeTokenRequest {
    let held = v1::ClientCredentials { client_id: client_id.to_owned(), secret: secret.to_owned() };
    v1::ExchangeTokenRequest {
        organization: organization.to_owned(),
        portal: portal.to_owned(),
        expires_in_minutes: None,
        restrictions: None,
        grant: Some(v1::exchange_token_request::Grant::ClientCredentials(held)),
    }
}

pub(crate) fn first(slug: &str) -> FirstOrganization {
    FirstOrganization {
        slug: slug.to_owned(),
        upstream_url: "http://upstream.example/".to_owned(),
        upstream_token: Some(Secret::new("canary-credential")),
    }
}

/// What a caller makes of an answer.
pub(crate) fn fault<Message>(answer: Result<Response<Message>, Status>) -> Result<Message, Fault> {
    answer.map(Response::into_inner).map_err(|status| read_status(status, Reason::Internal))
}

/// Asserts why a call was refused.
pub(crate) fn refused<Message>(answer: Result<Message, Fault>, reason: Reason) -> String {
    match answer {
        Ok(_) => panic!("expected {reason:?}"),
        Err(fault) => {
            assert_eq!(fault.reason(), reason, "{fault}");
            fault.message().to_owned()
        }
    }
}

pub(crate) fn generated() -> String {
    Bearer::generate(BearerKind::PortalToken).expose().to_owned()
}

pub(crate) fn generated_secret() -> String {
    Bearer::generate(BearerKind::PortalSecret).expose().to_owned()
}
