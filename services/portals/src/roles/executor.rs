//! `portals executor`: runs what was granted, over gRPC.

use super::{check, follow_readiness};
use crate::{
    cli::serve,
    config::secret,
    exit::Failure,
    host::{
        Station,
        connection::{Peers, Room},
        grpc,
    },
    ops::Readiness,
};
use executor::{Executor, Proxy};
use model::{fault::Chain, key::Keyring};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::{path::Path, sync::Arc};
use tonic::service::Routes;

/// The gRPC services of an executor.
pub(crate) const SERVICES: &[&str] = &["portals.executor.v1.ExecutorService"];

/// No proxy leads to this machine.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// Runs an executor until a signal.
pub(crate) fn run(options: serve::Executor) -> Result<(), Failure> {
    let key = options.secret_key;
    let key = secret::read("secret-key", key.secret_key, key.secret_key_file)?.ok_or_else(|| {
        Failure::usage("--secret-key is missing: an executor must be given the registry's (PORTALS_SECRET_KEY, or a file)")
    })?;
    let config = Outbound::read(&options.outbound)?.with(secret::keyring(&key)?);
    super::run(&options.process, |process| async move {
        let executor = open(config)?;
        let routes = Routes::new(executor.service());
        let readiness = Readiness::new(vec![("executor", ready(&executor))], process.shutdown.clone());
        let (routes, reporter) = grpc::with_health_and_reflection(routes)?;
        tokio::spawn(follow_readiness(reporter, SERVICES, readiness.clone()));
        let station = Station {
            name: "executor",
            bound: process.bind(&options.executor_listen.executor_listen)?,
            peers: Peers::Internal,
            room: Arc::new(move || Room::Routes(routes.clone().into_axum_router())),
        };
        process.serve(vec![station], readiness, std::future::pending()).await
    })
}

/// Whether the executor can serve.
pub(crate) fn ready(executor: &Executor) -> crate::ops::Check {
    check(executor, |executor| async move { executor.ready().await.map(|()| None) })
}

/// What the flags and the proxies of the environment say about the way to upstreams.
pub(crate) struct Outbound {
    proxy: Proxy,
    authorities: Vec<CertificateDer<'static>>,
    max_response_bytes: u64,
    max_calls_per_upstream: Option<usize>,
}

impl Outbound {
    /// Reads the flags, the environment, and the files that they name.
    pub(crate) fn read(options: &serve::Outbound) -> Result<Self, Failure> {
        let authorities = options.upstream_ca.as_deref().map(|path| authorities("upstream-ca", path));
        Ok(Self {
            proxy: proxy()?,
            authorities: authorities.transpose()?.unwrap_or_default(),
            max_response_bytes: u64::from(options.max_response_mib) << 20,
            max_calls_per_upstream: options
                .max_calls_per_upstream
                .map(|calls| usize::try_from(calls).unwrap_or(usize::MAX)),
        })
    }

    /// All that an executor must be told.
    pub(crate) fn with(self, keyring: Keyring) -> executor::Config {
        let mut config = executor::Config::new(keyring);
        config.proxy = self.proxy;
        config.upstream_ca = self.authorities;
        config.max_response_bytes = self.max_response_bytes;
        config.max_calls_per_upstream = self.max_calls_per_upstream.unwrap_or(config.max_calls_per_upstream);
        config
    }
}

/// Opens the executor.
pub(crate) fn open(config: executor::Config) -> Result<Executor, Failure> {
    executor::open(config).map_err(|error| Failure::usage(Chain(&error).to_string()))
}

/// The proxies that the environment names, in upper or lower case.
pub(crate) fn proxy() -> Result<Proxy, Failure> {
    // An empty one says nothing, as elsewhere: it hides no other.
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let read = |name: &str| set(name).or_else(|| set(&name.to_ascii_lowercase())).unwrap_or_default();
    let no_proxy = format!("{LOOPBACK},{}", read("NO_PROXY"));
    Proxy::new(&read("HTTPS_PROXY"), &read("HTTP_PROXY"), &no_proxy)
        .map_err(|error| Failure::usage(format!("HTTPS_PROXY or HTTP_PROXY: {error}")))
}

/// The certificates in a PEM file.
pub(crate) fn authorities(flag: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::usage(format!("--{flag}: reading `{}`: {why}", path.display()))
    };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(none) if none.is_empty() => Err(wrong(&"it holds no certificate")),
        Ok(authorities) => Ok(authorities),
        Err(error) => Err(wrong(&error)),
    }
}
