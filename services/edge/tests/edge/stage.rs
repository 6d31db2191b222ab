//! What the edge stands on in these tests: a registry and an executor that do as they are told and remember.

mod administration;
mod executor;

pub(crate) use executor::{Executor, answer};

use axum::body::Body;
use bytes::Bytes;
use edge::{Config, Edge, Service};
use futures_util::future::{BoxFuture, ready};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use model::{Bearer, BearerKind, Fault, Reason, Secret};
use proto::{
    channel,
    registry::v1::{
        self, administration_service_server::AdministrationServiceServer,
        code_service_server::CodeServiceServer, membership_service_server::MembershipServiceServer,
        registry_service_server, sign_in_service_server::SignInServiceServer,
    },
};
use serde_json::Value;
use std::{
    any::Any,
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request as Asked, Response as Told, Status, Streaming, metadata::MetadataMap, service::Routes};

pub(crate) const PATH: &str = "/organizations/my-organization/portals/trigger-main-build";
pub(crate) const ORGANIZATION: &str = "00000000-0000-4000-8000-00000000000a";
pub(crate) const PORTAL: &str = "00000000-0000-4000-8000-00000000000b";
pub(crate) const TOKEN: &str = "00000000-0000-4000-8000-00000000000c";

type Authorize = Arc<
    dyn Fn(v1::AuthorizeRequest) -> BoxFuture<'static, Result<v1::AuthorizeResponse, Fault>> + Send + Sync,
>;
/// By method, a `Boxed` of its messages.
type Answers = HashMap<&'static str, Box<dyn Any + Send>>;
type Boxed<Q, R> = Box<dyn Fn(&Q) -> Result<R, Fault> + Send>;
/// Method, message and metadata of a call.
type Seen = (&'static str, Box<dyn Any + Send>, MetadataMap);

/// An edge with everything around it.
pub(crate) struct Stage {
    pub(crate) edge: Edge,
    pub(crate) registry: Registry,
    pub(crate) executor: Executor,
    pub(crate) service: Service,
    /// A token as a registry makes them.
    pub(crate) token: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Stage {
    pub(crate) fn open() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let (registry, executor) = (Registry::new(), Executor::new());
        let mut config = Config::new("https://portals.example/", Secret::new("edge-key"));
        change(&mut config);
        let edge = edge::open(config, registry.channel(), Arc::new(executor.clone()));
        let token = Bearer::generate(BearerKind::PortalToken).expose().to_owned();
        Self { service: edge.service(), edge, registry, executor, token }
    }

    /// Sends a request, from where its extensions say.
    pub(crate) async fn send(&self, request: Request<Body>) -> Response<edge::Body> {
        let peer: Option<SocketAddr> = request.extensions().get().copied();
        self.service.answer(&edge::Connection::new(peer), request).await
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Reply {
        Reply::read(self.send(request).await).await
    }

    /// A request with a good token and a JSON body.
    pub(crate) fn request(&self, method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", "portals.example")
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .extension("192.0.2.1:4711".parse::<SocketAddr>().unwrap())
            .body(body.into())
            .unwrap()
    }

    pub(crate) async fn invoke(&self, body: impl Into<Body>) -> Reply {
        self.ask(self.request(Method::POST, PATH, body)).await
    }

    /// Keeps the edge's watch until the stage is gone.
    pub(crate) fn watch(&self) -> tokio::task::AbortHandle {
        let edge = self.edge.clone();
        tokio::spawn(async move { edge.watch(std::future::pending()).await }).abort_handle()
    }
}

impl Reply {
    pub(crate) async fn read(response: Response<edge::Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn assert_fault(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), &self.json()["errors"][0]["extensions"]["code"]),
            (status, &code.into())
        );
        assert!(!self.json()["errors"][0]["message"].as_str().unwrap().is_empty());
    }
}

/// A registry that does as it is told.
#[derive(Clone)]
pub(crate) struct Registry(Arc<RegistryInner>);

struct RegistryInner {
    authorize: Mutex<Authorize>,
    authorized: Mutex<Vec<v1::AuthorizeRequest>>,
    watches: mpsc::Sender<Watch>,
    watching: tokio::sync::Mutex<mpsc::Receiver<Watch>>,
    pub(crate) answers: Mutex<Answers>,
    seen: Mutex<Vec<Seen>>,
    /// Whoever has it keeps exchanges from being answered.
    exchanging: tokio::sync::RwLock<()>,
    /// How many exchanges have come.
    exchanges: AtomicUsize,
}

/// One edge's watch, from the registry's side.
pub(crate) struct Watch {
    pub(crate) metadata: MetadataMap,
    pub(crate) heard: Streaming<v1::WatchRequest>,
    pub(crate) tell: mpsc::Sender<Result<v1::WatchResponse, Status>>,
}

impl Watch {
    pub(crate) async fn say(&self, event: v1::watch_response::Event) {
        self.tell.send(Ok(v1::WatchResponse { event: Some(event) })).await.unwrap();
    }

    /// Tells that everything from before `store_revision` is to be authorized anew, and gives a lease.
    pub(crate) async fn begin(&mut self, store_revision: u64, lease_ms: u32) {
        let all = v1::AllWithdrawn { store_revision };
        self.say(v1::watch_response::Event::AllWithdrawn(all)).await;
        self.acknowledged(store_revision).await;
        self.renew(lease_ms).await;
    }

    /// Answers the next renewal.
    pub(crate) async fn renew(&mut self, lease_ms: u32) {
        loop {
            let said = self.heard.message().await.unwrap().unwrap().event.unwrap();
            if let v1::watch_request::Event::Renew(v1::RenewLease { number }) = said {
                let renewed = v1::LeaseRenewed { number, lease_ms };
                return self.say(v1::watch_response::Event::LeaseRenewed(renewed)).await;
            }
        }
    }

    /// Waits until the edge has acknowledged `revision`; renewals meanwhile go unanswered.
    pub(crate) async fn acknowledged(&mut self, revision: u64) {
        loop {
            let said = self.heard.message().await.unwrap().unwrap().event.unwrap();
            if said == v1::watch_request::Event::Acknowledge(v1::Acknowledge { store_revision: revision }) {
                return;
            }
        }
    }
}

/// What a registry says to a good token.
pub(crate) fn granted() -> v1::AuthorizeResponse {
    v1::AuthorizeResponse {
        grant: "grant".to_owned(),
        expires_at: Some(proto::time::write(SystemTime::now() + Duration::from_secs(300))),
        organization_uuid: ORGANIZATION.to_owned(),
        portal_uuid: PORTAL.to_owned(),
        token_uuid: TOKEN.to_owned(),
        allowed_ip_addresses: Vec::new(),
        rate_limit_per_minute: 200,
        store_revision: 10,
        timeout_ms: 30_000,
        ..v1::AuthorizeResponse::default()
    }
}

impl Registry {
    fn new() -> Self {
        let (watches, watching) = mpsc::channel(8);
        Self(Arc::new(RegistryInner {
            authorize: Mutex::new(Arc::new(|_| Box::pin(ready(Ok(granted()))))),
            authorized: Mutex::default(),
            watches,
            watching: tokio::sync::Mutex::new(watching),
            answers: Mutex::default(),
            seen: Mutex::default(),
            exchanging: tokio::sync::RwLock::default(),
            exchanges: AtomicUsize::default(),
        }))
    }

    fn channel(&self) -> proto::Channel {
        let routes = Routes::new(registry_service_server::RegistryServiceServer::new(self.clone()))
            .add_service(
                AdministrationServiceServer::new(self.clone())
                    .max_decoding_message_size(proto::MAX_CHANGE_BYTES),
            )
            .add_service(MembershipServiceServer::new(self.clone()))
            .add_service(CodeServiceServer::new(self.clone()))
            .add_service(SignInServiceServer::new(self.clone()));
        channel::local(routes.prepare())
    }

    pub(crate) fn on_authorize<F, T>(&self, answer: F)
    where
        F: Fn(v1::AuthorizeRequest) -> T + Send + Sync + 'static,
        T: Future<Output = Result<v1::AuthorizeResponse, Fault>> + Send + 'static,
    {
        *self.0.authorize.lock().unwrap() = Arc::new(move |request| Box::pin(answer(request)));
    }

    /// From now on a good token gets this.
    pub(crate) fn grant(&self, change: impl FnOnce(&mut v1::AuthorizeResponse)) {
        let mut answer = granted();
        change(&mut answer);
        self.on_authorize(move |_| ready(Ok(answer.clone())));
    }

    pub(crate) fn refuse(&self, reason: Reason) {
        self.on_authorize(move |_| ready(Err(Fault::new(reason, "the registry's own words"))));
    }

    pub(crate) fn authorized(&self) -> Vec<v1::AuthorizeRequest> {
        self.0.authorized.lock().unwrap().clone()
    }

    /// Keeps exchanges from being answered while the guard is held.
    pub(crate) async fn hold_exchanges(&self) -> tokio::sync::RwLockWriteGuard<'_, ()> {
        self.0.exchanging.write().await
    }

    /// Waits until so many exchanges have come.
    pub(crate) async fn exchanges(&self, count: usize) {
        while self.0.exchanges.load(Ordering::Relaxed) < count {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn watch(&self) -> Watch {
        self.0.watching.lock().await.recv().await.unwrap()
    }

    /// From now on the administration's `method` answers so.
    pub(crate) fn answer<Q: 'static, R: 'static>(
        &self,
        method: &'static str,
        answer: impl Fn(&Q) -> Result<R, Fault> + Send + 'static,
    ) {
        let boxed: Boxed<Q, R> = Box::new(answer);
        self.0.answers.lock().unwrap().insert(method, Box::new(boxed));
    }

    /// What was last asked of the administration's `method`.
    pub(crate) fn asked<Q: Clone + 'static>(&self, method: &str) -> Option<(Q, MetadataMap)> {
        let seen = self.0.seen.lock().unwrap();
        let (_, message, metadata) = seen.iter().rev().find(|(name, ..)| *name == method)?;
        Some((message.downcast_ref::<Q>().unwrap().clone(), metadata.clone()))
    }

    pub(super) fn administer<Q, R>(&self, method: &'static str, request: Asked<Q>) -> Result<Told<R>, Status>
    where
        Q: Send + 'static,
        R: Default + 'static,
    {
        let (metadata, _, message) = request.into_parts();
        let answers = self.0.answers.lock().unwrap();
        let answer = match answers.get(method) {
            Some(answer) => answer.downcast_ref::<Boxed<Q, R>>().unwrap()(&message),
            None => Ok(R::default()),
        };
        self.0.seen.lock().unwrap().push((method, Box::new(message), metadata));
        answer.map(Told::new).map_err(|fault| proto::fault::write_status(&fault))
    }
}

#[tonic::async_trait]
impl registry_service_server::RegistryService for Registry {
    type WatchStream = ReceiverStream<Result<v1::WatchResponse, Status>>;

    async fn authorize(
        &self,
        request: Asked<v1::AuthorizeRequest>,
    ) -> Result<Told<v1::AuthorizeResponse>, Status> {
        let request = request.into_inner();
        let answer = Arc::clone(&*self.0.authorize.lock().unwrap());
        self.0.authorized.lock().unwrap().push(request.clone());
        answer(request).await.map(Told::new).map_err(|fault| proto::fault::write_status(&fault))
    }

    async fn exchange_token(
        &self,
        request: Asked<v1::ExchangeTokenRequest>,
    ) -> Result<Told<v1::ExchangeTokenResponse>, Status> {
        self.0.exchanges.fetch_add(1, Ordering::Relaxed);
        let _free = self.0.exchanging.read().await;
        self.administer("exchange_token", request)
    }

    async fn create_code(
        &self,
        request: Asked<v1::CreateCodeRequest>,
    ) -> Result<Told<v1::CreateCodeResponse>, Status> {
        self.administer("create_code", request)
    }

    async fn watch(
        &self,
        request: Asked<Streaming<v1::WatchRequest>>,
    ) -> Result<Told<Self::WatchStream>, Status> {
        let (metadata, _, heard) = request.into_parts();
        let (tell, told) = mpsc::channel(64);
        self.0.watches.send(Watch { metadata, heard, tell }).await.unwrap();
        Ok(Told::new(ReceiverStream::new(told)))
    }
}
