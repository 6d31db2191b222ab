//! Flags of the commands that serve.
//!
//! Groups of flags are shared, so that one name means one thing in every role.

use super::given::{self, Given};
use crate::config::{self, Endpoint, Listen, Sled};
use clap::{Args, ValueEnum};
use model::{Secret, address::TrustedProxies};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// How the log is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What every process has.
#[derive(Args, Debug)]
pub(crate) struct Process {
    /// Where health, readiness and metrics are served
    #[arg(long, env = "PORTALS_OPS_LISTEN", default_value = "127.0.0.1:9090", value_name = "ADDRESS:PORT", value_parser = config::tcp_listen)]
    pub(crate) ops_listen: SocketAddr,
    /// What is logged to stderr: a level, or directives such as `info,edge=debug`; a bare level below info concerns our own events only
    #[arg(long, env = "PORTALS_LOG", default_value = "info", value_name = "FILTER", value_parser = crate::logging::filter)]
    pub(crate) log: String,
    /// How the log is written
    #[arg(long, env = "PORTALS_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
    /// Threads that serve, each with listeners of its own [default: one per core]
    #[arg(long, env = "PORTALS_THREADS", value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
    /// How long calls in flight may go on after SIGTERM
    #[arg(long, env = "PORTALS_DRAIN_TIMEOUT", default_value = "30s", value_name = "TIME", value_parser = config::span)]
    pub(crate) drain_timeout: Duration,
    /// The most connections of a process; more wait to be accepted
    #[arg(long, env = "PORTALS_MAX_CONNECTIONS", default_value = "10000", value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections: u32,
    /// The most connections from one address, 0 for no limit of its own; more are closed at once
    #[arg(long, env = "PORTALS_MAX_CONNECTIONS_PER_ADDRESS", default_value = "0", value_name = "COUNT")]
    pub(crate) max_connections_per_address: u32,
}

/// The public side.
#[derive(Args, Debug)]
pub(crate) struct Public {
    /// Where public HTTP is served
    #[arg(long, env = "PORTALS_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT", value_parser = config::tcp_listen)]
    pub(crate) listen: SocketAddr,
    /// What URLs in answers begin with [default: from --listen]
    #[arg(long, env = "PORTALS_PUBLIC_URL", value_name = "URL", value_parser = config::base_url)]
    pub(crate) public_url: Option<String>,
    /// Whose X-Forwarded-For or Forwarded counts: addresses or CIDR ranges separated by commas or spaces [default: none]
    #[arg(long, env = "PORTALS_TRUSTED_PROXIES", value_name = "RANGES", value_parser = config::trusted_proxies)]
    pub(crate) trusted_proxies: Option<TrustedProxies>,
    /// How long grants are used that the registry cannot confirm; 0 puts revocation above availability
    #[arg(long, env = "PORTALS_MAX_STALENESS", default_value = "60s", value_name = "TIME", value_parser = config::span)]
    pub(crate) max_staleness: Duration,
    /// How long the body of a request may take to arrive
    #[arg(long, env = "PORTALS_BODY_TIMEOUT", default_value = "30s", value_name = "TIME", value_parser = config::limit)]
    pub(crate) body_timeout: Duration,
    /// The most calls in flight, of portals and of the management; more are answered OVERLOADED
    #[arg(long, env = "PORTALS_MAX_CALLS", default_value = "4096", value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_calls: u32,
    /// The most requests of one access token to the management in a minute, 0 for no limit; an address has as many with unknown tokens
    #[arg(long, env = "PORTALS_REST_RATE_LIMIT", default_value = "600", value_name = "COUNT", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) rest_rate_limit: u32,
}

/// The key that registry and executor share.
#[derive(Args, Debug)]
pub(crate) struct SecretKey {
    /// 32 bytes in base64, several separated by commas: the first seals and signs, all open and verify [default: made in --data-dir, where there is one]
    #[arg(long, env = "PORTALS_SECRET_KEY", hide_env_values = true, value_name = "KEYS", value_parser = given::secret())]
    pub(crate) secret_key: Option<Given<Secret>>,
    /// A file with the secret key
    #[arg(long, env = "PORTALS_SECRET_KEY_FILE", value_name = "FILE", value_parser = given::file())]
    pub(crate) secret_key_file: Option<Given<PathBuf>>,
}

/// The key that edges and registries share.
#[derive(Args, Debug)]
pub(crate) struct EdgeKey {
    /// Who may watch the registry: 32 to 256 visible ASCII characters, the same for edges and registry
    #[arg(long, env = "PORTALS_EDGE_KEY", hide_env_values = true, value_name = "KEY", value_parser = given::secret())]
    pub(crate) edge_key: Option<Given<Secret>>,
    /// A file with the edge key
    #[arg(long, env = "PORTALS_EDGE_KEY_FILE", value_name = "FILE", value_parser = given::file())]
    pub(crate) edge_key_file: Option<Given<PathBuf>>,
}

/// The state, and who manages it.
#[derive(Args, Debug)]
pub(crate) struct State {
    /// Where the store lies, and the generated secret key (mode 0600) [default: ./data; for `up --demo` a temporary directory]
    #[arg(long, env = "PORTALS_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Which store
    #[arg(long, env = "PORTALS_STORE", default_value = "sled", value_name = "STORE")]
    pub(crate) store: Sled,
    /// The store takes no more writes when its volume has fewer MiB free
    #[arg(long, env = "PORTALS_MIN_FREE_MIB", default_value = "256", value_name = "MIB", value_parser = clap::value_parser!(u32))]
    pub(crate) min_free_mib: u32,
    /// The operator's API access token: 32 to 256 visible ASCII characters [default: made and printed once at the first start]
    #[arg(long, env = "PORTALS_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = given::secret())]
    pub(crate) admin_token: Option<Given<Secret>>,
    /// A file with the operator's token
    #[arg(long, env = "PORTALS_ADMIN_TOKEN_FILE", value_name = "FILE", value_parser = given::file())]
    pub(crate) admin_token_file: Option<Given<PathBuf>>,
    /// Creates this organization at start if it is not there
    #[arg(long, env = "PORTALS_ORGANIZATION", value_name = "SLUG", requires = "upstream_url")]
    pub(crate) organization: Option<model::Slug>,
    /// The GraphQL API of that organization
    #[arg(long, env = "PORTALS_UPSTREAM_URL", value_name = "URL", value_parser = config::upstream_url)]
    pub(crate) upstream_url: Option<String>,
    #[command(flatten)]
    pub(crate) upstream_token: UpstreamToken,
    /// A PEM file with certificate authorities to trust besides the system's, when issuers of identities are asked for their keys
    #[arg(long, env = "PORTALS_ISSUER_CA", value_name = "FILE")]
    pub(crate) issuer_ca: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) openid: OpenId,
}

/// The OpenID Connect provider that signs people in.
#[derive(Args, Clone, Debug)]
pub(crate) struct OpenId {
    /// The OpenID Connect provider that signs people in, letter for letter as its tokens name it
    #[arg(long, env = "PORTALS_OPENID_ISSUER", value_name = "URL")]
    pub(crate) openid_issuer: Option<String>,
    /// As whom this house is known there; its redirect URI there is the public URL and /sign-in/callback
    #[arg(long, env = "PORTALS_OPENID_CLIENT_ID", value_name = "ID")]
    pub(crate) openid_client_id: Option<String>,
    /// How it proves that [default: it is a public client]
    #[arg(long, env = "PORTALS_OPENID_CLIENT_SECRET", hide_env_values = true, value_name = "SECRET", value_parser = given::secret())]
    pub(crate) openid_client_secret: Option<Given<Secret>>,
    /// A file with that secret
    #[arg(long, env = "PORTALS_OPENID_CLIENT_SECRET_FILE", value_name = "FILE", value_parser = given::file())]
    pub(crate) openid_client_secret_file: Option<Given<PathBuf>>,
}

/// A credential for an upstream.
#[derive(Args, Clone, Debug)]
pub(crate) struct UpstreamToken {
    /// What the upstream is called with: `Authorization: Bearer …`
    #[arg(long, env = "PORTALS_UPSTREAM_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = given::secret())]
    pub(crate) upstream_token: Option<Given<Secret>>,
    /// A file with the upstream's token
    #[arg(long, env = "PORTALS_UPSTREAM_TOKEN_FILE", value_name = "FILE", value_parser = given::file())]
    pub(crate) upstream_token_file: Option<Given<PathBuf>>,
}

/// The way to upstreams.
#[derive(Args, Debug)]
pub(crate) struct Outbound {
    /// A PEM file with certificate authorities to trust besides the system's
    #[arg(long, env = "PORTALS_UPSTREAM_CA", value_name = "FILE")]
    pub(crate) upstream_ca: Option<PathBuf>,
    /// The largest answer of an upstream in MiB, decompressed
    #[arg(long, env = "PORTALS_MAX_RESPONSE_MIB", default_value = "32", value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) max_response_mib: u32,
    /// The most calls in flight to one upstream
    #[arg(long, env = "PORTALS_MAX_CALLS_PER_UPSTREAM", value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) max_calls_per_upstream: Option<u32>,
}

/// Where the registry's gRPC is served.
#[derive(Args, Debug)]
pub(crate) struct RegistryListen {
    /// Where the registry's gRPC is served, or unix:/path
    #[arg(
        long,
        env = "PORTALS_REGISTRY_LISTEN",
        default_value = "127.0.0.1:50051",
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) registry_listen: Listen,
}

/// Where the executor's gRPC is served.
#[derive(Args, Debug)]
pub(crate) struct ExecutorListen {
    /// Where the executor's gRPC is served, or unix:/path
    #[arg(
        long,
        env = "PORTALS_EXECUTOR_LISTEN",
        default_value = "127.0.0.1:50052",
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) executor_listen: Listen,
}

/// `portals up`.
#[derive(Args, Debug)]
pub(crate) struct Up {
    /// Starts a demo upstream too, creates the documentation's portals and prints curl commands that call them
    #[arg(long, env = "PORTALS_DEMO", value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) demo: bool,
    #[command(flatten)]
    pub(crate) public: Public,
    #[command(flatten)]
    pub(crate) process: Process,
    #[command(flatten)]
    pub(crate) state: State,
    #[command(flatten)]
    pub(crate) secret_key: SecretKey,
    #[command(flatten)]
    pub(crate) edge_key: EdgeKey,
    #[command(flatten)]
    pub(crate) outbound: Outbound,
    #[command(flatten)]
    pub(crate) registry_listen: RegistryListen,
    #[command(flatten)]
    pub(crate) executor_listen: ExecutorListen,
}

/// `portals edge`.
#[derive(Args, Debug)]
pub(crate) struct Edge {
    /// Where registries are: http://HOST:PORT or unix:/path, several separated by commas
    #[arg(long, env = "PORTALS_REGISTRY", value_name = "URL", value_delimiter = ',', required = true)]
    pub(crate) registry: Vec<Endpoint>,
    /// Where executors are: http://HOST:PORT or unix:/path, several separated by commas
    #[arg(long, env = "PORTALS_EXECUTOR", value_name = "URL", value_delimiter = ',', required = true)]
    pub(crate) executor: Vec<Endpoint>,
    #[command(flatten)]
    pub(crate) edge_key: EdgeKey,
    #[command(flatten)]
    pub(crate) public: Public,
    #[command(flatten)]
    pub(crate) process: Process,
}

/// `portals registry`.
#[derive(Args, Debug)]
pub(crate) struct Registry {
    #[command(flatten)]
    pub(crate) registry_listen: RegistryListen,
    #[command(flatten)]
    pub(crate) edge_key: EdgeKey,
    #[command(flatten)]
    pub(crate) secret_key: SecretKey,
    #[command(flatten)]
    pub(crate) state: State,
    #[command(flatten)]
    pub(crate) process: Process,
}

/// `portals executor`.
#[derive(Args, Debug)]
pub(crate) struct Executor {
    #[command(flatten)]
    pub(crate) executor_listen: ExecutorListen,
    #[command(flatten)]
    pub(crate) secret_key: SecretKey,
    #[command(flatten)]
    pub(crate) outbound: Outbound,
    #[command(flatten)]
    pub(crate) process: Process,
}

/// `portals demo-upstream`.
#[derive(Args, Debug)]
pub(crate) struct DemoUpstream {
    /// Where the API is served, at /graphql
    #[arg(long, env = "PORTALS_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS:PORT", value_parser = config::tcp_listen)]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) upstream_token: UpstreamToken,
    #[command(flatten)]
    pub(crate) process: Process,
}
