//! Times on the wire, and as text in UTC (RFC 3339).

use jiff::{
    SignedDuration,
    civil::{Date, DateTime},
    fmt::temporal::Pieces,
};
pub use prost_types::Timestamp;
use std::time::SystemTime;

const EPOCH: DateTime = Date::constant(1970, 1, 1).to_datetime(jiff::civil::Time::midnight());

/// Writes a time.
pub fn write(time: SystemTime) -> Timestamp {
    Timestamp::from(time)
}

/// Reads a time; `None` for one that no `SystemTime` can hold.
pub fn read(time: Timestamp) -> Option<SystemTime> {
    SystemTime::try_from(time).ok()
}

/// Writes a time as text with milliseconds; `None` where the year has no four digits.
pub fn text(time: SystemTime) -> Option<String> {
    let since = SignedDuration::system_until(SystemTime::UNIX_EPOCH, time).ok()?;
    let time = EPOCH.checked_add(since).ok().filter(|time| time.year() >= 0)?;
    Some(format!("{time:.3}Z"))
}

/// The same without milliseconds, which are cut off.
pub fn text_of_seconds(time: SystemTime) -> Option<String> {
    let text = text(time)?;
    text.split_once('.').map(|(seconds, _)| format!("{seconds}Z"))
}

/// Reads a time from text; `None` for what has no date, time and offset, or is none that [`text`] writes.
pub fn parse(text: &str) -> Option<SystemTime> {
    let pieces = Pieces::parse(text).ok()?;
    let time = DateTime::from_parts(pieces.date(), pieces.time()?);
    let offset = SignedDuration::from_secs(i64::from(pieces.to_numeric_offset()?.seconds()));
    let since = time.duration_since(EPOCH) - offset;
    let time = match since.is_negative() {
        true => SystemTime::UNIX_EPOCH.checked_sub(since.unsigned_abs()),
        false => SystemTime::UNIX_EPOCH.checked_add(since.unsigned_abs()),
    };
    time.filter(|time| self::text(*time).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_four_digits_are_read_and_written() {
        for (given, written) in [
            ("2026-08-26T03:22:45.555Z", "2026-08-26T03:22:45.555Z"),
            ("2026-08-26T05:22:45.555999+02:00", "2026-08-26T03:22:45.555Z"),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59.000Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"),
            ("9999-12-31T23:59:59.999+00:00", "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(parse(given).and_then(text).as_deref(), Some(written), "{given}");
        }
        for text in [
            "",
            "never",
            "2026-08-26",
            "2026-08-26T03:22:45",
            "2026-02-30T00:00:00Z",
            "9999-12-31T23:59:59-01:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
