//! The actor of a portal revision: it owns the compiled operations.

use super::{Actors, Alive, Retire, ask, guarded, stop_when_idle};
use crate::{
    config::{Config, Stage},
    executor::Invocation,
    grants::PortalKey,
    portal::{Portal, Sendable},
};
use actix::{Actor, ActorContext, Context, Handler, Message};
use model::{Fault, Reason};
use proto::grant::UnreadableClaim;
use std::{cell::RefCell, sync::Arc, time::Instant};
use tokio::sync::oneshot;

thread_local! {
    static PORTALS: RefCell<Actors<(u64, PortalKey), PortalActor>> = RefCell::default();
}

/// The actor of a portal revision.
struct PortalActor {
    portal: Result<Portal, Arc<UnreadableClaim>>,
    config: Arc<Config>,
    used: Instant,
    _alive: Alive,
}

/// Asks for an operation with its variables.
struct Prepare {
    invocation: Arc<Invocation>,
    reply: oneshot::Sender<Result<Sendable, Fault>>,
}

impl Message for Prepare {
    type Result = ();
}

/// Has the portal's actor pick the operation and coerce the variables.
pub(crate) async fn prepare(
    executor: u64,
    config: &Arc<Config>,
    invocation: &Arc<Invocation>,
) -> Result<Sendable, Fault> {
    let key = (executor, invocation.grant.portal.clone());
    ask(invocation.deadline, |reply| {
        let message = Prepare { invocation: Arc::clone(invocation), reply };
        let (grant, config) = (Arc::clone(&invocation.grant), Arc::clone(config));
        let limit = config.max_actors;
        PORTALS.with_borrow_mut(|portals| {
            portals.deliver(&key, message, limit, move || PortalActor {
                portal: Portal::compile(grant.document.clone()).map_err(Arc::new),
                config,
                used: Instant::now(),
                _alive: Alive::new("portal"),
            })
        })
    })
    .await
}

impl PortalActor {
    fn prepare(&self, invocation: &Invocation) -> Result<Sendable, Fault> {
        self.config.observe(Stage::Prepare, &invocation.request_id);
        let portal = self.portal.as_ref().map_err(|unreadable| {
            Fault::new(Reason::GrantInvalid, "the grant's document cannot be read")
                .because(Arc::clone(unreadable))
        })?;
        portal.prepare(invocation.operation_name.as_deref(), invocation.grant.extra, &invocation.variables)
    }
}

impl Actor for PortalActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        stop_when_idle(context, self.config.idle_timeout, |actor: &Self| actor.used);
    }
}

impl Handler<Prepare> for PortalActor {
    type Result = ();

    fn handle(&mut self, Prepare { invocation, reply }: Prepare, context: &mut Self::Context) {
        self.used = Instant::now();
        // Whoever asked may have gone.
        reply.send(guarded(context, || self.prepare(&invocation))).ok();
    }
}

impl Handler<Retire> for PortalActor {
    type Result = ();

    fn handle(&mut self, _: Retire, context: &mut Self::Context) {
        context.stop();
    }
}
