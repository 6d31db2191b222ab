//! Actors on the thread that asks them: found by key, started when first needed, replaced when they are gone.
//!
//! A thread's actors are its own, so that the runtime that reads a call also runs it. Handlers never wait: what
//! takes time happens in the caller's task, which is dropped when nobody waits any more. What the actors do is
//! told in their own files.

pub(crate) mod portal;
pub(crate) mod upstream;

use crate::{gate::overloaded, outbound::Client, portal::Sendable};
use actix::{
    Actor, Addr, AsyncContext, Context, Handler, Message,
    dev::{ToEnvelope, channel::channel},
    prelude::SendError,
};
use model::{Fault, Prehashed, fault::Cause};
use std::{
    any::Any,
    collections::HashMap,
    hash::Hash,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};
use tokio::sync::oneshot;

/// Handlers never wait, so that a mailbox is full only when calls come faster than they can be looked at.
const MAILBOX: usize = 1024;
/// How often an actor looks whether it was asked, in the time after which it stops.
const QUARTERS: u32 = 4;

/// A thread's actors of one kind, by executor and key.
pub(crate) struct Actors<K, A: Actor> {
    entries: HashMap<(u64, K), Entry<A>, Prehashed>,
    /// What was asked so far.
    asked: u64,
}

/// Where what the actors have to say to a call is waited for.
pub(crate) type Reply = oneshot::Sender<Result<(Sendable, Client, upstream::Turn), Fault>>;

struct Entry<A: Actor> {
    address: Addr<A>,
    /// Of what was asked, which came to it last.
    used: u64,
}

/// Tells an actor that its place is needed for another.
pub(crate) struct Retire;

impl Message for Retire {
    type Result = ();
}

#[derive(Debug, thiserror::Error)]
#[error("an actor was gone twice before it could answer")]
struct Gone;

/// A panic, as an error for the log.
#[derive(Debug, thiserror::Error)]
#[error("a call panicked: {0}")]
pub(crate) struct Panicked(String);

impl<K, A: Actor> Default for Actors<K, A> {
    fn default() -> Self {
        Self { entries: HashMap::default(), asked: 0 }
    }
}

impl<K, A> Actors<K, A>
where
    K: Copy + Eq + Hash,
    A: Actor<Context = Context<A>> + Handler<Retire>,
{
    /// Puts a message into the mailbox of an actor, which is made where there is none.
    ///
    /// # Errors
    ///
    /// The message again, and `Overloaded` when the mailbox is full.
    pub(crate) fn deliver<M>(
        &mut self,
        key: (u64, K),
        message: M,
        limit: usize,
        make: impl FnOnce() -> A,
    ) -> Result<(), (M, Fault)>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.asked += 1;
        let mut message = message;
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.used = self.asked;
            match entry.address.try_send(message) {
                Ok(()) => return Ok(()),
                Err(SendError::Full(unsent)) => return Err((unsent, full())),
                Err(SendError::Closed(unsent)) => message = unsent,
            }
        }
        self.make_room(&key, limit);
        let address = start(make());
        let sent = address.try_send(message).map_err(|unsent| (unsent.into_inner(), full()));
        self.entries.insert(key, Entry { address, used: self.asked });
        sent
    }

    /// Forgets actors that have stopped, and stops the one that was longest not asked.
    fn make_room(&mut self, key: &(u64, K), limit: usize) {
        self.entries.remove(key);
        if self.entries.len() < limit {
            return;
        }
        self.entries.retain(|_, entry| entry.address.connected());
        if self.entries.len() < limit {
            return;
        }
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key);
        if let Some(entry) = oldest.and_then(|oldest| self.entries.remove(&oldest)) {
            // With its mailbox full it is not idle, and stops by itself when it is.
            entry.address.try_send(Retire).ok();
        }
    }
}

/// Starts an actor on this thread with a mailbox that is bounded from its first message on.
fn start<A: Actor<Context = Context<A>>>(actor: A) -> Addr<A> {
    let (sender, receiver) = channel(MAILBOX);
    actix::spawn(Context::with_receiver(receiver).into_future(actor));
    Addr::new(sender)
}

fn full() -> Fault {
    overloaded("more calls come for this portal than can be taken on")
}

/// Delivers a question and waits for the answer. An actor that stops before it comes to the question has done
/// nothing for it, and another is asked. Whoever asks sets the time limit.
pub(crate) async fn ask<T, M>(
    deliver: impl Fn(oneshot::Sender<Result<T, Fault>>) -> Result<(), (M, Fault)>,
) -> Result<T, Fault> {
    for _ in 0..2 {
        let (reply, answer) = oneshot::channel();
        deliver(reply).map_err(|(_, fault)| fault)?;
        if let Ok(answer) = answer.await {
            return answer;
        }
    }
    Err(Fault::internal(Gone))
}

/// Runs a handler's work; a panic in it is that call's fault, and the actor makes way for a new one.
pub(crate) fn guarded<A: Actor<Context = Context<A>>, T>(
    context: &mut Context<A>,
    work: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        actix::ActorContext::stop(context);
        Err(Fault::internal(Panicked::of(&*panic)))
    })
}

/// Stops an actor that has not been asked for `idle`, or a quarter longer; `asked` tells how often it was.
pub(crate) fn stop_when_idle<A: Actor<Context = Context<A>>>(
    context: &mut Context<A>,
    idle: Duration,
    asked: impl Fn(&A) -> u64 + 'static,
) {
    let (mut seen, mut quiet) = (0, 0);
    context.run_interval((idle / QUARTERS).max(Duration::from_millis(1)), move |actor, context| {
        let asked = asked(actor);
        quiet = if asked == seen { quiet + 1 } else { 0 };
        seen = asked;
        if quiet == QUARTERS {
            actix::ActorContext::stop(context);
        }
    });
}

/// Counts an actor for as long as it lives.
pub(crate) struct Alive(&'static str);

impl Alive {
    pub(crate) fn new(kind: &'static str) -> Self {
        metrics::gauge!("portals_executor_actors", "kind" => kind).increment(1.0);
        Self(kind)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        metrics::gauge!("portals_executor_actors", "kind" => self.0).decrement(1.0);
    }
}

impl Panicked {
    /// Only a constant text is kept: a formatted one may have a caller's value in it.
    pub(crate) fn of(panic: &(dyn Any + Send)) -> Cause {
        let text = panic.downcast_ref::<&'static str>().copied().unwrap_or("its message is withheld");
        Box::new(Self(text.to_owned()))
    }
}
