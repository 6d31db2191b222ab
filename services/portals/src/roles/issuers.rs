//! How a registry reads what issuers of identities publish: by the same client that calls upstreams.
//!
//! It fetches and limits; whom to ask and what to believe is the registry's.

use super::executor::{authorities, proxy};
use crate::exit::Failure;
use bytes::Bytes;
use executor::outbound::{Config, Dialer};
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use model::{
    Secret,
    fault::{Cause, Chain},
};
use std::{fmt, future::Future, path::Path, pin::Pin, sync::Arc};

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
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

type Answered<'a> = Pin<Box<dyn Future<Output = Result<Bytes, Cause>> + Send + 'a>>;

impl registry::Fetch for Asking {
    fn get(&self, uri: Uri, limit: usize) -> Answered<'_> {
        Box::pin(async move {
            let request = Request::get(&uri).header(header::ACCEPT, JSON).body(Full::default())?;
            self.ask(&uri, request, limit).await
        })
    }

    fn post(&self, uri: Uri, authorization: Option<Secret>, form: Secret, limit: usize) -> Answered<'_> {
        Box::pin(async move {
            let mut request = Request::post(&uri)
                .header(header::ACCEPT, JSON)
                .header(header::CONTENT_TYPE, FORM)
                .body(Full::from(form.expose().to_owned()))?;
            if let Some(authorization) = authorization {
                let mut value = HeaderValue::from_str(authorization.expose())?;
                value.set_sensitive(true);
                request.headers_mut().insert(header::AUTHORIZATION, value);
            }
            self.ask(&uri, request, limit).await
        })
    }
}

impl Asking {
    async fn ask(&self, uri: &Uri, request: Request<Full<Bytes>>, limit: usize) -> Result<Bytes, Cause> {
        let response = self.0.client(uri)?.send(request).await?;
        if response.status() != StatusCode::OK {
            return Err(format!("it answered with {}", response.status().as_u16()).into());
        }
        Ok(Limited::new(response.into_body(), limit).collect().await?.to_bytes())
    }
}
