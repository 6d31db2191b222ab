//! The store from outside: what every implementation must keep, and what sled must survive.

mod child;
mod conformance;
mod crash;
mod damage;
mod fixture;
mod groups;
mod histories;
mod opening;
