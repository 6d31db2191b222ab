//! The actor of a portal revision: it owns the compiled operations. What it has prepared it passes on to the actor of
//! the upstream.

use super::{Actors, Alive, Reply, Retire, ask, guarded, stop_when_idle, upstream};
use crate::{
    config::{Config, Stage},
    executor::{Executor, Invocation},
    gate::Pass,
    grants::PortalKey,
    outbound::Client,
    portal::{Portal, Sendable},
};
use actix::{Actor, ActorContext, Context, Handler, Message};
use model::{Fault, Reason};
use proto::grant::UnreadableClaim;
use std::{cell::RefCell, sync::Arc, time::Instant};

thread_local! {
    static PORTALS: RefCell<Actors<PortalKey, PortalActor>> = RefCell::default();
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
    executor: Executor,
    invocation: Arc<Invocation>,
    reply: Reply,
}

impl Message for Prepare {
    type Result = ();
}

/// Has the portal's actor pick the operation and coerce the variables, and the upstream's actor let the call through;
/// waits for its turn where all are taken.
pub(crate) async fn prepare(
    executor: &Executor,
    invocation: &Arc<Invocation>,
) -> Result<(Sendable, Client, Pass), Fault> {
    let key = (executor.id(), invocation.grant.portal);
    let (sendable, client, turn) = ask(invocation.deadline, |reply| {
        let message = Prepare { executor: executor.clone(), invocation: Arc::clone(invocation), reply };
        let (grant, config) = (&invocation.grant, executor.config());
        PORTALS.with_borrow_mut(|portals| {
            portals.deliver(key, message, config.max_actors, || {
                let (grant, config) = (Arc::clone(grant), Arc::clone(config));
                move || PortalActor {
                    portal: Portal::compile(grant.document.clone()).map_err(Arc::new),
                    config,
                    used: Instant::now(),
                    _alive: Alive::new("portal"),
                }
            })
        })
    })
    .await?;
    let left = invocation.deadline.saturating_duration_since(Instant::now());
    let pass = turn.taken(executor.config(), invocation.patience.min(left)).await?;
    Ok((sendable, client, pass))
}

impl PortalActor {
    fn prepare(&self, invocation: &Invocation) -> Result<Sendable, Fault> {
        self.config.observe(Stage::Prepare, &invocation.request_id);
        let portal = self.portal.as_ref().map_err(|unreadable| {
            Fault::new(Reason::GrantInvalid, "the grant's document cannot be read")
                .because(Arc::clone(unreadable))
        })?;
        let (name, variables) = (invocation.operation_name.as_deref(), &invocation.variables);
        match &invocation.grant.checks {
            None => portal.prepare(name, invocation.grant.extra, variables),
            Some(checks) => portal.prepare_within(checks, name, invocation.grant.extra, variables),
        }
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

    fn handle(&mut self, message: Prepare, context: &mut Self::Context) {
        self.used = Instant::now();
        let Prepare { executor, invocation, reply } = message;
        match guarded(context, || self.prepare(&invocation)) {
            Ok(sendable) => upstream::admit(&executor, invocation, sendable, reply),
            // Whoever asked may have gone.
            Err(fault) => drop(reply.send(Err(fault))),
        }
    }
}

impl Handler<Retire> for PortalActor {
    type Result = ();

    fn handle(&mut self, _: Retire, context: &mut Self::Context) {
        context.stop();
    }
}
