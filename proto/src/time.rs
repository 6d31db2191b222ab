//! Times on the wire.

pub use prost_types::Timestamp;
use std::time::SystemTime;

/// Writes a time.
pub fn write(time: SystemTime) -> Timestamp {
    Timestamp::from(time)
}

/// Reads a time; `None` for one that no `SystemTime` can hold.
pub fn read(time: Timestamp) -> Option<SystemTime> {
    SystemTime::try_from(time).ok()
}
