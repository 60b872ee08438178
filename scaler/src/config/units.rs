use std::time::Duration;

/// A time such as `500ms`, `20s`, `5m`, `1h` or `1d`: as the Fabric's settings have it.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let problem = || "not a time; give a whole number and its unit: 500ms, 20s, 5m, 1h or 1d".to_owned();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(problem)?;
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(problem()),
    };
    let number: u64 = number.parse().map_err(|_| problem())?;
    let time = number.checked_mul(milliseconds).map(Duration::from_millis);
    // Moments in the far future overflow clocks.
    time.filter(|time| *time <= Duration::from_secs(365 * 86_400))
        .ok_or_else(|| "longer than a year; give less".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, milliseconds) in [
            ("0ms", 0),
            ("500ms", 500),
            ("20s", 20_000),
            ("5 m", 300_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "20", "s", "-1s", "1.5s", "1 year", "99999999999999999999s", "366d"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
