//! The store from outside: what every implementation must keep, and what sled must survive.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "all of this crate is tests"
)]

mod child;
mod conformance;
mod crash;
mod damage;
mod fixture;
mod groups;
mod histories;
mod opening;
