//! Requests to a house, and what it says to them.

use super::output;
use crate::{
    cli::manage::Server,
    config::secret,
    exit::Failure,
    roles::executor::{authorities, proxy},
};
use bytes::Bytes;
use executor::outbound;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use model::{Secret, fault::Chain};
use serde_json::{Value, value::RawValue};
use std::{
    fmt::Display,
    io::{self, IsTerminal},
    pin::pin,
    time::Duration,
};
use tokio::time;

/// How long an answer may take: longer than the longest invocation.
const PATIENCE: Duration = Duration::from_secs(330);
/// A window of the management's rate limit.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After this the user is told what is waited for.
const SAY_SO: Duration = Duration::from_secs(1);
/// The most bytes of an answer that are kept.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// As many as the API gives at once.
const PER_PAGE: usize = 100;

/// A house, and who asks.
pub(crate) struct Api {
    client: outbound::Client,
    url: String,
    token: Option<Secret>,
    /// Whether the user wants the API's JSON.
    pub(crate) json: bool,
}

/// An answer, read to its end.
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
}

impl Api {
    /// The house that the flags name.
    pub(crate) fn new(server: Server) -> Result<Self, Failure> {
        let token = secret::read("token", server.token, server.token_file)?;
        let roots = server.ca.map(|path| authorities("ca", &path)).transpose()?.unwrap_or_default();
        let config = outbound::Config { roots, proxy: proxy()?, ..outbound::Config::default() };
        Self::open(server.url, token, config, server.json)
    }

    /// The house at `url`.
    pub(crate) fn remote(url: String, token: Secret) -> Result<Self, Failure> {
        Self::open(
            url,
            Some(token),
            outbound::Config { proxy: proxy()?, ..outbound::Config::default() },
            false,
        )
    }

    /// A process of this machine: no proxy leads there.
    pub(crate) fn local(url: String, token: Option<Secret>) -> Result<Self, Failure> {
        Self::open(url, token, outbound::Config::default(), false)
    }

    fn open(
        url: String,
        token: Option<Secret>,
        config: outbound::Config,
        json: bool,
    ) -> Result<Self, Failure> {
        let uri = url.parse().map_err(|_| Failure::usage(format!("`{url}` is no URL")))?;
        let client = outbound::Client::new(&config, &uri)
            .map_err(|error| Failure::usage(Chain(&error).to_string()))?;
        Ok(Self { client, url, token, json })
    }

    /// The same house, asked by nobody.
    pub(crate) fn anonymous(self) -> Self {
        Self { token: None, ..self }
    }

    /// The same house, asked by the holder of another token.
    pub(crate) fn with(self, token: Secret) -> Self {
        Self { token: Some(token), ..self }
    }

    /// The URL of a path, for people to open.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Sends a request and reads the whole answer, whatever it says.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(header::HeaderName, String)],
        body: Option<String>,
    ) -> Result<Reply, Failure> {
        let uri = format!("{}{path}", self.url);
        let mut request = Request::builder().method(method).uri(&uri);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(token) = &self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| Failure::usage("--token: it has characters that no token has"))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|_| Failure::usage(format!("`{uri}` is no URL")))?;
        with_progress(&self.url, time::timeout(PATIENCE, self.exchange(request)))
            .await
            .unwrap_or_else(|_| Err(Failure::unavailable(format!("{} does not answer", self.url))))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Reply, Failure> {
        let response = self
            .client
            .send(request)
            .await
            .map_err(|error| Failure::unavailable(format!("{}: {}", self.url, Chain(&error))))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| Failure::unavailable(format!("{}: the answer broke off: {error}", self.url)))?
            .to_bytes();
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }

    /// Sends a request of the management API; anything but a success is a failure with the API's own message, or
    /// after the API's JSON where that is wanted. The body shows as JSON.
    pub(crate) async fn manage(
        &self,
        method: Method,
        path: &str,
        headers: &[(header::HeaderName, String)],
        body: Option<&(dyn Display + Sync)>,
    ) -> Result<Reply, Failure> {
        let body = body.map(ToString::to_string);
        let mut reply = self.send(method.clone(), path, headers, body.clone()).await?;
        // Nothing was done: whoever reads a long list may go on with it in the next minute.
        while let Some(wait) = reply.wait() {
            with_progress(&self.url, time::sleep(wait)).await;
            reply = self.send(method.clone(), path, headers, body.clone()).await?;
        }
        match (reply.status.is_success(), self.json && !reply.body.is_empty()) {
            (true, _) => Ok(reply),
            (false, true) => {
                output::print_raw(&reply.body);
                Err(Failure::refused(""))
            }
            (false, false) => Err(reply.refusal()),
        }
    }

    /// All entries of a list, page by page.
    pub(crate) async fn list(&self, path: &str) -> Result<Vec<Box<RawValue>>, Failure> {
        let mut all: Vec<Box<RawValue>> = Vec::new();
        self.each_page(path, |page| {
            all.extend(page);
            Ok(())
        })
        .await?;
        Ok(all)
    }

    /// Hands over a list, page by page.
    pub(crate) async fn each_page(
        &self,
        path: &str,
        mut take: impl FnMut(Vec<Box<RawValue>>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for page in 1_usize.. {
            let path = format!("{path}?per_page={PER_PAGE}&page={page}");
            let reply = self.manage(Method::GET, &path, &[], None).await?;
            take(reply.json()?)?;
            let links = reply.headers.get(header::LINK).and_then(|links| links.to_str().ok());
            if !links.is_some_and(|links| links.contains("rel=\"next\"")) {
                break;
            }
        }
        Ok(())
    }
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|_| Failure::refused(format!("the answer ({}) is not what this API says", self.status)))
    }

    /// How long to wait before the same may be asked again, where this token has used up its requests of the minute.
    fn wait(&self) -> Option<Duration> {
        let field = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok());
        let limited =
            self.status == StatusCode::TOO_MANY_REQUESTS && field("ratelimit-scope") == Some("rest");
        let seconds = limited.then(|| field("retry-after")?.parse().ok())??;
        Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
    }

    /// The word that OAuth has for a refusal, if this is one.
    pub(crate) fn error(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body.get("error")?.as_str().map(str::to_owned)
    }

    /// What a refusal says, in the API's own words.
    pub(crate) fn refusal(&self) -> Failure {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
        // OAuth says it with another name.
        let message = |of: &Value| text(of, "message").or_else(|| text(of, "error_description"));
        let errors = body.get("errors").and_then(Value::as_array);
        let said = match errors {
            Some(errors) => errors.iter().filter_map(message).collect::<Vec<_>>().join("; "),
            None => message(&body).unwrap_or_default(),
        };
        let code = errors
            .and_then(|errors| errors.first()?.get("extensions")?.get("code")?.as_str())
            .or_else(|| body.get("error")?.as_str())
            .map(|code| format!(" {code}"))
            .unwrap_or_default();
        Failure::refused(format!("{}{code}: {said}", self.status.as_u16()))
    }
}

/// Says on a terminal what is waited for when it takes longer than a second.
async fn with_progress<T>(what: &str, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let shown = io::stderr().is_terminal();
    for seconds in 1_u64.. {
        tokio::select! {
            done = &mut work => {
                if shown && seconds > 1 {
                    output::tell("\r\u{1b}[K");
                }
                return done;
            }
            () = time::sleep(SAY_SO) => {
                if shown {
                    output::tell(&format!("\rwaiting for {what} ({seconds} s)"));
                }
            }
        }
    }
    work.await
}
