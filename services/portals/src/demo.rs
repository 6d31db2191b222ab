//! The demo: an upstream to play with, the documentation's portals, and commands that call them.
//!
//! It manages the house as any other client does, over its public HTTP.

mod portals;
pub(crate) mod upstream;

use crate::{
    cli::{given::Given, manage, serve},
    client::{self, api::Api},
    config::{Listen, secret},
    exit::{self, Failure},
    host::{
        Bound, Trigger, accept,
        address::Connections,
        connection::{Peers, Room},
        share::Share,
    },
    ops::Readiness,
};
use model::{Bearer, BearerKind, Secret};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::{self, Instant};

/// How long the house may take to be ready.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(25);
/// Connections of the demo upstream.
const CONNECTIONS: u32 = 1_000;

/// `portals demo`: creates the portals in a house that runs already.
pub(crate) fn run(options: manage::Demo) -> Result<(), Failure> {
    let token = secret::read("admin-token", options.admin_token, options.admin_token_file)?
        .ok_or_else(|| Failure::usage("--admin-token is missing (PORTALS_ADMIN_TOKEN, or a file)"))?;
    let credential = options.upstream_token;
    let credential =
        secret::read("upstream-token", credential.upstream_token, credential.upstream_token_file)?;
    let api = Api::remote(options.url, token)?;
    client::run(async move {
        let calls = portals::create(&api, &options.upstream_url, credential.as_ref()).await?;
        exit::print(&portals::commands(&calls));
        Ok(())
    })
}

/// Gives a demo without a data directory a temporary one.
pub(crate) fn prepare(state: &mut serve::State) -> Result<Option<TempDir>, Failure> {
    if state.data_dir.is_some() {
        return Ok(None);
    }
    let folder = tempfile::Builder::new()
        .prefix("portals-demo-")
        .tempdir()
        .map_err(|error| Failure::system(format!("making a temporary directory: {error}")))?;
    state.data_dir = Some(folder.path().to_owned());
    Ok(Some(folder))
}

/// The operator's token of a demo: the one that was given, or one for this start alone.
pub(crate) fn operators_token(state: &mut serve::State) -> Result<Secret, Failure> {
    let given = secret::read("admin-token", state.admin_token.take(), state.admin_token_file.take())?;
    let token = match given {
        Some(given) => given,
        None => Secret::new(Bearer::generate(BearerKind::AccessToken).expose()),
    };
    state.admin_token = Some(Given::by_flag(token.clone()));
    Ok(token)
}

/// Starts the upstream, creates the portals in this process' house at `url` when it is ready, and prints the calls.
pub(crate) async fn show(url: String, token: Secret, readiness: Readiness) -> Result<(), Failure> {
    let upstream_url = start_upstream()?;
    let deadline = Instant::now() + PATIENCE;
    while let Err(reason) = readiness.ready().await {
        if Instant::now() > deadline {
            return Err(Failure::internal(format!("the demo is not ready: {reason}")));
        }
        time::sleep(LOOK).await;
    }
    let api = Api::local(url.clone(), Some(token.clone()))?;
    let calls = portals::create(&api, &upstream_url, None).await?;
    exit::print(&portals::commands(&calls));
    exit::print(&format!(
        "\nThe operator's token of this demo, for `portals portal list my-organization` and the like:\n\n    \
         export PORTALS_URL={url} PORTALS_TOKEN={}\n\nCtrl-C ends the demo.\n",
        token.expose()
    ));
    Ok(())
}

/// Serves the demo upstream on a free port of the loopback, for as long as the process lives.
fn start_upstream() -> Result<String, Failure> {
    let bound = Bound::bind(&Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))), 1)?;
    let url = format!("http://{}/graphql", bound.address);
    let socket = bound.sockets.into_iter().next();
    let socket = socket.ok_or_else(|| Failure::internal("the demo upstream has no socket"))?;
    let (alive, shutdown) = Trigger::new();
    let router = upstream::router(None);
    tokio::spawn(async move {
        let connections = Connections::new(CONNECTIONS, 0);
        let served =
            accept::serve(socket, Share::alone(), Room::Routes(router), Peers::Public, connections, shutdown)
                .await;
        drop(alive);
        if let Err(error) = served {
            tracing::error!(%error, "the demo upstream failed");
        }
    });
    tracing::info!(service = "demo-upstream", address = url, "listening");
    Ok(url)
}
