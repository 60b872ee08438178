//! Values with units, as people write them.

use std::time::Duration;

const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// A time such as `500ms`, `20s`, `5m`, `1h` or `1d`.
pub(super) fn parse_time(text: &str) -> Result<Duration, String> {
    let problem = || "not a time; give a whole number and its unit: 500ms, 20s, 5m, 1h or 1d".to_owned();
    let (number, unit) = split(text).ok_or_else(problem)?;
    let (_, milliseconds) = TIMES.into_iter().find(|(name, _)| *name == unit).ok_or_else(problem)?;
    number
        .checked_mul(milliseconds)
        .map(Duration::from_millis)
        .ok_or_else(|| "longer than can be counted".to_owned())
}

/// A number of bytes such as `512`, `64KiB`, `8MiB` or `1GiB`.
pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    let problem = || "not a number of bytes; give one like 65536, 64KiB, 8MiB or 1GiB".to_owned();
    let (number, unit) = split(text).ok_or_else(problem)?;
    let unit = if unit.is_empty() { "B" } else { unit };
    let (_, bytes) = SIZES.into_iter().find(|(name, _)| *name == unit).ok_or_else(problem)?;
    number.checked_mul(bytes).ok_or_else(|| "more than can be counted".to_owned())
}

/// The shortest way to write a time.
pub(super) fn show_time(time: Duration) -> String {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    show(milliseconds, &TIMES)
}

/// The shortest way to write a number of bytes.
pub(super) fn show_bytes(bytes: u64) -> String {
    show(bytes, &SIZES)
}

fn show(count: u64, units: &[(&str, u64)]) -> String {
    let (name, size) =
        units.iter().rev().find(|(_, size)| count != 0 && count.is_multiple_of(*size)).unwrap_or(&units[0]);
    format!("{}{name}", count / size)
}

/// The digits at the start, and what follows them.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, milliseconds) in
            [("0ms", 0), ("500ms", 500), ("20s", 20_000), ("5 m", 300_000), ("1d", 86_400_000)]
        {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "20", "s", "-1s", "1.5s", "1 year", "99999999999999999999s", "9999999999999999d"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_may_have_a_unit() {
        for (text, bytes) in [("0", 0), ("65536", 65_536), ("1B", 1), ("64KiB", 65_536), ("8 MiB", 8 << 20)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "1MB", "1mib", "-1", "1.5MiB", "99999999999GiB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read() {
        for milliseconds in [0, 1, 999, 1_000, 90_000, 3_600_000, 172_800_000] {
            let time = Duration::from_millis(milliseconds);
            assert_eq!(parse_time(&show_time(time)), Ok(time));
        }
        for bytes in [0, 1, 1023, 1024, 1536, 8 << 20, 3 << 30] {
            assert_eq!(parse_bytes(&show_bytes(bytes)), Ok(bytes));
        }
        assert_eq!(show_time(Duration::from_secs(3600)), "1h");
        assert_eq!(show_bytes(8 << 20), "8MiB");
    }
}
