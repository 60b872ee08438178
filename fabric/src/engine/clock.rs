use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::Timestamp;

/// The server's time: the wall clock when it started, and the monotonic clock since. So deadlines survive a restart,
/// and a wall clock that is set while the server runs moves nothing.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    started_nanos: u128,
}

impl Clock {
    /// The clock of a server that starts now.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_nanos: wall.as_nanos() }
    }

    fn nanos(&self) -> u128 {
        self.started_nanos + self.started.elapsed().as_nanos()
    }

    /// Milliseconds since the Unix epoch.
    pub fn now(&self) -> Timestamp {
        Timestamp((self.nanos() / 1_000_000) as u64)
    }

    /// 100-ns ticks since the Unix epoch, for automatic keys of streams.
    pub fn ticks(&self) -> i64 {
        i64::try_from(self.nanos() / 100).unwrap_or(i64::MAX)
    }

    /// The instant of a time, for timers; the past is now.
    pub fn instant(&self, time: Timestamp) -> Instant {
        let nanos = (u128::from(time.0) * 1_000_000).saturating_sub(self.started_nanos);
        let since_start = std::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 2));
        self.started
            .checked_add(since_start)
            .unwrap_or_else(|| self.started + std::time::Duration::from_secs(1 << 32))
    }
}
