//! The actor of a portal revision: it owns the compiled operations, and what identical queries in flight share. What it
//! has prepared it passes on to the actor of the upstream.

use super::{Actors, Alive, Reply, Retire, ask, guarded, stop_when_idle, upstream};
use crate::{
    coalesce::{self, Fetched},
    config::{Config, Stage},
    executor::{Executor, Invocation, Ready},
    flights::{Flights, Seat},
    grants::PortalKey,
    portal::{Portal, Sendable},
};
use actix::{Actor, ActorContext, Context, Handler, Message};
use model::{Fault, Fingerprint, Reason, document::OperationKind};
use proto::grant::UnreadableClaim;
use std::{cell::RefCell, mem, sync::Arc};
use tokio::sync::oneshot;

thread_local! {
    static PORTALS: RefCell<Actors<PortalKey, PortalActor>> = RefCell::default();
}

/// The actor of a portal revision.
struct PortalActor {
    portal: Result<Portal, Arc<UnreadableClaim>>,
    flights: Flights<Fetched>,
    config: Arc<Config>,
    asked: u64,
    _alive: Alive,
}

/// Asks for an operation with its variables.
struct Prepare {
    executor: Executor,
    invocation: Arc<Invocation>,
    reply: Reply,
}

/// Asks for the same, or for a place at what is fetched already.
struct Join {
    executor: Executor,
    invocation: Arc<Invocation>,
    reply: oneshot::Sender<Result<Joined, Fault>>,
}

/// How a call whose portal coalesces goes on.
pub(crate) enum Joined {
    /// By a fetch for all that ask the same; what of its own variables was left out is told each.
    Shared { ignored: Vec<String>, seat: Seat<Fetched> },
    /// By itself: it writes, or there is no place.
    Alone(Sendable),
}

impl Message for Prepare {
    type Result = ();
}

impl Message for Join {
    type Result = ();
}

/// Has the portal's actor pick the operation and coerce the variables, and the upstream's actor let the call through;
/// waits for its turn where all are taken.
pub(crate) async fn prepare(executor: &Executor, invocation: &Arc<Invocation>) -> Result<Ready, Fault> {
    let (sendable, client, turn) = ask(|reply| {
        let message = Prepare { executor: executor.clone(), invocation: Arc::clone(invocation), reply };
        deliver(executor, invocation, message)
    })
    .await?;
    turn.taken(executor.config(), invocation, sendable, client).await
}

/// Has the portal's actor pick the operation and coerce the variables, and find those that ask the same.
pub(crate) async fn join(executor: &Executor, invocation: &Arc<Invocation>) -> Result<Joined, Fault> {
    ask(|reply| {
        let message = Join { executor: executor.clone(), invocation: Arc::clone(invocation), reply };
        deliver(executor, invocation, message)
    })
    .await
}

fn deliver<M>(executor: &Executor, invocation: &Invocation, message: M) -> Result<(), (M, Fault)>
where
    M: Message<Result = ()> + Send + 'static,
    PortalActor: Handler<M>,
{
    let key = (executor.id(), invocation.grant.portal);
    let (grant, config) = (&invocation.grant, executor.config());
    PORTALS.with_borrow_mut(|portals| {
        portals.deliver(key, message, config.max_actors, || PortalActor {
            portal: Portal::compile(grant.document.clone()).map_err(Arc::new),
            flights: Flights::default(),
            config: Arc::clone(config),
            asked: 0,
            _alive: Alive::new("portal"),
        })
    })
}

impl PortalActor {
    fn join(&mut self, executor: &Executor, invocation: &Arc<Invocation>) -> Result<Joined, Fault> {
        let mut sendable = self.prepare(invocation)?;
        let (OperationKind::Query, Some(principal)) = (sendable.kind, invocation.grant.coalesces) else {
            return Ok(Joined::Alone(sendable));
        };
        let body = Fingerprint::of(&sendable.body);
        let asked = Fingerprint::of(&[*principal.as_bytes(), *body.as_bytes()].concat());
        let ignored = mem::take(&mut sendable.ignored);
        let seat = self.flights.join(asked, |overdue| {
            coalesce::fetch(executor.clone(), Arc::clone(invocation), sendable.clone(), overdue)
        });
        Ok(match seat {
            Some(seat) => Joined::Shared { ignored, seat },
            None => Joined::Alone(Sendable { ignored, ..sendable }),
        })
    }

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
        stop_when_idle(context, self.config.idle_timeout, |actor: &Self| actor.asked);
    }
}

impl Handler<Prepare> for PortalActor {
    type Result = ();

    fn handle(&mut self, message: Prepare, context: &mut Self::Context) {
        self.asked += 1;
        let Prepare { executor, invocation, reply } = message;
        match guarded(context, || self.prepare(&invocation)) {
            Ok(sendable) => upstream::admit(&executor, invocation, sendable, reply),
            // Whoever asked may have gone.
            Err(fault) => drop(reply.send(Err(fault))),
        }
    }
}

impl Handler<Join> for PortalActor {
    type Result = ();

    fn handle(&mut self, message: Join, context: &mut Self::Context) {
        self.asked += 1;
        let Join { executor, invocation, reply } = message;
        // Whoever asked may have gone; a place that nobody takes is given back.
        drop(reply.send(guarded(context, || self.join(&executor, &invocation))));
    }
}

impl Handler<Retire> for PortalActor {
    type Result = ();

    fn handle(&mut self, _: Retire, context: &mut Self::Context) {
        context.stop();
    }
}
