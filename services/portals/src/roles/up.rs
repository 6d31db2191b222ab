//! `portals up`: registry, executor and edge in one process, joined in memory.

use super::{Process, edge, executor, follow_readiness, registry};
use crate::{
    cli::serve,
    demo,
    exit::Failure,
    host::{
        Station,
        connection::{Peers, Room},
        grpc,
    },
    ops::Readiness,
};
use model::{Bearer, BearerKind, Secret};
use proto::{Execute, channel};
use std::sync::Arc;
use tonic::service::Routes;

/// Runs everything until a signal.
pub(crate) fn run(mut options: serve::Up) -> Result<(), Failure> {
    let folder = if options.demo { demo::prepare(&mut options.state)? } else { None };
    let token = if options.demo { Some(demo::operators_token(&mut options.state)?) } else { None };
    let outbound = executor::Outbound::read(&options.outbound)?;
    let edge_key = Secret::new(Bearer::generate(BearerKind::AccessToken).expose());
    let state = options.state;
    let (config, keyring) = registry::config(state, options.secret_key, options.edge_key, Some(edge_key))?;
    let edge_key = config.edge_key.clone();
    let outbound = outbound.with(keyring.clone());
    let demo = options.demo;
    let done = super::run(&options.process, |process| async move {
        let registry = registry::open((config, keyring)).await?;
        let executor = executor::open(outbound)?;
        let bound = process.bind(&crate::config::Listen::Tcp(options.public.listen))?;
        let url = edge::url_of(&bound);
        let way: Arc<dyn Execute> = Arc::new(executor.clone());
        let routes = registry::routes(&registry);
        let edge_config = edge::config(options.public, &bound, edge_key);
        let edge = ::edge::open(edge_config, channel::local(routes.clone()), way);
        let checks = vec![
            ("registry", registry::ready(&registry)),
            ("executor", executor::ready(&executor)),
            ("edge", edge::ready(&edge)),
        ];
        let readiness = Readiness::new(checks, process.shutdown.clone());
        let stations = vec![
            edge::station(bound, &edge),
            internal(
                &process,
                "registry",
                &options.registry_listen.registry_listen,
                routes,
                registry::SERVICES,
                &readiness,
            )?,
            internal(
                &process,
                "executor",
                &options.executor_listen.executor_listen,
                Routes::new(executor.service()),
                executor::SERVICES,
                &readiness,
            )?,
        ];
        edge::watch(&edge, process.shutdown.clone());
        let meanwhile = {
            let readiness = readiness.clone();
            async move {
                match token {
                    Some(token) if demo => demo::show(url, token, readiness).await,
                    _ => Ok(()),
                }
            }
        };
        let served = process.serve(stations, readiness, meanwhile).await;
        registry.close().await;
        served
    });
    if let Some(folder) = folder {
        // What a demo leaves in the temporary folder of the system is the system's to remove.
        let _left = folder.close();
    }
    done
}

/// The gRPC of a room, for callers inside the network.
fn internal(
    process: &Process,
    name: &'static str,
    listen: &crate::config::Listen,
    routes: Routes,
    services: &'static [&'static str],
    readiness: &Readiness,
) -> Result<Station, Failure> {
    let (routes, reporter) = grpc::with_health_and_reflection(routes)?;
    tokio::spawn(follow_readiness(reporter, services, readiness.clone()));
    Ok(Station {
        name,
        bound: process.bind(listen)?,
        peers: Peers::Internal,
        room: Arc::new(move || Room::Routes(routes.clone().into_axum_router())),
    })
}
