//! The registry over an in-memory channel, on a real store in a temporary folder.

mod administration;
mod audit;
mod authorize;
mod desk;
mod durability;
mod opening;
mod watch;
