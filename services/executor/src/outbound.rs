//! The HTTP client: TLS with the system's roots, HTTP/1.1 and HTTP/2, proxies. It knows nothing of GraphQL.
//!
//! It follows no redirects and retries nothing that may have been sent: a request is sent again only where the
//! pooled connection that it was meant for had closed before its first byte was written.

mod connect;
mod pool;
mod proxy;

use bytes::Bytes;
use connect::Connector;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::{
    client::legacy::connect::Connection as _,
    rt::{TokioExecutor, TokioTimer},
};
use model::fault::Cause;
use pool::{Connection, Http1, Pool};
use rustls_pki_types::CertificateDer;
use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};
use tower::ServiceExt;

pub use pool::Body;
pub use proxy::{InvalidProxy, Proxy};

const KEEP_ALIVE: Duration = Duration::from_secs(20);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(10);
const MAX_HEAD_BYTES: usize = 64 << 10;
/// What of a body is read at once over HTTP/1.1, whose reading has the room of a head.
pub(crate) const MAX_CHUNK_BYTES: usize = MAX_HEAD_BYTES;
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
    /// A URI names no host that can be called.
    #[error("the URL names no host")]
    NoHost,
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// No answer came.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection could be had; nothing was sent.
    #[error("no connection")]
    Connect(#[source] Cause),
    /// The connection broke before an answer came; something may have been sent.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
}

/// What connections are made with: loaded once, shared by many clients.
#[derive(Clone)]
pub struct Dialer {
    connector: Connector,
    proxy: Proxy,
    max_calls: usize,
}

/// Calls one host. Clones share its connections, which live on the runtime that first used them.
#[derive(Clone)]
pub struct Client(Arc<Host>);

struct Host {
    /// Scheme and authority.
    origin: Uri,
    name: HeaderValue,
    proxy_authorization: Option<HeaderValue>,
    connector: Connector,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    pool: Arc<Pool>,
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

    /// A client of the host in `uri`.
    ///
    /// # Errors
    ///
    /// `ClientError::NoHost` when there is none.
    pub fn client(&self, uri: &Uri) -> Result<Client, ClientError> {
        let origin = [uri.scheme_str(), uri.authority().map(|authority| authority.as_str())];
        let [Some(scheme), Some(authority)] = origin else { return Err(ClientError::NoHost) };
        let default = match scheme {
            "https" => 443,
            _ => 80,
        };
        let host = uri.host().unwrap_or_default();
        let name = match uri.port_u16().filter(|port| *port != default) {
            Some(port) => HeaderValue::try_from(format!("{host}:{port}")),
            None => HeaderValue::from_str(host),
        };
        let mut http1 = http1::Builder::new();
        http1.max_buf_size(MAX_HEAD_BYTES);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(64 << 10)
            .initial_stream_window_size(HTTP2_STREAM_WINDOW)
            .initial_connection_window_size(self.connection_window())
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_ANSWER);
        Ok(Client(Arc::new(Host {
            origin: format!("{scheme}://{authority}").parse().map_err(|_| ClientError::NoHost)?,
            name: name.map_err(|_| ClientError::NoHost)?,
            proxy_authorization: self.proxy.authorization(uri),
            connector: self.connector.clone(),
            http1,
            http2,
            pool: Pool::new(self.max_calls),
        })))
    }

    fn connection_window(&self) -> u32 {
        let streams = u32::try_from(self.max_calls).unwrap_or(u32::MAX).saturating_add(1);
        HTTP2_STREAM_WINDOW.saturating_mul(streams).min(HTTP2_LARGEST_WINDOW)
    }
}

impl Client {
    /// A client of the host in `uri` with roots of its own.
    ///
    /// # Errors
    ///
    /// As [`Dialer::new`] and [`Dialer::client`].
    pub fn new(config: &Config, uri: &Uri) -> Result<Self, ClientError> {
        Dialer::new(config)?.client(uri)
    }

    /// Sends a request; of its URI, path and query count. Whoever calls sets the time limit.
    ///
    /// # Errors
    ///
    /// `SendError` when no head of an answer came.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, SendError> {
        self.send_at(request, Instant::now()).await
    }

    /// Sends a request; `now` says which connections have been idle for too long.
    ///
    /// No `async fn`, which would keep the request twice.
    pub(crate) fn send_at(
        &self,
        mut request: Request<Full<Bytes>>,
        now: Instant,
    ) -> impl Future<Output = Result<Response<Body>, SendError>> + Send {
        let Self(host) = self;
        async move {
            loop {
                let (mut connection, fresh) = match host.pool.take(now) {
                    Some(connection) => (connection, false),
                    None => (Box::pin(host.connect()).await?, true),
                };
                host.address(&mut request, &connection);
                let sent = match &mut connection {
                    Connection::Http1(http1) => http1.sender.try_send_request(request).await,
                    Connection::Http2(http2) => http2.try_send_request(request).await,
                };
                match sent {
                    Ok(response) => {
                        let lease = connection.into_lease(&host.pool);
                        return Ok(response.map(|incoming| Body::new(incoming, lease)));
                    }
                    Err(mut failed) => match failed.take_message() {
                        // It had closed before the request's first byte was written.
                        Some(unsent) if !fresh => request = unsent,
                        _ => return Err(SendError::Broken(failed.into_error())),
                    },
                }
            }
        }
    }
}

impl Host {
    async fn connect(&self) -> Result<Connection, SendError> {
        let connecting = self.connector.clone().oneshot(self.origin.clone());
        let stream = connecting.await.map_err(SendError::Connect)?;
        let connected = stream.connected();
        if connected.is_negotiated_h2() {
            let (sender, connection) = self.http2.handshake(stream).await.map_err(SendError::Broken)?;
            // How it ends, its requests are told.
            tokio::spawn(async { drop(connection.await) });
            self.pool.share(sender.clone());
            return Ok(Connection::Http2(sender));
        }
        let (sender, connection) = self.http1.handshake(stream).await.map_err(SendError::Broken)?;
        tokio::spawn(async { drop(connection.await) });
        Ok(Connection::Http1(Http1 { sender, proxied: connected.is_proxied() }))
    }

    /// Says where a request goes, as those at the other end of `connection` want to be told.
    fn address(&self, request: &mut Request<Full<Bytes>>, connection: &Connection) {
        match connection {
            Connection::Http2(_) => {
                request.headers_mut().remove(header::HOST);
                *request.uri_mut() = self.absolute(request.uri());
                return;
            }
            Connection::Http1(Http1 { proxied: true, .. }) => {
                *request.uri_mut() = self.absolute(request.uri());
                if let Some(authorization) = &self.proxy_authorization {
                    request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization.clone());
                }
            }
            Connection::Http1(_) if request.uri().authority().is_some() => {
                *request.uri_mut() = relative(request.uri());
            }
            Connection::Http1(_) => {}
        }
        // Whoever has it there already need not make room for it.
        match request.headers_mut().get_mut(header::HOST) {
            Some(name) => name.clone_from(&self.name),
            None => drop(request.headers_mut().insert(header::HOST, self.name.clone())),
        }
    }

    fn absolute(&self, uri: &Uri) -> Uri {
        let mut parts = self.origin.clone().into_parts();
        parts.path_and_query = uri.path_and_query().cloned();
        Uri::from_parts(parts).unwrap_or_else(|_| self.origin.clone())
    }
}

/// Path and query alone.
pub(crate) fn relative(uri: &Uri) -> Uri {
    uri.path_and_query().cloned().map(Uri::from).unwrap_or_default()
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
