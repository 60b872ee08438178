//! Date-times: an instant with nanoseconds, and the offset it was written with.

use crate::{Error, ErrorKind, Result};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// 0001-01-01T00:00:00Z, in seconds since 1970.
const FIRST_SECOND: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z, in seconds since 1970.
const LAST_SECOND: i64 = 253_402_300_799;

/// An instant in the years 1 to 9999 with up to nine digits of a second, and an offset from UTC in whole minutes.
///
/// Two date-times are equal if they are the same instant, whatever their offsets.
#[derive(Clone, Copy)]
pub struct DateTime {
    seconds: i64,
    nanoseconds: u32,
    offset: i16,
}

impl DateTime {
    /// The instant `seconds` and `nanoseconds` after 1970-01-01T00:00:00Z, shown at an offset of that many minutes east
    /// of UTC. Both the instant in UTC and the local date must lie in the years 1 to 9999, the offset below 24 hours.
    pub fn new(seconds: i64, nanoseconds: u32, offset: i16) -> Result<Self> {
        let years = FIRST_SECOND..=LAST_SECOND;
        let local = seconds.checked_add(i64::from(offset) * 60);
        if !years.contains(&seconds) || !local.is_some_and(|local| years.contains(&local)) {
            return Err(Error::new(
                ErrorKind::Range,
                format!("the date-time {seconds} s after 1970 is outside the years 1 to 9999"),
            ));
        }
        if nanoseconds > 999_999_999 || offset.unsigned_abs() >= 24 * 60 {
            return Err(Error::new(
                ErrorKind::Range,
                format!("{nanoseconds} ns or an offset of {offset} min is too much for a date-time"),
            ));
        }
        Ok(Self { seconds, nanoseconds, offset })
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub fn unix_seconds(&self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after [`unix_seconds`](Self::unix_seconds).
    pub fn nanoseconds(&self) -> u32 {
        self.nanoseconds
    }

    /// Minutes east of UTC.
    pub fn offset_minutes(&self) -> i16 {
        self.offset
    }

    /// The same instant at offset zero.
    #[must_use]
    pub fn to_utc(&self) -> Self {
        Self { offset: 0, ..*self }
    }

    /// The text of RFC 3339: no more fraction digits than needed, `Z` for offset zero.
    pub(crate) fn format(&self) -> Text {
        let local = self.seconds + i64::from(self.offset) * 60;
        let (year, month, day) = civil_from_days(local.div_euclid(86_400));
        let second = local.rem_euclid(86_400);
        let mut text = Text { bytes: [0; 35], len: 0 };
        text.number(year, 4);
        text.push(b'-');
        text.number(month, 2);
        text.push(b'-');
        text.number(day, 2);
        text.push(b'T');
        text.number(second / 3600, 2);
        text.push(b':');
        text.number(second / 60 % 60, 2);
        text.push(b':');
        text.number(second % 60, 2);
        if self.nanoseconds != 0 {
            text.push(b'.');
            text.number(i64::from(self.nanoseconds), 9);
            while text.bytes[text.len - 1] == b'0' {
                text.len -= 1;
            }
        }
        if self.offset == 0 {
            text.push(b'Z');
        } else {
            let minutes = i64::from(self.offset.unsigned_abs());
            text.push(if self.offset < 0 { b'-' } else { b'+' });
            text.number(minutes / 60, 2);
            text.push(b':');
            text.number(minutes % 60, 2);
        }
        text
    }
}

/// A formatted date-time on the stack, since codecs format many.
pub(crate) struct Text {
    bytes: [u8; 35],
    len: usize,
}

impl Text {
    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn number(&mut self, mut value: i64, width: usize) {
        for place in (self.len..self.len + width).rev() {
            self.bytes[place] = b'0' + (value % 10) as u8;
            value /= 10;
        }
        self.len += width;
    }

    pub(crate) fn as_str(&self) -> &str {
        // Only ASCII is ever pushed.
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl FromStr for DateTime {
    type Err = Error;

    /// Reads the form of RFC 3339 with upper-case `T` and `Z`, one to nine digits of a second if any, and without
    /// leap seconds (none of the languages has a type for them).
    fn from_str(text: &str) -> Result<Self> {
        parse(text.as_bytes()).ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            Error::new(
                ErrorKind::Tag,
                format!("'{shown}' is no date-time like 2024-02-29T12:30:00.5+02:00, in the years 1 to 9999"),
            )
        })
    }
}

fn parse(text: &[u8]) -> Option<DateTime> {
    let number = |from: usize, width: usize, most: i64| -> Option<i64> {
        let digits = text.get(from..from + width)?;
        let value = digits.iter().try_fold(0i64, |value, digit| {
            digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0'))
        })?;
        (value <= most).then_some(value)
    };
    let literal = |at: usize, byte: u8| (text.get(at) == Some(&byte)).then_some(());

    let (year, month, day) = (number(0, 4, 9999)?, number(5, 2, 12)?, number(8, 2, 31)?);
    let (hour, minute, second) = (number(11, 2, 23)?, number(14, 2, 59)?, number(17, 2, 59)?);
    literal(4, b'-')?;
    literal(7, b'-')?;
    literal(10, b'T')?;
    literal(13, b':')?;
    literal(16, b':')?;
    let days = days_from_civil(year, month, day);
    // Also refuses the 30th of February: the way back leads to another date.
    if civil_from_days(days) != (year, month, day) {
        return None;
    }
    let mut place = 19;
    let mut nanoseconds = 0;
    if text.get(place) == Some(&b'.') {
        let width = text[place + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&width) {
            return None;
        }
        nanoseconds = number(place + 1, width, 999_999_999)? * 10i64.pow(9 - width as u32);
        place += 1 + width;
    }
    let offset = match text.get(place)? {
        b'Z' if text.len() == place + 1 => 0,
        sign @ (b'+' | b'-') if text.len() == place + 6 => {
            literal(place + 3, b':')?;
            let minutes = number(place + 1, 2, 23)? * 60 + number(place + 4, 2, 59)?;
            match (sign, minutes) {
                // RFC 3339 means "offset unknown" by it, which no language's type can hold.
                (b'-', 0) => return None,
                (b'-', _) => -minutes,
                _ => minutes,
            }
        }
        _ => return None,
    };
    let local = days * 86_400 + hour * 3600 + minute * 60 + second;
    DateTime::new(local - offset * 60, nanoseconds as u32, offset as i16).ok()
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar. Years begin in March here, so that the leap
/// day is the last of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

impl PartialEq for DateTime {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for DateTime {}

impl Ord for DateTime {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.seconds, self.nanoseconds).cmp(&(other.seconds, other.nanoseconds))
    }
}

impl PartialOrd for DateTime {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for DateTime {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.seconds, self.nanoseconds).hash(state);
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.format().as_str())
    }
}

impl fmt::Debug for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<SystemTime> for DateTime {
    type Error = Error;

    fn try_from(time: SystemTime) -> Result<Self> {
        let (seconds, nanoseconds) = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => (after.as_secs() as i64, after.subsec_nanos()),
            Err(before) => {
                let before = before.duration();
                let part = before.subsec_nanos();
                let seconds = -(before.as_secs() as i64) - i64::from(part != 0);
                (seconds, if part == 0 { 0 } else { 1_000_000_000 - part })
            }
        };
        Self::new(seconds, nanoseconds, 0)
    }
}

impl From<DateTime> for SystemTime {
    fn from(value: DateTime) -> Self {
        let part = Duration::from_nanos(u64::from(value.nanoseconds));
        let whole = Duration::from_secs(value.seconds.unsigned_abs());
        let epoch = Self::UNIX_EPOCH;
        if value.seconds < 0 { epoch - whole + part } else { epoch + whole + part }
    }
}
