//! The edge between a registry that always grants and an executor that always answers.

use crate::{Failure, plain};
use axum::body::Body;
use bytes::Bytes;
use edge::Config;
use futures_util::future::{BoxFuture, ready};
use http::Request;
use http_body_util::BodyExt;
use model::{Bearer, BearerKind, Fault, Secret};
use proto::{
    Answer, Call, Execute, channel,
    registry::v1::{
        self,
        registry_service_server::{RegistryService, RegistryServiceServer},
        watch_request, watch_response,
    },
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request as Asked, Response as Told, Status, Streaming, service::Routes};

const AN_HOUR: Duration = Duration::from_secs(3_600);

struct Granting;

struct Answering(Bytes);

pub(crate) fn run(times: u32) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(calls(times))
}

async fn calls(times: u32) -> Result<(), Failure> {
    let registry = channel::local(Routes::new(RegistryServiceServer::new(Granting)).prepare());
    let executor = Arc::new(Answering(plain::builds_of_a_pipeline(4)?.into()));
    let config = Config::new("https://portals.example", Secret::new("edge-key"));
    let edge = edge::open(config, registry, executor);
    let watched = edge.clone();
    tokio::spawn(async move { watched.watch(std::future::pending()).await });
    while edge.ready().await.is_err() {
        tokio::task::yield_now().await;
    }
    let (service, token) = (edge.service(), Bearer::generate(BearerKind::PortalToken));
    let connection = edge::Connection::new(Some(([127, 0, 0, 1], 1).into()));
    for _ in 0..times {
        let request = Request::post("/organizations/acme/portals/get-builds")
            .header("host", "portals.example")
            .header("authorization", format!("Bearer {}", token.expose()))
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(Body::from(r#"{"pipelineSlug":"pipe-000001"}"#))?;
        let answer = service.answer(&connection, request).await;
        if answer.status() != 200 || answer.into_body().collect().await?.to_bytes().is_empty() {
            return Err("the edge does not answer".into());
        }
    }
    Ok(())
}

impl Execute for Answering {
    fn execute(&self, _: Call) -> BoxFuture<'static, Result<Answer, Fault>> {
        let body = proto::Body::Whole(self.0.clone());
        Box::pin(ready(Ok(Answer { status: 200, ignored_variables: Vec::new(), body })))
    }
}

#[tonic::async_trait]
impl RegistryService for Granting {
    type WatchStream = ReceiverStream<Result<v1::WatchResponse, Status>>;

    async fn authorize(&self, _: Asked<v1::AuthorizeRequest>) -> Result<Told<v1::AuthorizeResponse>, Status> {
        let uuid = "00000000-0000-4000-8000-00000000000a";
        Ok(Told::new(v1::AuthorizeResponse {
            grant: "grant".to_owned(),
            expires_at: Some(proto::time::write(SystemTime::now() + AN_HOUR)),
            organization_uuid: uuid.to_owned(),
            portal_uuid: uuid.to_owned(),
            token_uuid: uuid.to_owned(),
            allowed_ip_addresses: Vec::new(),
            rate_limit_per_minute: 1_000_000,
            store_revision: 1,
            timeout_ms: 30_000,
            ..v1::AuthorizeResponse::default()
        }))
    }

    async fn exchange_token(
        &self,
        _: Asked<v1::ExchangeTokenRequest>,
    ) -> Result<Told<v1::ExchangeTokenResponse>, Status> {
        Err(Status::unimplemented("nobody asks for a token here"))
    }

    async fn create_code(
        &self,
        _: Asked<v1::CreateCodeRequest>,
    ) -> Result<Told<v1::CreateCodeResponse>, Status> {
        Err(Status::unimplemented("nobody asks for a code here"))
    }

    async fn watch(
        &self,
        request: Asked<Streaming<v1::WatchRequest>>,
    ) -> Result<Told<Self::WatchStream>, Status> {
        let (tell, told) = mpsc::channel(4);
        let mut heard = request.into_inner();
        tokio::spawn(async move {
            let all = v1::AllWithdrawn { store_revision: 1 };
            let mut next = Some(watch_response::Event::AllWithdrawn(all));
            loop {
                if let Some(event) = next.take()
                    && tell.send(Ok(v1::WatchResponse { event: Some(event) })).await.is_err()
                {
                    return;
                }
                let Ok(Some(said)) = heard.message().await else { return };
                if let Some(watch_request::Event::Renew(v1::RenewLease { number })) = said.event {
                    let lease_ms = 3_600_000;
                    next = Some(watch_response::Event::LeaseRenewed(v1::LeaseRenewed { number, lease_ms }));
                }
            }
        });
        Ok(Told::new(ReceiverStream::new(told)))
    }
}
