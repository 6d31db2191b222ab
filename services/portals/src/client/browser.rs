//! Signing in with a browser on this machine: where it comes back to is a listener that waits here for it (RFC 8252,
//! section 7.3), and what it comes with is of use to nobody else (RFC 7636).

use super::{api::Api, output};
use crate::exit::Failure;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use model::{Bearer, BearerKind};
use serde_json::{Value, json};
use std::{collections::HashMap, convert::Infallible, io, net::Ipv4Addr, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

/// How long somebody may take with the provider: as long as the house waits for them.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What a browser came back with.
type Returned = Result<String, String>;

/// Waits until somebody has signed in, and gives what their session is asked for with.
///
/// # Errors
///
/// What the house or its provider says, or that nobody came back.
pub(crate) async fn sign_in(api: &Api) -> Result<Value, Failure> {
    let no_socket = |error: io::Error| Failure::system(format!("listening on 127.0.0.1: {error}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(no_socket)?;
    let port = listener.local_addr().map_err(no_socket)?.port();
    let [state, verifier] = [(); 2].map(|()| Bearer::generate(BearerKind::SignIn));
    let challenge = verifier.fingerprint().text();
    let path = format!(
        "/sign-in?redirect_uri=http%3A%2F%2F127.0.0.1%3A{port}%2F&state={}&code_challenge={challenge}&code_challenge_method=S256",
        state.expose()
    );
    output::tell(&format!("To sign in, open {}\nwaiting for you to come back …\n", api.url(&path)));
    let nobody = |_| Failure::refused("nobody came back from the identity provider");
    match timeout(PATIENCE, back(&listener, state.expose())).await.map_err(nobody)? {
        Ok(code) => Ok(json!({"code": code, "code_verifier": verifier.expose()})),
        Err(refused) => Err(Failure::refused(refused)),
    }
}

/// Answers whoever comes until it is the browser that was sent.
async fn back(listener: &TcpListener, state: &str) -> Returned {
    let (found, mut returned) = mpsc::channel(1);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                tokio::spawn(serve(stream, state.to_owned(), found.clone()));
            }
            Some(returned) = returned.recv() => return returned,
        }
    }
}

async fn serve(stream: TcpStream, state: String, found: mpsc::Sender<Returned>) {
    let service = service_fn(|request: Request<Incoming>| {
        let returned = read(request.uri().query().unwrap_or_default(), &state);
        let response = page(returned.as_ref());
        let found = found.clone();
        async move {
            if let Some(returned) = returned {
                // One is enough.
                let _waiting = found.try_send(returned);
            }
            Ok::<_, Infallible>(response)
        }
    });
    // A browser that breaks off may come again.
    let _gone =
        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// What the browser that was sent came back with; nothing for anything else that asks here.
fn read(query: &str, state: &str) -> Option<Returned> {
    let mut sent: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    if sent.get("state").is_none_or(|sent| sent != state) {
        return None;
    }
    match (sent.remove("code"), sent.remove("error"), sent.remove("error_description")) {
        (Some(code), None, _) => Some(Ok(code)),
        (_, Some(error), description) => Some(Err(format!("{error}: {}", description.unwrap_or_default()))),
        (None, None, _) => None,
    }
}

fn page(returned: Option<&Returned>) -> Response<String> {
    let (status, text) = match returned {
        Some(Ok(_)) => (StatusCode::OK, "You are signed in. Go back to the terminal.\n".to_owned()),
        Some(Err(refused)) => (StatusCode::FORBIDDEN, format!("You are not signed in: {refused}\n")),
        None => (StatusCode::NOT_FOUND, "Nobody waits for this.\n".to_owned()),
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_browser_that_was_sent_brings_something_back() {
        assert_eq!(read("code=a%20b&state=s", "s"), Some(Ok("a b".to_owned())));
        assert_eq!(
            read("error=access_denied&error_description=no%20user&state=s", "s"),
            Some(Err("access_denied: no user".to_owned()))
        );
        for query in ["", "code=a", "code=a&state=other", "state=s"] {
            assert_eq!(read(query, "s"), None, "{query}");
        }
    }
}
