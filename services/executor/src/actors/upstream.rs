//! The actor of an upstream: it owns this thread's connections to it, and lets calls through the gate that all
//! threads share.

use super::{Actors, Alive, Reply, Retire, ask, guarded, stop_when_idle};
use crate::{
    config::{Config, Stage},
    executor::{Executor, Invocation},
    gate::{Gate, Pass, UpstreamKey},
    outbound::{Client, ClientError},
    portal::Sendable,
};
use actix::{Actor, ActorContext, Context, Handler, Message};
use model::{Fault, Reason};
use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

thread_local! {
    static UPSTREAMS: RefCell<Actors<UpstreamKey, UpstreamActor>> = RefCell::default();
}

/// The actor of an upstream.
struct UpstreamActor {
    client: Result<Client, Arc<ClientError>>,
    gate: Arc<Gate>,
    config: Arc<Config>,
    used: Instant,
    _alive: Alive,
}

/// Asks for a connection and a turn for what is ready to be sent.
struct Admit {
    invocation: Arc<Invocation>,
    sendable: Sendable,
    reply: Reply,
}

/// A call's turn.
pub(crate) enum Turn {
    Now(Pass),
    Later(Arc<Gate>),
}

impl Message for Admit {
    type Result = ();
}

/// Has the upstream's actor let a call through and answer whoever waits for it.
pub(super) fn admit(executor: &Executor, invocation: Arc<Invocation>, sendable: Sendable, reply: Reply) {
    let key = (executor.id(), invocation.grant.upstream.key);
    let grant = Arc::clone(&invocation.grant);
    let message = Admit { invocation, sendable, reply };
    let delivered = UPSTREAMS.with_borrow_mut(|upstreams| {
        upstreams.deliver(key, message, executor.config().max_actors, || {
            let executor = executor.clone();
            move || UpstreamActor {
                client: executor.dialer().client(&grant.upstream.uri).map_err(Arc::new),
                gate: executor.gates().gate(&grant.upstream.key),
                config: Arc::clone(executor.config()),
                used: Instant::now(),
                _alive: Alive::new("upstream"),
            }
        })
    });
    if let Err((message, fault)) = delivered {
        // Whoever asked may have gone.
        drop(message.reply.send(Err(fault)));
    }
}

/// Has the upstream's actor let a call through, and waits for its turn where all are taken.
pub(crate) async fn admitted(
    executor: &Executor,
    invocation: &Arc<Invocation>,
    sendable: Sendable,
    deadline: Instant,
) -> Result<(Sendable, Client, Pass), Fault> {
    let (sendable, client, turn) = ask(deadline, |reply| {
        admit(executor, Arc::clone(invocation), sendable.clone(), reply);
        Ok::<_, (Admit, Fault)>(())
    })
    .await?;
    let left = deadline.saturating_duration_since(Instant::now());
    let pass = turn.taken(executor.config(), invocation.patience.min(left)).await?;
    Ok((sendable, client, pass))
}

impl Turn {
    /// Waits for it as long as all may, or for `patience` where that is longer.
    pub(super) async fn taken(self, config: &Config, patience: Duration) -> Result<Pass, Fault> {
        match self {
            Self::Now(pass) => Ok(pass),
            Self::Later(gate) if patience > config.queue_timeout => gate.wait(patience).await,
            Self::Later(gate) => gate.enter(config.queue_timeout).await,
        }
    }
}

impl UpstreamActor {
    fn admit(&self, invocation: &Invocation) -> Result<(Client, Turn), Fault> {
        self.config.observe(Stage::Admit, &invocation.request_id);
        let client = self.client.as_ref().map_err(|error| {
            Fault::new(Reason::UpstreamUnreachable, "the upstream's URL cannot be called")
                .because(Arc::clone(error))
        })?;
        let turn = self.gate.try_enter()?.map_or_else(|| Turn::Later(Arc::clone(&self.gate)), Turn::Now);
        Ok((client.clone(), turn))
    }
}

impl Actor for UpstreamActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        stop_when_idle(context, self.config.idle_timeout * 2, |actor: &Self| actor.used);
    }
}

impl Handler<Admit> for UpstreamActor {
    type Result = ();

    fn handle(&mut self, Admit { invocation, sendable, reply }: Admit, context: &mut Self::Context) {
        self.used = Instant::now();
        let admitted = guarded(context, || self.admit(&invocation));
        // Whoever asked may have gone; a turn that nobody takes is given back.
        drop(reply.send(admitted.map(|(client, turn)| (sendable, client, turn))));
    }
}

impl Handler<Retire> for UpstreamActor {
    type Result = ();

    fn handle(&mut self, _: Retire, context: &mut Self::Context) {
        context.stop();
    }
}
