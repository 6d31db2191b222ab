//! An upstream that records what it received and answers what it is told to.

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, sync::watch};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its path.
    pub path: String,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body, byte for byte.
    pub body: Bytes,
}

impl Heard {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the executor sends JSON")
    }
}

type Answer = dyn Fn(&Heard) -> Response<Bytes> + Send + Sync;

/// A GraphQL API of one's own: says `{"data":{"ok":true}}` unless told otherwise.
#[derive(Clone)]
pub struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    heard: Mutex<Vec<Heard>>,
    answer: Mutex<Arc<Answer>>,
    open: watch::Sender<bool>,
}

impl Upstream {
    /// Opens on a free port of the loopback.
    pub async fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(State {
            heard: Mutex::default(),
            answer: Mutex::new(Arc::new(|_| json_answer(200, &json!({"data": {"ok": true}})))),
            open: watch::channel(true).0,
        });
        tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { address, state }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}/graphql", self.address)
    }

    /// Where it is, without a path.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers every later request with what `answer` makes of it.
    pub fn answers(&self, answer: impl Fn(&Heard) -> Response<Bytes> + Send + Sync + 'static) {
        *self.state.answer.lock().expect("no test panics while it holds this") = Arc::new(answer);
    }

    /// Answers every later request with this status and JSON.
    pub fn answers_json(&self, status: u16, body: Value) {
        self.answers(move |_| json_answer(status, &body));
    }

    /// Holds every later request until [`Upstream::release`].
    pub fn hold(&self) {
        self.state.open.send_replace(false);
    }

    /// Lets what is held go on.
    pub fn release(&self) {
        self.state.open.send_replace(true);
    }

    /// How many requests arrived.
    pub fn calls(&self) -> usize {
        self.state.heard.lock().expect("no test panics while it holds this").len()
    }

    /// Takes out all that was heard so far.
    pub fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut *self.state.heard.lock().expect("no test panics while it holds this"))
    }
}

/// A JSON answer.
fn json_answer(status: u16, body: &Value) -> Response<Bytes> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Bytes::from(body.to_string()))
        .expect("a status and a known header make a response")
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&state)));
            // A caller that goes away in the middle is what some tests are about.
            let _gone = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(Response::new(Full::default()));
    };
    let heard = Heard { path: parts.uri.path().to_owned(), headers: parts.headers, body: body.to_bytes() };
    state.heard.lock().expect("no test panics while it holds this").push(heard.clone());
    let mut open = state.open.subscribe();
    open.wait_for(|open| *open).await.expect("the sender lives in the state that is held here");
    let answer = Arc::clone(&state.answer.lock().expect("no test panics while it holds this"));
    Ok(answer(&heard).map(Full::new))
}
