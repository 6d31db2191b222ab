//! The registry: who may run what, and all the state there is.
//!
//! It keeps organizations, portals and tokens, signs grants, and tells edges what it takes back. It never sees a
//! caller's variables or an upstream's answers, and opens no sockets.
//!
//! In reading order: [`open`](open()) puts it together; `authorize` answers edges; `exchange` makes tokens that end by
//! themselves, some for `codes` that members decide on; `administration` changes things by way of `change`; `schema` holds documents against what their upstream tells of itself; `withdrawals` and `lease` see to it that a change holds everywhere; `catalog`,
//! `record` and `table` know what lies in the [`store`].

mod administration;
mod authorize;
mod caller;
mod catalog;
mod change;
mod codes;
mod door;
mod ended_sessions;
mod exchange;
mod grant;
mod identity;
mod lease;
mod open;
mod openid;
mod passwords;
mod record;
mod registry;
mod schema;
pub mod store;
mod sweep;
mod table;
mod usage;
mod uses;
mod watch;
mod withdrawals;

pub use administration::{check_upstream_token, check_upstream_url};
pub use identity::{Fetch, check_issuer};
pub use open::{Config, FirstOrganization, OpenError, Opened, open};
pub use openid::OpenId;
pub use registry::Registry;
