//! Edges that watch: what they are told, and who waits for them.

use crate::desk::{Desk, EDGE_KEY, PATIENCE, fault, refused};
use model::Reason;
use proto::registry::v1::{
    self, Acknowledge, RenewLease, WatchRequest, WatchResponse, watch_request, watch_response::Event,
    withdrawn::Scope,
};
use std::time::{Duration, Instant};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};

/// An edge that does as it is told by the test.
struct Edge {
    says: mpsc::Sender<WatchRequest>,
    hears: Streaming<WatchResponse>,
}

impl Edge {
    async fn watch(desk: &Desk) -> Self {
        settle(desk).await;
        let (says, said) = mpsc::channel(8);
        let mut request = Request::new(ReceiverStream::new(said));
        request.metadata_mut().insert("authorization", format!("Bearer {EDGE_KEY}").parse().unwrap());
        let hears = desk.calls().watch(request).await.unwrap().into_inner();
        Self { says, hears }
    }

    async fn say(&self, event: watch_request::Event) {
        self.says.send(WatchRequest { event: Some(event) }).await.unwrap();
    }

    async fn hear(&mut self) -> Event {
        let heard = timeout(PATIENCE, self.hears.message()).await.unwrap();
        heard.unwrap().unwrap().event.unwrap()
    }

    async fn renew(&mut self, number: u64) {
        self.say(watch_request::Event::Renew(RenewLease { number })).await;
        let Event::LeaseRenewed(renewed) = self.hear().await else { panic!("expected a lease") };
        assert_eq!((renewed.number, renewed.lease_ms), (number, 5_000));
    }

    async fn withdrawn(&mut self) -> (u64, Scope) {
        let Event::Withdrawn(withdrawn) = self.hear().await else { panic!("expected a withdrawal") };
        (withdrawn.store_revision, withdrawn.scope.unwrap())
    }

    /// An edge with a lease that has heard of everything so far.
    async fn ready(desk: &Desk) -> Self {
        let mut edge = Self::watch(desk).await;
        let Event::AllWithdrawn(_) = edge.hear().await else { panic!("expected to begin anew") };
        edge.renew(1).await;
        edge
    }
}

/// Makes a change that returns when everything before it has been told.
async fn settle(desk: &Desk) {
    let update = v1::UpdateOrganizationRequest {
        organization: "acme".to_owned(),
        name: Some("Settled".to_owned()),
        ..Default::default()
    };
    desk.administration().update_organization(desk.signed(update)).await.unwrap();
}

#[tokio::test]
async fn only_who_has_the_edge_key_watches() {
    let desk = Desk::open().await;
    for key in [None, Some(""), Some("Bearer wrong"), Some(EDGE_KEY)] {
        let (_says, said) = mpsc::channel(1);
        let mut request = Request::new(ReceiverStream::new(said));
        if let Some(key) = key {
            request.metadata_mut().insert("authorization", key.parse().unwrap());
        }
        refused(fault(desk.calls().watch(request).await), Reason::Unauthenticated);
    }
}

#[tokio::test]
async fn a_revocation_returns_when_the_edge_has_withdrawn_the_token() {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    let (token, bearer) = desk.token("acme", "viewer").await;
    let mut edge = Edge::ready(&desk).await;
    let granted = desk.authorize("acme", "viewer", &bearer).await.unwrap();

    let mut revoke = std::pin::pin!(desk.revoke("acme", "viewer", &token.uuid));
    let (revision, scope) = tokio::select! {
        heard = edge.withdrawn() => heard,
        _ = &mut revoke => panic!("the edge has not answered yet"),
    };
    assert_eq!(scope, Scope::TokenUuid(token.uuid.clone()));
    assert!(revision > granted.store_revision);
    edge.say(watch_request::Event::Acknowledge(Acknowledge { store_revision: revision })).await;
    let since = Instant::now();
    revoke.await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn what_is_changed_already_is_answered_when_it_holds_and_not_before() {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    let mut edge = Edge::ready(&desk).await;
    let limit = || {
        let update = v1::UpdateOrganizationRequest {
            organization: "acme".to_owned(),
            rate_limit_per_minute: Some(1),
            ..Default::default()
        };
        let mut administration = desk.administration();
        let request = desk.signed(update);
        async move { administration.update_organization(request).await.unwrap() }
    };
    let mut change = std::pin::pin!(limit());
    let (revision, _) = tokio::select! {
        heard = edge.withdrawn() => heard,
        _ = &mut change => panic!("the edge has not answered yet"),
    };
    // Somebody who has not heard of it asks again: there is nothing to write.
    let mut again = std::pin::pin!(limit());
    assert!(timeout(Duration::from_millis(500), &mut again).await.is_err(), "the edge has not answered yet");
    edge.say(watch_request::Event::Acknowledge(Acknowledge { store_revision: revision })).await;
    let since = Instant::now();
    tokio::join!(change, again);
    assert!(since.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_revocation_waits_for_the_lease_of_an_edge_that_has_gone() {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    let (token, _) = desk.token("acme", "viewer").await;
    let edge = Edge::ready(&desk).await;
    let since = Instant::now();
    drop(edge);

    desk.revoke("acme", "viewer", &token.uuid).await.unwrap();

    let waited = since.elapsed();
    assert!((Duration::from_secs(4)..Duration::from_secs(8)).contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn what_concerns_grants_is_told_in_the_order_of_the_commits() {
    let desk = Desk::open().await;
    let (portal, _) = desk.portal("acme", "Viewer").await;
    let mut edge = Edge::watch(&desk).await;
    let Event::AllWithdrawn(begin) = edge.hear().await else { panic!("expected to begin anew") };

    let (token, _) = desk.token("acme", "viewer").await;
    let update = v1::UpdatePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        user_invokable: Some(true),
        ..Default::default()
    };
    desk.administration().update_portal(desk.signed(update)).await.unwrap();
    desk.revoke("acme", "viewer", &token.uuid).await.unwrap();
    let update = v1::UpdateOrganizationRequest {
        organization: "acme".to_owned(),
        rate_limit_per_minute: Some(1),
        ..Default::default()
    };
    desk.administration().update_organization(desk.signed(update)).await.unwrap();
    let delete = v1::DeletePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        if_revision: None,
        or_revisions: Vec::new(),
    };
    desk.administration().delete_portal(desk.signed(delete)).await.unwrap();
    let delete = v1::DeleteOrganizationRequest {
        organization: "acme".to_owned(),
        if_revision: None,
        or_revisions: Vec::new(),
    };
    desk.administration().delete_organization(desk.signed(delete)).await.unwrap();

    let mut revision = begin.store_revision;
    for expected in [
        Scope::PortalUuid(portal.uuid.clone()),
        Scope::TokenUuid(token.uuid),
        Scope::OrganizationUuid(portal.organization_uuid.clone()),
        Scope::PortalUuid(portal.uuid),
        Scope::OrganizationUuid(portal.organization_uuid),
    ] {
        let (next, scope) = edge.withdrawn().await;
        assert!(next > revision);
        assert_eq!(scope, expected);
        revision = next;
    }
}

#[tokio::test]
async fn after_a_restart_a_change_waits_for_the_leases_of_before() {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    let (token, _) = desk.token("acme", "viewer").await;
    let since = Instant::now();
    let desk = desk.restart(|config| config.sole_edge = false).await;

    desk.revoke("acme", "viewer", &token.uuid).await.unwrap();

    assert!(since.elapsed() >= Duration::from_secs(5), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_registry_that_closes_lets_its_edges_go() {
    let desk = Desk::open().await;
    let mut edge = Edge::ready(&desk).await;
    desk.registry.close().await;
    assert!(timeout(PATIENCE, edge.hears.message()).await.unwrap().unwrap().is_none());
    assert!(desk.registry.ready().await.is_err());
}
