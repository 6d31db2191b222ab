//! The registry.

pub mod store;
