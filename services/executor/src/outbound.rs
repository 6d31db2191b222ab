//! The HTTP client: TLS with the system's roots, HTTP/1.1 and HTTP/2, proxies. It knows nothing of GraphQL.
//!
//! It follows no redirects and retries nothing that may have been sent: a request is sent again only where the
//! pooled connection that it was meant for had closed before its first byte was written.

mod connect;
mod proxy;

use bytes::Bytes;
use connect::Connector;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use rustls_pki_types::CertificateDer;
use std::{error::Error, sync::Arc, time::Duration};

pub use proxy::{InvalidProxy, Proxy};

const POOL_IDLE: Duration = Duration::from_secs(90);
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(10);
const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 128;
/// Bytes of one answer that may be under way. An answer that its caller does not read keeps them, and must leave
/// the connection's others their own: the connection's window is as large as those of all its streams.
const HTTP2_STREAM_WINDOW: u32 = 512 << 10;
/// The largest window that HTTP/2 has.
const HTTP2_LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// What a client is made of.
#[derive(Clone)]
pub struct Config {
    /// Authorities besides the system's.
    pub roots: Vec<CertificateDer<'static>>,
    /// The way where there is no direct one.
    pub proxy: Proxy,
    /// How long a connection may take, from the name's resolution to the end of the TLS handshake.
    pub connect_timeout: Duration,
    /// The most calls in flight with one host; so many idle connections are kept to it.
    pub max_calls: usize,
}

impl Default for Config {
    fn default() -> Self {
        let connect_timeout = Duration::from_secs(5);
        Self { roots: Vec::new(), proxy: Proxy::default(), connect_timeout, max_calls: 64 }
    }
}

/// No client can be made of this.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// An authority is no certificate.
    #[error("an additional authority is no certificate")]
    Root(#[source] rustls::Error),
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// No answer came.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection could be had; nothing was sent.
    #[error("no connection")]
    Connect(#[source] legacy::Error),
    /// The connection broke before an answer came; something may have been sent.
    #[error("the connection broke")]
    Broken(#[source] legacy::Error),
}

/// What connections are made with: loaded once, shared by many clients.
#[derive(Clone)]
pub struct Dialer {
    connector: Connector,
    proxy: Proxy,
    max_calls: usize,
}

/// A pool of connections. Clones share it; its connections live on the runtime that first used them.
#[derive(Clone)]
pub struct Client {
    inner: legacy::Client<Connector, Full<Bytes>>,
    proxy: Proxy,
}

impl Dialer {
    /// Loads the roots.
    ///
    /// # Errors
    ///
    /// `ClientError` when one of the additional authorities cannot be used.
    pub fn new(config: &Config) -> Result<Self, ClientError> {
        let tls = tls(&config.roots)?;
        Ok(Self {
            connector: Connector::new(tls, config.proxy.clone(), config.connect_timeout),
            proxy: config.proxy.clone(),
            max_calls: config.max_calls,
        })
    }

    /// A new pool.
    pub fn client(&self) -> Client {
        let inner = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(self.max_calls)
            .http1_max_buf_size(MAX_HEAD_BYTES)
            .http1_max_headers(MAX_HEADERS)
            .http2_max_header_list_size(64 << 10)
            .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW)
            .http2_initial_connection_window_size(self.connection_window())
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE_ANSWER)
            .build(self.connector.clone());
        Client { inner, proxy: self.proxy.clone() }
    }

    fn connection_window(&self) -> u32 {
        let streams = u32::try_from(self.max_calls).unwrap_or(u32::MAX).saturating_add(1);
        HTTP2_STREAM_WINDOW.saturating_mul(streams).min(HTTP2_LARGEST_WINDOW)
    }
}

impl Client {
    /// A client with roots of its own.
    ///
    /// # Errors
    ///
    /// As [`Dialer::new`].
    pub fn new(config: &Config) -> Result<Self, ClientError> {
        Dialer::new(config).map(|dialer| dialer.client())
    }

    /// Sends a request to the absolute URI in it. Whoever calls sets the time limit.
    ///
    /// # Errors
    ///
    /// `SendError` when no head of an answer came.
    pub async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, SendError> {
        if let Some(authorization) = self.proxy.authorization(request.uri()) {
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization);
        }
        self.inner.request(request).await.map_err(|error| {
            if error.is_connect() { SendError::Connect(error) } else { SendError::Broken(error) }
        })
    }
}

fn tls(additional: &[CertificateDer<'static>]) -> Result<rustls::ClientConfig, ClientError> {
    let mut roots = rustls::RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(error = %error as &dyn Error, "a root certificate of the system cannot be read");
    }
    roots.add_parsable_certificates(system.certs);
    for root in additional {
        roots.add(root.clone()).map_err(ClientError::Root)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ClientError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// A header value that no log may show.
pub(crate) fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}
