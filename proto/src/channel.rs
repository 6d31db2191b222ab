//! One type for every way to reach a gRPC service.

use http::{Request, Response};
use std::{convert::Infallible, error::Error};
use tonic::body::Body;
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

/// A way to a gRPC service: whoever calls cannot tell a network from the service itself in memory.
pub type Channel = BoxCloneSyncService<Request<Body>, Response<Body>, Box<dyn Error + Send + Sync>>;

/// Reaches a service over the network.
pub fn remote<S>(channel: S) -> Channel
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(channel.map_err(Into::into))
}

/// Reaches a service of this process without a wire.
pub fn local<S>(service: S) -> Channel
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service.map_err(|never| match never {}))
}
