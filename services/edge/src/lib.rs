//! The edge: HTTP for callers and administrators.
//!
//! It parses, carries and answers. It decides nothing that matters: the registry says who may run what, the
//! executor runs it. It opens no socket, reads no environment, and knows neither of the two but as clients.

mod answer;
mod authorization;
mod body;
mod client;
mod config;
mod exchange;
mod invocation;
mod jitter;
mod log;
mod media;
mod observe;
mod rate;
mod reply;
mod rest;
mod room;
mod router;
pub mod session;
mod sign_in;
mod watch;

pub use client::Connection;
pub use config::Config;
pub use reply::Body;
pub use room::{Edge, open};
pub use router::Service;
