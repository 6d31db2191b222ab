//! `portals registry`: the state, over gRPC.

use super::{Process, check, follow_readiness};
use crate::{
    cli::serve,
    config::secret,
    exit::{self, Failure},
    host::{
        Station,
        connection::{Peers, Room},
        grpc,
    },
    ops::Readiness,
};
use model::{Secret, fault::Chain, key::Keyring};
use registry::{FirstOrganization, OpenError, Registry};
use std::{path::PathBuf, sync::Arc};
use tonic::service::Routes;

/// The gRPC services of a registry.
pub(crate) const SERVICES: &[&str] = &[
    "portals.registry.v1.RegistryService",
    "portals.registry.v1.AdministrationService",
    "portals.registry.v1.MembershipService",
    "portals.registry.v1.CodeService",
    "portals.registry.v1.SignInService",
];
const DATA_DIR: &str = "./data";

/// Runs a registry until a signal.
pub(crate) fn run(options: serve::Registry) -> Result<(), Failure> {
    let config = config(options.state, options.secret_key, options.edge_key, None)?;
    super::run(&options.process, |process| async move {
        let registry = open(config).await?;
        let routes = routes(&registry);
        let readiness = Readiness::new(vec![("registry", ready(&registry))], process.shutdown.clone());
        let (routes, reporter) = grpc::with_health_and_reflection(routes)?;
        tokio::spawn(follow_readiness(reporter, SERVICES, readiness.clone()));
        let station = Station {
            name: "registry",
            bound: process.bind(&options.registry_listen.registry_listen)?,
            peers: Peers::Internal,
            room: Arc::new(move || Room::Routes(routes.clone().into_axum_router())),
        };
        let closing = close_at_shutdown(&registry, &process);
        let served = process.serve(vec![station], readiness, closing).await;
        registry.close().await;
        served
    })
}

/// The services of a registry.
pub(crate) fn routes(registry: &Registry) -> Routes {
    Routes::new(registry.registry_service())
        .add_service(registry.administration_service())
        .add_service(registry.membership_service())
        .add_service(registry.code_service())
        .add_service(registry.sign_in_service())
}

/// Whether the registry can serve.
pub(crate) fn ready(registry: &Registry) -> crate::ops::Check {
    check(registry, |registry| async move { registry.ready().await.map(|()| remark(registry.unverified())) })
}

/// What is to be said of a registry that serves before it has verified all that it stores.
fn remark(unverified: u64) -> Option<String> {
    (unverified > 0).then(|| format!("{unverified} stored records have yet to be verified"))
}

/// Closes the registry when the shutdown begins: watches would keep their connections open for ever.
fn close_at_shutdown(
    registry: &Registry,
    process: &Process,
) -> impl Future<Output = Result<(), Failure>> + use<> {
    let (registry, shutdown) = (registry.clone(), process.shutdown.clone());
    let closing = tokio::spawn(async move {
        shutdown.begun().await;
        registry.close().await;
    });
    async move { closing.await.map_err(|error| Failure::internal(format!("closing the registry: {error}"))) }
}

/// What the flags say about the registry; `edge_key` is one that was made for this process.
pub(crate) fn config(
    state: serve::State,
    key: serve::SecretKey,
    edge_key: serve::EdgeKey,
    made_edge_key: Option<Secret>,
) -> Result<(registry::Config, Keyring), Failure> {
    let data_dir = state.data_dir.unwrap_or_else(|| PathBuf::from(DATA_DIR));
    let given = secret::read("edge-key", edge_key.edge_key, edge_key.edge_key_file)?;
    // With a key that is made anew at each start, no edge of before can come again.
    let (edge_key, sole_edge) = match (given, made_edge_key) {
        (Some(given), _) => (secret::operators("edge-key", given)?, false),
        (None, Some(made)) => (made, true),
        (None, None) => return Err(no_edge_key()),
    };
    let admin_token = secret::read("admin-token", state.admin_token, state.admin_token_file)?
        .map(|token| secret::operators("admin-token", token))
        .transpose()?;
    let token = state.upstream_token;
    let token = secret::read("upstream-token", token.upstream_token, token.upstream_token_file)?;
    if let Some(token) = &token {
        registry::check_upstream_token(token.expose())
            .map_err(|wrong| Failure::usage(format!("--upstream-token {wrong}")))?;
    }
    let first_organization = match (state.organization, state.upstream_url) {
        (Some(slug), Some(upstream_url)) => {
            Some(FirstOrganization { slug: slug.to_string(), upstream_url, upstream_token: token })
        }
        (None, None) if token.is_none() => None,
        _ => {
            return Err(Failure::usage(
                "--organization and --upstream-url go together, --upstream-token with both",
            ));
        }
    };
    let issuers = super::issuers::asking(state.issuer_ca.as_deref())?;
    let openid = openid(state.openid)?;
    // Last: what is made here must not be made for a configuration that is refused.
    let keyring = match secret::read("secret-key", key.secret_key, key.secret_key_file)? {
        Some(given) => secret::keyring(&given)?,
        None => secret::keyring_in(&data_dir)?,
    };
    let config = registry::Config {
        data_dir,
        keyring: keyring.clone(),
        edge_key,
        admin_token,
        first_organization,
        sole_edge,
        min_free_bytes: u64::from(state.min_free_mib) << 20,
        issuers,
        openid,
    };
    Ok((config, keyring))
}

/// The provider that signs people in, if one is told.
fn openid(told: serve::OpenId) -> Result<Option<registry::OpenId>, Failure> {
    let client_secret =
        secret::read("openid-client-secret", told.openid_client_secret, told.openid_client_secret_file)?;
    match (told.openid_issuer, told.openid_client_id) {
        (Some(issuer), Some(client_id)) => {
            registry::check_issuer(&issuer)
                .map_err(|wrong| Failure::usage(format!("--openid-issuer {wrong}")))?;
            Ok(Some(registry::OpenId { issuer, client_id, client_secret }))
        }
        (None, None) if client_secret.is_none() => Ok(None),
        _ => Err(Failure::usage(
            "--openid-issuer and --openid-client-id go together, --openid-client-secret with both",
        )),
    }
}

/// An edge and a registry that are apart must be told who may watch.
pub(crate) fn no_edge_key() -> Failure {
    Failure::usage(
        "--edge-key is missing: edges and registry must be given the same (PORTALS_EDGE_KEY, or a file)",
    )
}

/// Opens the registry and prints the operator's token if this was the first start.
pub(crate) async fn open((config, _): (registry::Config, Keyring)) -> Result<Registry, Failure> {
    let opened = registry::open(config).await.map_err(|error| refused(&error))?;
    if let Some(token) = &opened.made_admin_token {
        exit::print(&format!(
            "\nThe operator's API access token. It is shown this once; keep it:\n\n    {}\n\n",
            token.expose()
        ));
    }
    Ok(opened.registry)
}

fn refused(error: &OpenError) -> Failure {
    Failure::with_code(error.exit_code(), Chain(error).to_string())
}
