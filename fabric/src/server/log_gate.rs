//! Keeps a stranger from filling the log.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often one kind of refusal is logged at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// Lets one line per second through and counts the others. The metrics count them all.
#[derive(Debug, Default)]
pub(crate) struct LogGate {
    /// A plain lock: it is held for a few instructions, and only where something was refused.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    unlogged: u64,
}

impl LogGate {
    /// Whether to log now: `Some` with how many lines were left out since the last one.
    pub(crate) fn open(&self) -> Option<u64> {
        self.open_at(Instant::now())
    }

    fn open_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            state.unlogged += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_second_with_the_number_of_those_left_out() {
        let gate = LogGate::default();
        let start = Instant::now();
        assert_eq!(gate.open_at(start), Some(0));
        assert_eq!(gate.open_at(start + Duration::from_millis(1)), None);
        assert_eq!(gate.open_at(start + Duration::from_millis(999)), None);
        assert_eq!(gate.open_at(start + INTERVAL), Some(2));
        assert_eq!(gate.open_at(start + 2 * INTERVAL), Some(0));
    }
}
