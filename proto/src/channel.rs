//! One type for every way to reach a gRPC service.

use http::{Request, Response};
use std::{convert::Infallible, error::Error, fmt};
use tonic::body::Body;
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

/// A way to a gRPC service: whoever calls cannot tell a network from the service itself in memory.
pub type Channel = BoxCloneSyncService<Request<Body>, Response<Body>, Unreachable>;

/// Why a service could not be reached.
///
/// A type of its own and not a boxed error: the compiler cannot show that a future is `Send` which turns a boxed
/// error into a boxed error.
#[derive(Debug)]
pub struct Unreachable(Box<dyn Error + Send + Sync>);

impl fmt::Display for Unreachable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the service cannot be reached")
    }
}

impl Error for Unreachable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// Reaches a service over the network.
pub fn remote<S>(channel: S) -> Channel
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(channel.map_err(|error| Unreachable(error.into())))
}

/// Reaches a service of this process without a wire.
pub fn local<S>(service: S) -> Channel
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service.map_err(|never| match never {}))
}
