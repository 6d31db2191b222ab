//! The doors: what the rooms say to each other, and how it is written.
//!
//! Generated code for the `.proto` files, faults as gRPC statuses, the grant's claims, the streams on which answers
//! travel, and the two ways to reach a service: over a channel, or the room itself in memory. Nothing here decides
//! anything.

pub mod audit;
pub mod channel;
pub mod execute;
pub mod fault;
pub mod grant;
mod redact;
pub mod stream;
pub mod time;

pub use channel::Channel;
pub use execute::{Answer, Body, Call, Execute};

/// `portals.registry.v1`: who may run what, and who may change it.
pub mod registry {
    /// Version 1.
    pub mod v1 {
        #![allow(missing_docs, reason = "generated")]
        #![allow(unreachable_pub, reason = "generated")]
        #![allow(unused_qualifications, reason = "generated")]
        #![allow(clippy::allow_attributes_without_reason, reason = "generated")]
        tonic::include_proto!("portals.registry.v1");
    }
}

/// `portals.executor.v1`: runs what was granted.
pub mod executor {
    /// Version 1.
    pub mod v1 {
        #![allow(missing_docs, reason = "generated")]
        #![allow(unreachable_pub, reason = "generated")]
        #![allow(unused_qualifications, reason = "generated")]
        #![allow(clippy::allow_attributes_without_reason, reason = "generated")]
        tonic::include_proto!("portals.executor.v1");
    }
}

/// The encoded `FileDescriptorSet` of all protos, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The most bytes of one gRPC message, in either direction.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// The most bytes of a change: more than the largest body that asks for one, so that what is too large is refused by
/// name.
pub const MAX_CHANGE_BYTES: usize = 10 << 20;

/// The most bytes of a page of a list: 100 portals, each with the largest document and what is told of it.
pub const MAX_PAGE_BYTES: usize = 128 << 20;
