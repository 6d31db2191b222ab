//! The registry over an in-memory channel, on a real store in a temporary folder.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "all of this crate is tests")]

mod administration;
mod audit;
mod authorize;
mod codes;
mod desk;
mod durability;
mod exchange;
mod members;
mod narrowed;
mod narrowed_secrets;
mod opening;
mod schema;
mod secrets;
mod sign_in;
mod watch;
