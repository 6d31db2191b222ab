//! The whole house from outside: what a caller, an administrator and an operator see.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test fails by a panic, and says on its output what it skips and what it saw"
)]

mod addresses;
mod audit;
mod coalescing;
mod codes;
mod corpora;
mod crash;
mod examples;
mod grpc;
mod identity;
mod matrix;
mod members;
mod narrowed;
mod narrowing;
mod oauth;
mod openid;
mod quotas;
mod rates;
mod requests;
mod restarts;
mod revocation;
mod revocations;
mod schema;
mod secrets;
mod sign_in;
mod streaming;
mod sweep;
mod terraform;

/// The binary under test.
const PORTALS: &str = env!("CARGO_BIN_EXE_portals");
