//! The whole house from outside: what a caller, an administrator and an operator see.

mod addresses;
mod corpora;
mod crash;
mod examples;
mod grpc;
mod matrix;
mod requests;
mod restarts;
mod revocation;
mod streaming;

/// The binary under test.
const PORTALS: &str = env!("CARGO_BIN_EXE_portals");
