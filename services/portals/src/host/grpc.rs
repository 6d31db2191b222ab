//! gRPC services beside health and reflection, and the way to those of other processes.

use super::quiet::Quiet;
use crate::{config::Endpoint, exit::Failure};
use hyper_util::rt::TokioIo;
use std::{path::PathBuf, time::Duration};
use tokio::net::UnixStream;
use tonic::{
    service::Routes,
    transport::{self, Channel},
};
use tonic_health::{ServingStatus, server::HealthReporter};

/// How long connecting may take before another is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a silent peer is asked, and when it counts as dead: it is left within three seconds at most.
const PING: Duration = Duration::from_secs(1);
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes that may be under way on one stream.
const STREAM_WINDOW: u32 = 128 << 10;
/// Bytes that may be under way on a session: as many answers as wait at its other end.
const SESSION_WINDOW: u32 = 4 << 20;
/// Bytes of a session's frame: an answer that travels in it is one, written and read at once.
const SESSION_FRAME: u32 = 128 << 10;
/// Bytes that may be under way on one connection: so many that the most large answers that are fetched at a time,
/// with callers that read none of them, leave room for the calls beside them.
const CONNECTION_WINDOW: u32 = 40 << 20;

/// Bytes of header fields that are taken of an answer: a refusal has all that it says there, twice, and an answer with more
/// would break a connection that many calls share.
const MAX_HEADERS: u32 = 256 << 10;

/// Adds `grpc.health.v1` and server reflection to `routes`.
///
/// The reporter says how `services` (and the process as a whole, the empty name) are.
pub(crate) fn with_health_and_reflection(routes: Routes) -> Result<(Routes, HealthReporter), Failure> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let cannot = |error| Failure::internal(format!("the protos cannot be described: {error}"));
    let reflection = described().build_v1().map_err(cannot)?;
    // The stock client of Python, among others, asks for nothing newer.
    let reflection_before_v1 = described().build_v1alpha().map_err(cannot)?;
    let routes = routes.add_service(health).add_service(reflection).add_service(reflection_before_v1);
    Ok((routes, reporter))
}

/// Says whether `services` and the process as a whole can serve.
pub(crate) async fn report(reporter: &HealthReporter, services: &[&str], ready: bool) {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in services.iter().chain(&[""]) {
        reporter.set_service_status(*service, status).await;
    }
}

/// Refuses what cannot be connected to.
pub(crate) fn check(endpoint: &Endpoint) -> Result<(), Failure> {
    settings(endpoint).map(drop)
}

/// A way to the service at `endpoint`, connected when it is first needed and again whenever it breaks.
pub(crate) fn connect(endpoint: &Endpoint) -> Result<Channel, Failure> {
    connect_with(endpoint, settings(endpoint)?)
}

/// The same for one long stream, whose answers are read as they come.
pub(crate) fn connect_session(endpoint: &Endpoint) -> Result<Channel, Failure> {
    let roomy = settings(endpoint)?
        .initial_stream_window_size(SESSION_WINDOW)
        .initial_connection_window_size(SESSION_WINDOW)
        .max_frame_size(SESSION_FRAME);
    connect_with(endpoint, roomy)
}

fn connect_with(endpoint: &Endpoint, settings: transport::Endpoint) -> Result<Channel, Failure> {
    let Some(path) = endpoint.as_str().strip_prefix("unix:").map(PathBuf::from) else {
        return Ok(settings.connect_lazy());
    };
    Ok(settings.connect_with_connector_lazy(tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await?.into_std().and_then(Quiet::new).map(TokioIo::new) }
    })))
}

/// A way to whichever of `endpoints` can be reached.
pub(crate) fn connect_any(endpoints: &[Endpoint]) -> Result<Channel, Failure> {
    match endpoints {
        [one] => connect(one),
        _ => {
            let all = endpoints.iter().map(settings).collect::<Result<Vec<_>, _>>()?;
            Ok(Channel::balance_list(all.into_iter()))
        }
    }
}

fn settings(endpoint: &Endpoint) -> Result<transport::Endpoint, Failure> {
    let endpoint = transport::Endpoint::from_shared(endpoint.as_str().to_owned())
        .map_err(|error| Failure::usage(format!("`{}`: {error}", endpoint.as_str())))?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(MAX_HEADERS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_nobody_reads_leave_room_for_the_calls_beside_them() {
        let fetches = u32::try_from(edge::session::Config::default().max_fetches).unwrap();
        assert!(CONNECTION_WINDOW >= STREAM_WINDOW * (fetches + 16));
    }
}
