//! `chrono::DateTime`.

use crate::{DateTime, Error, ErrorKind};
use chrono::{FixedOffset, Offset, TimeZone, Utc};

impl<Tz: TimeZone> TryFrom<chrono::DateTime<Tz>> for DateTime {
    type Error = Error;

    /// Seconds of the offset are dropped; the instant stays. A leap second is an error.
    fn try_from(value: chrono::DateTime<Tz>) -> Result<Self, Error> {
        let minutes = value.offset().fix().local_minus_utc() / 60;
        // An offset is less than a day, so this is no cut.
        Self::new(value.timestamp(), value.timestamp_subsec_nanos(), minutes as i16)
    }
}

impl TryFrom<DateTime> for chrono::DateTime<Utc> {
    type Error = Error;

    fn try_from(value: DateTime) -> Result<Self, Error> {
        Self::from_timestamp(value.unix_seconds(), value.nanoseconds())
            .ok_or_else(|| Error::new(ErrorKind::Range, format!("{value} does not fit in chrono::DateTime")))
    }
}

impl TryFrom<DateTime> for chrono::DateTime<FixedOffset> {
    type Error = Error;

    fn try_from(value: DateTime) -> Result<Self, Error> {
        let utc = chrono::DateTime::<Utc>::try_from(value)?;
        let offset = FixedOffset::east_opt(i32::from(value.offset_minutes()) * 60)
            .ok_or_else(|| Error::new(ErrorKind::Range, format!("{value} has an offset beyond chrono's")))?;
        Ok(utc.with_timezone(&offset))
    }
}
