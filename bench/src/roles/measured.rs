use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// What a role measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Operations that ended in the window.
    pub count: u64,
    /// The length of the window.
    pub seconds: f64,
    /// How long each took, where that means something.
    pub latency: Option<Latency>,
}

/// Quantiles, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half took less.
    pub p50: f64,
    /// All but one in a hundred took less.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Measured {
    /// Operations per second.
    pub fn rate(&self) -> f64 {
        self.count as f64 / self.seconds
    }

    pub(super) fn counted(count: u64, window: Duration) -> Self {
        Measured { count, seconds: window.as_secs_f64(), latency: None }
    }

    pub(super) fn timed(times: &Times, window: Duration) -> Self {
        let microseconds = |nanoseconds: u64| nanoseconds as f64 / 1_000.0;
        let latency = Latency {
            p50: microseconds(times.0.value_at_quantile(0.5)),
            p99: microseconds(times.0.value_at_quantile(0.99)),
            max: microseconds(times.0.max()),
        };
        Measured { latency: Some(latency), ..Measured::counted(times.0.len(), window) }
    }
}

/// Times from 1 ns to a minute, to three digits.
pub(super) struct Times(Histogram<u64>);

impl Times {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Times(Histogram::new_with_bounds(1, 60_000_000_000, 3)?))
    }

    pub(super) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn add(&mut self, other: &Times) -> anyhow::Result<()> {
        Ok(self.0.add(&other.0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_in_microseconds() {
        let mut times = Times::new().unwrap();
        for microseconds in 1..=1_000 {
            times.record(Duration::from_micros(microseconds));
        }
        let measured = Measured::timed(&times, Duration::from_secs(2));
        let latency = measured.latency.unwrap();
        assert_eq!(measured.rate(), 500.0);
        assert!((499.0..=502.0).contains(&latency.p50), "{latency:?}");
        assert!((989.0..=992.0).contains(&latency.p99), "{latency:?}");
    }
}
