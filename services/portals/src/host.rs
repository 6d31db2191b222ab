//! The ground: threads, sockets, connections and the end.
//!
//! Each serving thread is a current-thread runtime with listeners of its own, on which actors may live, so that the thread
//! that reads a call does all of it. Nothing here knows what is served.

pub(crate) mod accept;
pub(crate) mod address;
mod answering;
pub(crate) mod connection;
pub(crate) mod crew;
pub(crate) mod grpc;
pub(crate) mod listener;
pub(crate) mod pace;
mod quiet;
pub(crate) mod share;
pub(crate) mod shutdown;
mod unread;

pub(crate) use crew::{Crew, Station};
pub(crate) use listener::Bound;
pub(crate) use shutdown::{Shutdown, Trigger};
