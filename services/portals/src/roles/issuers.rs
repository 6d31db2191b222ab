//! How a registry reads what issuers of identities publish: by the same client that calls upstreams.
//!
//! It fetches and limits; whom to ask and what to believe is the registry's.

use super::executor::{authorities, proxy};
use crate::exit::Failure;
use bytes::Bytes;
use executor::outbound::{Config, Dialer};
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use model::fault::{Cause, Chain};
use std::{fmt, future::Future, path::Path, pin::Pin, sync::Arc};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Asks issuers; each time over a connection of its own, for that is seldom.
struct Asking(Dialer);

impl fmt::Debug for Asking {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Asking")
    }
}

/// What the flags and the environment say about the way to issuers.
pub(crate) fn asking(ca: Option<&Path>) -> Result<Arc<dyn registry::Fetch>, Failure> {
    let roots = ca.map(|path| authorities("issuer-ca", path)).transpose()?.unwrap_or_default();
    let config = Config { roots, proxy: proxy()?, ..Config::default() };
    let dialer = Dialer::new(&config).map_err(|error| Failure::usage(Chain(&error).to_string()))?;
    Ok(Arc::new(Asking(dialer)))
}

impl registry::Fetch for Asking {
    fn get(&self, uri: Uri, limit: usize) -> Pin<Box<dyn Future<Output = Result<Bytes, Cause>> + Send + '_>> {
        Box::pin(async move {
            let client = self.0.client(&uri)?;
            let request = Request::get(uri).header(header::ACCEPT, JSON).body(Full::default())?;
            let response = client.send(request).await?;
            if response.status() != StatusCode::OK {
                return Err(format!("it answered with {}", response.status().as_u16()).into());
            }
            Ok(Limited::new(response.into_body(), limit).collect().await?.to_bytes())
        })
    }
}
