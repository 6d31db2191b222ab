//! The cellar: the nouns of Portals and their rules.
//!
//! Nothing here does I/O, waits, or knows a wire format, a disk or a clock of its own.
//!
//! # Glossary
//!
//! - **organization**: owns portals, and has one upstream.
//! - **portal**: a name, a slug and one stored GraphQL document.
//! - **document**: GraphQL source with one or more operations and their fragments.
//! - **operation**: one query or mutation of a document.
//! - **variables**: the values that a caller sends, by name.
//! - **schema**: what the upstream's API takes and answers, in GraphQL's language for that, where somebody told it.
//! - **invocation**: running one operation once.
//! - **bearer**: what a caller presents; a **token** is what the registry knows of it.
//! - **secret**: any text that must not be printed; a **credential** is the secret an upstream wants.
//! - **grant**: the registry's signed word that a bearer may run one portal revision until then.
//! - **restrictions**: what a token may do less than its portal would let it.
//! - **user**: a person; a **member** of an organization where they have a **role** in it.
//! - **session**: what a user gets for their password: an access token of their own for some hours.
//! - **code**: what somebody who wants a token of a portal shows to a member, who approves it or does not.
//! - **upstream**: the GraphQL API that an organization's portals run against.
//! - **fault**: why something could not be done, in words for its caller and a cause for the log.

pub mod address;
pub mod bearer;
pub mod document;
pub mod email;
pub mod fault;
pub mod input;
pub mod json;
pub mod key;
pub mod organization;
pub mod password;
pub mod portal;
pub mod prehashed;
pub mod restriction;
pub mod secret;
pub mod slug;
pub mod user_code;
pub mod variables;

pub use address::AllowedAddresses;
pub use bearer::{Bearer, BearerKind, Fingerprint};
pub use email::Email;
pub use fault::{Fault, Reason};
pub use password::Password;
pub use prehashed::{Numbered, Prehashed};
pub use restriction::Restrictions;
pub use secret::Secret;
pub use slug::Slug;
pub use user_code::UserCode;
