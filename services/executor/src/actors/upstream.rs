//! The actor of an upstream: it owns this thread's connections to it, and lets calls through the gate that all
//! threads share.

use super::{Actors, Alive, Reply, Retire, ask, guarded, stop_when_idle};
use crate::{
    config::{Config, Stage},
    executor::{Executor, Invocation, Ready},
    gate::{Gate, Pass, UpstreamKey},
    outbound::{Client, ClientError},
    portal::Sendable,
};
use actix::{Actor, ActorContext, Context, Handler, Message};
use model::{Fault, Reason};
use std::{cell::RefCell, sync::Arc, time::Instant};

thread_local! {
    static UPSTREAMS: RefCell<Actors<UpstreamKey, UpstreamActor>> = RefCell::default();
}

/// The actor of an upstream.
struct UpstreamActor {
    client: Result<Client, Arc<ClientError>>,
    gate: Arc<Gate>,
    config: Arc<Config>,
    asked: u64,
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
    /// Since when it has it: long after it arrived, where it first waited for an answer that was another's.
    Now(Pass, Instant),
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
        upstreams.deliver(key, message, executor.config().max_actors, || UpstreamActor {
            client: executor.dialer().client(&grant.upstream.uri).map_err(Arc::new),
            gate: executor.gates().gate(&grant.upstream.key),
            config: Arc::clone(executor.config()),
            asked: 0,
            _alive: Alive::new("upstream"),
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
) -> Result<Ready, Fault> {
    let (sendable, client, turn) = ask(|reply| {
        admit(executor, Arc::clone(invocation), sendable.clone(), reply);
        Ok::<_, (Admit, Fault)>(())
    })
    .await?;
    turn.taken(executor.config(), invocation, sendable, client).await
}

impl Turn {
    /// Waits for it as long as all may, or for the call's patience where that is longer.
    pub(super) async fn taken(
        self,
        config: &Config,
        invocation: &Invocation,
        sendable: Sendable,
        client: Client,
    ) -> Result<Ready, Fault> {
        let patience = invocation.patience;
        let (pass, began) = match self {
            Self::Now(pass, since) => (pass, since),
            Self::Later(gate) if patience > config.queue_timeout => {
                (Box::pin(gate.wait(patience)).await?, Instant::now())
            }
            Self::Later(gate) => (Box::pin(gate.enter(config.queue_timeout)).await?, Instant::now()),
        };
        Ok(Ready { sendable, client, pass, began })
    }
}

impl UpstreamActor {
    fn admit(&self, invocation: &Invocation) -> Result<(Client, Turn), Fault> {
        self.config.observe(Stage::Admit, &invocation.request_id);
        let client = self.client.as_ref().map_err(|error| {
            Fault::new(Reason::UpstreamUnreachable, "the upstream's URL cannot be called")
                .because(Arc::clone(error))
        })?;
        let now = Instant::now();
        let turn = match self.gate.try_enter(now)? {
            Some(pass) => Turn::Now(pass, now),
            None => Turn::Later(Arc::clone(&self.gate)),
        };
        Ok((client.clone(), turn))
    }
}

impl Actor for UpstreamActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        stop_when_idle(context, self.config.idle_timeout * 2, |actor: &Self| actor.asked);
    }
}

impl Handler<Admit> for UpstreamActor {
    type Result = ();

    fn handle(&mut self, Admit { invocation, sendable, reply }: Admit, context: &mut Self::Context) {
        self.asked += 1;
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
