//! A plain HTTP client that hides nothing.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// A client with a pool of its own.
#[derive(Clone)]
pub struct Client(legacy::Client<HttpConnector, Full<Bytes>>);

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Default for Client {
    fn default() -> Self {
        Self(legacy::Client::builder(TokioExecutor::new()).build_http())
    }
}

impl Client {
    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    ///
    /// What went wrong with the connection, as text.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply, String> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).map_err(|error| error.to_string())?;
        let response = self.0.request(request).await.map_err(|error| format!("{error:?}"))?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none, showing it.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic_with(self, &error.to_string()))
    }

    /// A header field as text; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The code of the first error.
    pub fn code(&self) -> String {
        self.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Checks the status.
    ///
    /// # Panics
    ///
    /// When it is another, showing the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        if self.status.as_u16() != status {
            panic_with(&self, &format!("expected {status}"));
        }
        self
    }

    /// Checks status and code of a fault.
    ///
    /// # Panics
    ///
    /// When it is another, showing the body.
    #[track_caller]
    pub fn expect_fault(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        if reply.code() != code {
            panic_with(&reply, &format!("expected {code}"));
        }
        reply
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "this is what fails a test")]
fn panic_with(reply: &Reply, why: &str) -> ! {
    panic!("{why}: {} {}", reply.status, String::from_utf8_lossy(&reply.body))
}
