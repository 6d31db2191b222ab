//! A connection: name, TCP, proxy, TLS, all within one time limit.

use super::proxy::Proxy;
use futures_util::future::BoxFuture;
use http::{Uri, uri::Scheme};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector, proxy::Tunnel},
    rt::TokioIo,
};
use std::{
    error::Error,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};
use tower::Service;

type Cause = Box<dyn Error + Send + Sync>;
/// To the host itself or to the proxy, which may be reached over TLS too.
type Hop = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Connects to a host within a time limit.
#[derive(Clone)]
pub(super) struct Connector {
    secure: HttpsConnector<Router>,
    limit: Duration,
}

/// Connects straight or through a proxy.
#[derive(Clone)]
pub(super) struct Router {
    direct: HttpConnector,
    to_proxy: HttpsConnector<HttpConnector>,
    proxy: Proxy,
}

/// A stream to the host, or to a proxy that is told the whole URI.
pub(super) struct Route {
    hop: Hop,
    whole_uri: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("no connection within {} ms", .0.as_millis())]
struct ConnectTimeout(Duration);

impl Connector {
    pub(super) fn new(tls: rustls::ClientConfig, proxy: Proxy, limit: Duration) -> Self {
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        direct.set_nodelay(true);
        direct.set_connect_timeout(Some(limit));
        direct.set_keepalive(Some(Duration::from_secs(60)));
        let to_proxy = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(direct.clone());
        let secure = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(Router { direct, to_proxy, proxy });
        Self { secure, limit }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Route>;
    type Error = Cause;
    type Future = BoxFuture<'static, Result<Self::Response, Cause>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        self.secure.poll_ready(context)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let (connecting, limit) = (self.secure.call(destination), self.limit);
        Box::pin(async move { timeout(limit, connecting).await.map_err(|_| ConnectTimeout(limit))? })
    }
}

impl Service<Uri> for Router {
    type Response = Route;
    type Error = Cause;
    type Future = BoxFuture<'static, Result<Route, Cause>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        self.direct.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let Some(proxy) = self.proxy.intercept(&destination) else {
            let connecting = self.direct.call(destination);
            return Box::pin(async move {
                Ok(Route { hop: MaybeHttpsStream::Http(connecting.await?), whole_uri: false })
            });
        };
        if destination.scheme() == Some(&Scheme::HTTP) {
            let connecting = self.to_proxy.call(proxy.uri().clone());
            return Box::pin(async move { Ok(Route { hop: connecting.await?, whole_uri: true }) });
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.to_proxy.clone());
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let connecting = tunnel.call(destination);
        Box::pin(async move { Ok(Route { hop: connecting.await?, whole_uri: false }) })
    }
}

impl Connection for Route {
    fn connected(&self) -> Connected {
        self.hop.connected().proxy(self.whole_uri)
    }
}

impl Read for Route {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.hop).poll_read(context, buffer)
    }
}

impl Write for Route {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.hop).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.hop).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.hop).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.hop.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.hop).poll_write_vectored(context, slices)
    }
}
