use std::time::{Duration, Instant};

/// How starts are spaced that keep failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffSettings {
    /// The wait after the first failure; twice as long after each further one.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// A unit that ran for so long has not failed, whatever ended it.
    pub healthy: Duration,
}

impl Default for BackoffSettings {
    fn default() -> Self {
        BackoffSettings {
            first: Duration::from_millis(200),
            longest: Duration::from_secs(60),
            healthy: Duration::from_secs(60),
        }
    }
}

/// How often a unit has failed in a row, and when it may be started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
    not_before: Instant,
    /// It has been told of the present failure.
    noted: bool,
}

impl Backoff {
    /// Nothing has failed yet.
    pub fn new(now: Instant) -> Self {
        Backoff { failures: 0, not_before: now, noted: false }
    }

    /// The unit has ended by itself, after having run for that long. Telling the same end again changes nothing.
    pub fn ended(&mut self, ran_for: Duration, settings: &BackoffSettings, now: Instant) {
        if !self.noted {
            if ran_for >= settings.healthy {
                self.failures = 0;
            }
            self.failed(settings, now);
            self.noted = true;
        }
    }

    /// Starting it failed.
    pub fn failed(&mut self, settings: &BackoffSettings, now: Instant) {
        let wait = settings.first.saturating_mul(1 << self.failures.min(20)).min(settings.longest);
        self.not_before = now + wait;
        self.failures = self.failures.saturating_add(1);
    }

    /// It is being started.
    pub fn starting(&mut self) {
        self.noted = false;
    }

    /// When it may be started again.
    pub fn not_before(&self) -> Instant {
        self.not_before
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_begin_anew_after_health() {
        let settings = BackoffSettings {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(5),
            healthy: Duration::from_secs(60),
        };
        let now = Instant::now();
        let mut backoff = Backoff::new(now);
        let mut waits = Vec::new();
        for ran_for in [0, 0, 0, 0, 61, 0] {
            backoff.ended(Duration::from_secs(ran_for), &settings, now);
            // Told again, as every comparison does.
            backoff.ended(Duration::from_secs(ran_for), &settings, now);
            waits.push(backoff.not_before().duration_since(now).as_secs());
            backoff.starting();
        }
        assert_eq!(waits, [1, 2, 4, 5, 1, 2]);
    }

    #[test]
    fn no_number_of_failures_is_too_many() {
        let settings = BackoffSettings::default();
        let now = Instant::now();
        let mut backoff = Backoff::new(now);
        for _ in 0..100 {
            backoff.failed(&settings, now);
        }
        assert_eq!(backoff.not_before().duration_since(now), settings.longest);
        assert_eq!(backoff.failures(), 100);
    }
}
