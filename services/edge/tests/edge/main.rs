//! The edge from outside: HTTP in front, a scripted registry and a scripted executor behind.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where its expectation is broken, and so do those who help it"
)]

mod authorization;
mod codes;
mod exchange;
mod invocation;
mod limits;
mod members;
mod narrowed;
mod narrowing;
mod openapi;
mod organizations;
mod quotas;
mod rates;
mod rest;
mod session;
mod sign_in;
mod stage;
