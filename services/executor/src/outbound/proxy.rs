//! Which way leads to a host: straight, or through a proxy. Environment variables are read elsewhere.

use http::{HeaderValue, Uri, uri::Scheme};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use std::{fmt, sync::Arc};

/// The proxies for HTTPS and for HTTP, and the hosts that are reached without.
#[derive(Clone, Default)]
pub struct Proxy(Option<Arc<Matcher>>);

/// A text that names no proxy.
#[derive(Clone, Copy, Debug, thiserror::Error, Eq, PartialEq)]
#[error("expected the URL of an HTTP proxy, such as http://proxy.example:3128")]
pub struct InvalidProxy;

impl Proxy {
    /// Takes what stands in `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`; empty texts count as nothing.
    ///
    /// # Errors
    ///
    /// `InvalidProxy` for anything but `http://` and `https://` URLs.
    pub fn new(https: &str, http: &str, no_proxy: &str) -> Result<Self, InvalidProxy> {
        if https.is_empty() && http.is_empty() {
            return Ok(Self(None));
        }
        let everywhere = Matcher::builder().https(https).http(http).build();
        for (text, sample) in [(https, "https://upstream.invalid/"), (http, "http://upstream.invalid/")] {
            let sample = Uri::from_static(sample);
            let scheme = everywhere.intercept(&sample).map(|proxy| proxy.uri().scheme().cloned());
            match scheme {
                None if text.is_empty() => {}
                Some(Some(scheme)) if scheme == Scheme::HTTP || scheme == Scheme::HTTPS => {}
                None | Some(_) => return Err(InvalidProxy),
            }
        }
        let matcher = Matcher::builder().https(https).http(http).no(no_proxy).build();
        Ok(Self(Some(Arc::new(matcher))))
    }

    /// The proxy for a destination, where there is one.
    pub(super) fn intercept(&self, destination: &Uri) -> Option<Intercept> {
        self.0.as_ref()?.intercept(destination)
    }

    /// What a proxy wants to see in a request in the clear; a tunnel has it in its own request.
    pub(super) fn authorization(&self, destination: &Uri) -> Option<HeaderValue> {
        if destination.scheme() != Some(&Scheme::HTTP) {
            return None;
        }
        self.intercept(destination)?.basic_auth().cloned()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "Proxy(redacted)" } else { "Proxy(none)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_taken_for_its_scheme_and_not_for_the_hosts_named() {
        let proxy = Proxy::new("http://user:word@proxy:3128", "", "internal.example, 10.0.0.0/8").unwrap();
        let way = |uri: &'static str| proxy.intercept(&Uri::from_static(uri)).is_some();
        assert!(way("https://api.example/"));
        assert!(!way("http://api.example/"));
        assert!(!way("https://internal.example/"));
        assert!(!way("https://10.1.2.3/"));
        assert!(!format!("{proxy:?}").contains("word"));
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        for text in ["socks5://proxy:1080", "http://", "::"] {
            assert!(Proxy::new(text, "", "").is_err(), "{text}");
        }
        assert!(Proxy::new("", "", "*").unwrap().0.is_none());
    }
}
