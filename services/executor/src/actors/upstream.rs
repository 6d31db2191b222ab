//! The actor of an upstream: it owns this thread's connections to it, and lets calls through the gate that all
//! threads share.

use super::{Actors, Alive, Retire, ask, guarded, stop_when_idle};
use crate::{
    config::{Config, Stage},
    executor::Invocation,
    gate::{Gate, Gates, Pass, UpstreamKey},
    outbound::{Client, Dialer},
};
use actix::{Actor, ActorContext, Context, Handler, Message};
use model::Fault;
use std::{cell::RefCell, sync::Arc, time::Instant};
use tokio::sync::oneshot;

thread_local! {
    static UPSTREAMS: RefCell<Actors<(u64, UpstreamKey), UpstreamActor>> = RefCell::default();
}

/// The actor of an upstream.
struct UpstreamActor {
    client: Client,
    gate: Arc<Gate>,
    config: Arc<Config>,
    used: Instant,
    _alive: Alive,
}

/// Asks for a connection and a turn.
struct Admit {
    invocation: Arc<Invocation>,
    reply: oneshot::Sender<Result<(Client, Turn), Fault>>,
}

enum Turn {
    Now(Pass),
    Later(Arc<Gate>),
}

impl Message for Admit {
    type Result = ();
}

/// Has the upstream's actor let a call through; waits for its turn where all are taken.
pub(crate) async fn admit(
    executor: u64,
    config: &Arc<Config>,
    gates: &Arc<Gates>,
    dialer: &Dialer,
    invocation: &Arc<Invocation>,
) -> Result<(Client, Pass), Fault> {
    let key = (executor, invocation.grant.upstream.key.clone());
    let (client, turn) = ask(invocation.deadline, |reply| {
        let message = Admit { invocation: Arc::clone(invocation), reply };
        let (upstream, gates, dialer) = (key.1.clone(), Arc::clone(gates), dialer.clone());
        let (config, limit) = (Arc::clone(config), config.max_actors);
        UPSTREAMS.with_borrow_mut(|upstreams| {
            upstreams.deliver(&key, message, limit, move || UpstreamActor {
                client: dialer.client(),
                gate: gates.gate(&upstream),
                config,
                used: Instant::now(),
                _alive: Alive::new("upstream"),
            })
        })
    })
    .await?;
    let pass = match turn {
        Turn::Now(pass) => pass,
        Turn::Later(gate) => gate.enter(config.queue_timeout).await?,
    };
    Ok((client, pass))
}

impl UpstreamActor {
    fn admit(&self, invocation: &Invocation) -> Result<(Client, Turn), Fault> {
        self.config.observe(Stage::Admit, &invocation.request_id);
        let turn = self.gate.try_enter()?.map_or_else(|| Turn::Later(Arc::clone(&self.gate)), Turn::Now);
        Ok((self.client.clone(), turn))
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

    fn handle(&mut self, Admit { invocation, reply }: Admit, context: &mut Self::Context) {
        self.used = Instant::now();
        // Whoever asked may have gone; a turn that nobody takes is given back.
        reply.send(guarded(context, || self.admit(&invocation))).ok();
    }
}

impl Handler<Retire> for UpstreamActor {
    type Result = ();

    fn handle(&mut self, _: Retire, context: &mut Self::Context) {
        context.stop();
    }
}
