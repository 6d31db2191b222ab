//! The executor: runs what the registry has granted, and nothing else.
//!
//! It verifies the grant, picks the operation, coerces the variables, and carries the upstream's answer back as
//! bytes. It knows no bearer, no store and no schema, and decides nothing about who may do what.

mod actors;
mod answer;
mod breaker;
mod coalesce;
mod config;
mod decode;
mod exchange;
mod executor;
mod flights;
mod gate;
mod grants;
pub mod outbound;
mod portal;
mod screen;
mod service;
mod session;
mod thread;
mod tickets;
mod upstream;

pub use config::{Config, Stage, StageObserver};
pub use executor::{Executor, OpenError, open};
pub use outbound::Proxy;
pub use portal::{Portal, Sendable};
pub use service::Service;
pub use thread::block_on;
