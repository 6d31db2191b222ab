//! A time as records hold it.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// A time in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub(crate) struct Moment(u64);

impl Moment {
    /// This moment.
    pub(crate) fn now() -> Self {
        SystemTime::now().into()
    }

    /// Its milliseconds since 1970.
    pub(crate) fn ms(self) -> u64 {
        self.0
    }

    /// So many milliseconds since 1970.
    pub(crate) fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// So much before it, or 1970.
    pub(crate) fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl From<SystemTime> for Moment {
    /// Cuts off what is below a millisecond; what was before 1970 is 1970.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Moment> for SystemTime {
    /// What no clock can hold is 1970: nothing that was written is.
    fn from(moment: Moment) -> Self {
        Self::UNIX_EPOCH.checked_add(Duration::from_millis(moment.0)).unwrap_or(Self::UNIX_EPOCH)
    }
}
