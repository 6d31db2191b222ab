//! The whole house, opened from outside: the real binary, real sockets, an upstream that remembers what it heard.
//!
//! It knows the binary by its command line and its HTTP alone. Whoever closes a house has it searched: no secret
//! that it was given or has made may lie in a log, a metric or a file.

#![allow(clippy::indexing_slicing, reason = "what is not there fails the test, as it should")]

mod client;
mod house;
mod process;
mod search;
mod start;
mod upstream;

pub use client::{Client, Reply};
pub use house::{ADMIN_TOKEN, CREDENTIAL, House, Shape, skipped, until};
pub use process::Process;
pub use search::Secrets;
pub use upstream::{Heard, Upstream};
