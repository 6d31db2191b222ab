//! Values as an operator writes them: what has been parsed here is right.
//!
//! It opens no file and no socket; secrets and the key file have a file of their own.

pub(crate) mod secret;

use http::Uri;
use model::address::TrustedProxies;
use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

/// Where to listen: an address and port, or a Unix socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Listen {
    /// TCP; port 0 takes any free one.
    Tcp(SocketAddr),
    /// A Unix socket at this path.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(PathBuf::from(path))),
            Some(_) => Err("expected unix: and an absolute path"),
            None => text
                .parse()
                .map(Self::Tcp)
                .map_err(|_| "expected ADDRESS:PORT such as 127.0.0.1:50051, or unix:/path"),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// Reads the address of a TCP listener.
pub(crate) fn tcp_listen(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected ADDRESS:PORT such as 127.0.0.1:8080")
}

/// Where a gRPC service is: `http://host:port` or `unix:/path`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Endpoint(String);

impl Endpoint {
    /// The URI as the transport reads it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.starts_with('/') && !path.starts_with("//") {
                true => Ok(Self(text.to_owned())),
                false => Err("expected unix: and an absolute path"),
            };
        }
        let uri: Uri = text.parse().map_err(|_| EXPECTED_ENDPOINT)?;
        let bare = uri.path() == "/" && uri.query().is_none();
        let plain = uri.scheme_str() == Some("http") && !text.contains('@') && uri.port_u16().is_some();
        if bare && plain { Ok(Self(text.trim_end_matches('/').to_owned())) } else { Err(EXPECTED_ENDPOINT) }
    }
}

const EXPECTED_ENDPOINT: &str = "expected http://HOST:PORT or unix:/path";

/// Reads a URL that others are appended to: `http` or `https`, no user, query or fragment, no `/` at its end.
pub(crate) fn base_url(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str =
        "expected a URL such as https://portals.example.com, without query, fragment or user";
    let uri: Uri = text.parse().map_err(|_| EXPECTED)?;
    let web =
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty());
    if !web || uri.query().is_some() || text.contains(['#', '@', '?']) {
        return Err(EXPECTED);
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Reads the URL of a GraphQL API, by the rules of the registry.
pub(crate) fn upstream_url(text: &str) -> Result<String, String> {
    registry::check_upstream_url(text).map(|()| text.to_owned())
}

/// Reads a time span: `30`, `30s`, `500ms`, `5m`, `1h`; at most a day.
pub(crate) fn span(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "expected a time such as 30s, 500ms or 5m, at most 24h";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(EXPECTED)?;
    let number: u64 = number.parse().map_err(|_| EXPECTED)?;
    let ms = match unit {
        "ms" => Some(number),
        "" | "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    ms.filter(|ms| *ms <= 86_400_000).map(Duration::from_millis).ok_or(EXPECTED)
}

/// Reads a time span that is not zero: what nobody could keep to is no limit.
pub(crate) fn limit(text: &str) -> Result<Duration, &'static str> {
    match span(text)? {
        Duration::ZERO => Err("expected a time above 0"),
        limit => Ok(limit),
    }
}

/// Where state lies: there is one way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sled;

impl FromStr for Sled {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "sled" => Ok(Self),
            _ if text.starts_with("etcd") => Err("this build has no etcd; the only store is sled"),
            _ => Err("expected sled"),
        }
    }
}

/// Reads addresses and ranges of proxies, separated by commas or spaces.
pub(crate) fn trusted_proxies(text: &str) -> Result<TrustedProxies, String> {
    TrustedProxies::parse(&text.replace(',', " ")).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units_and_a_limit() {
        for (text, ms) in [("0", 0), ("30", 30_000), ("500ms", 500), ("5m", 300_000), ("24h", 86_400_000)] {
            assert_eq!(span(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "-1", "1.5s", "25h", "1d", "99999999999999999999"] {
            assert!(span(text).is_err(), "{text}");
        }
        assert_eq!(limit("1ms"), Ok(Duration::from_millis(1)));
        assert!(limit("0s").is_err());
    }

    #[test]
    fn an_endpoint_is_a_host_with_a_port_or_a_unix_socket() {
        for text in ["http://registry:50051", "http://[::1]:1/", "unix:/run/portals/registry.sock"] {
            assert!(text.parse::<Endpoint>().is_ok(), "{text}");
        }
        for text in
            ["", "registry:50051", "https://a:1", "http://a", "http://a:1/b", "http://u@a:1", "unix:a"]
        {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_base_url_ends_without_a_slash() {
        assert_eq!(base_url("https://a.example/"), Ok("https://a.example".to_owned()));
        for text in ["", "a.example", "ftp://a", "http://", "http://a?b", "http://a#b", "http://u:p@a"] {
            assert!(base_url(text).is_err(), "{text}");
        }
    }
}
