//! The same behind TLS, as real APIs are, over HTTP/1.1 or HTTP/2.

use super::{Answer, CREDENTIAL, body};
use crate::Failure;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::pki_types::PrivateKeyDer;
use std::{fs, io, path::Path, sync::Arc};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What speaks TLS: for HTTP/1.1 and for HTTP/2. The certificate, of `localhost`, is written to a file.
pub(super) fn acceptors(certificate: &Path) -> Result<[TlsAcceptor; 2], Failure> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let encoded = STANDARD.encode(made.cert.der());
    fs::write(certificate, format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n"))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok(["http/1.1", "h2"].map(|protocol| {
        let mut config = config.clone();
        config.alpn_protocols = vec![protocol.into()];
        TlsAcceptor::from(Arc::new(config))
    }))
}

pub(super) async fn serve(listener: super::StdListener, acceptor: TlsAcceptor) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let answer = Bytes::from(body(Answer::Small));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, answer) = (acceptor.clone(), answer.clone());
        tokio::spawn(async move {
            let stream = acceptor.accept(stream).await?;
            let service = service_fn(move |request| give(request, answer.clone()));
            auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await
                .map_err(io::Error::other)
        });
    }
}

async fn give(request: Request<Incoming>, answer: Bytes) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let credential = request.headers().get(header::AUTHORIZATION);
    let allowed = credential
        .is_some_and(|value| memchr::memmem::find(value.as_bytes(), CREDENTIAL.as_bytes()).is_some());
    request.into_body().collect().await?;
    let mut response = Response::new(Full::new(answer));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if !allowed {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    Ok(response)
}
