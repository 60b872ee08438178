//! `time::OffsetDateTime`.

use crate::{DateTime, Error, ErrorKind};
use time::{OffsetDateTime, UtcOffset};

impl TryFrom<OffsetDateTime> for DateTime {
    type Error = Error;

    /// Seconds of the offset are dropped; the instant stays.
    fn try_from(value: OffsetDateTime) -> Result<Self, Error> {
        Self::new(value.unix_timestamp(), value.nanosecond(), value.offset().whole_minutes())
    }
}

impl TryFrom<DateTime> for OffsetDateTime {
    type Error = Error;

    fn try_from(value: DateTime) -> Result<Self, Error> {
        let convert = || {
            let offset = UtcOffset::from_whole_seconds(i32::from(value.offset_minutes()) * 60).ok()?;
            let utc = Self::from_unix_timestamp(value.unix_seconds()).ok()?;
            utc.replace_nanosecond(value.nanoseconds()).ok()?.checked_to_offset(offset)
        };
        convert()
            .ok_or_else(|| Error::new(ErrorKind::Range, format!("{value} does not fit in OffsetDateTime")))
    }
}
