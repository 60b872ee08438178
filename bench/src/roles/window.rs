use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// When to measure.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Window {
    /// For connections, caches and clocks to come up to speed; not counted.
    pub warm_up: Duration,
    /// Counted.
    pub measure: Duration,
}

impl Window {
    /// That many seconds, after a quarter of it to warm up.
    pub fn seconds(seconds: f64) -> Self {
        Window {
            warm_up: Duration::from_secs_f64((seconds / 4.0).min(1.0)),
            measure: Duration::from_secs_f64(seconds),
        }
    }

    /// The window when it begins now.
    pub(super) fn open(self) -> Open {
        let from = Instant::now() + self.warm_up;
        Open { from, until: from + self.measure }
    }
}

/// A window that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) from: Instant,
    pub(super) until: Instant,
}

impl Open {
    pub(super) fn counts(self, now: Instant) -> bool {
        now >= self.from && now < self.until
    }

    pub(super) fn is_over(self, now: Instant) -> bool {
        now >= self.until
    }

    pub(super) fn length(self) -> Duration {
        self.until - self.from
    }
}
