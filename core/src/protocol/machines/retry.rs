use std::time::Duration;

use crate::ErrorKind;

/// Spaces attempts to reach a server: twice the time after each failure, up to a bound, with jitter, so that a
/// thousand clients of a server that restarts do not come back as one.
#[derive(Debug)]
pub(crate) struct Retry {
    failures: u32,
}

impl Retry {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(5);
    /// The longest step while the server keeps something for this client, which it does for seconds only.
    const HURRIED: Duration = Duration::from_millis(400);

    pub(crate) fn new() -> Self {
        Retry { failures: 0 }
    }

    /// An attempt was good.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// How many attempts in a row have failed.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// An attempt failed: how long to wait before the next, between half the step and all of it. `random` is spread
    /// evenly over all of u64; `hurry` says that the session and what it holds may still be saved.
    pub(crate) fn failed(&mut self, random: u64, hurry: bool) -> Duration {
        let longest = if hurry { Self::HURRIED } else { Self::LONGEST };
        let step = Self::FIRST.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures += 1;
        let half = step / 2;
        let part = (random >> 32) as u32;
        half + half.mul_f64(f64::from(part) / f64::from(u32::MAX))
    }
}

/// What a failed attempt to connect and attach means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Try again after a while.
    Again,
    /// The session is gone: open another one, at once.
    NewSession,
    /// Trying again gives the same: tell everybody.
    Final,
}

/// Whether an attach that failed with that kind may succeed later.
pub(crate) fn verdict(kind: ErrorKind) -> Verdict {
    match kind {
        ErrorKind::SessionExpired => Verdict::NewSession,
        // Taken over: only by this very client, from a connection that it has given up since; ids are random.
        ErrorKind::Unauthenticated
        | ErrorKind::PermissionDenied
        | ErrorKind::ProtocolNotSupported
        | ErrorKind::FeatureNotSupported
        | ErrorKind::InvalidArgument
        | ErrorKind::InvalidSettings
        | ErrorKind::Closed => Verdict::Final,
        _ => Verdict::Again,
    }
}

/// Whether an answer with that kind says only that the server could not take the request *now*, before it did
/// anything: the client keeps the request and repeats it on its next connection.
pub(crate) fn is_postponed(kind: ErrorKind) -> bool {
    kind == ErrorKind::Draining
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound() {
        let mut retry = Retry::new();
        let longest: Vec<_> = (0..9).map(|_| retry.failed(u64::MAX, false).as_millis()).collect();
        assert_eq!(longest, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        retry.succeeded();
        assert_eq!((retry.failures(), retry.failed(0, false).as_millis()), (0, 25));
        for _ in 0..100_000 {
            assert!(retry.failed(7, false) <= Retry::LONGEST);
        }
        assert_eq!(retry.failed(u64::MAX, true), Retry::HURRIED);
    }

    #[test]
    fn verdicts() {
        for (kind, expected) in [
            (ErrorKind::Unavailable, Verdict::Again),
            (ErrorKind::Draining, Verdict::Again),
            (ErrorKind::StorageFailed, Verdict::Again),
            (ErrorKind::Internal, Verdict::Again),
            (ErrorKind::SessionTakenOver, Verdict::Again),
            (ErrorKind::SessionExpired, Verdict::NewSession),
            (ErrorKind::Unauthenticated, Verdict::Final),
            (ErrorKind::ProtocolNotSupported, Verdict::Final),
        ] {
            assert_eq!(verdict(kind), expected, "{kind}");
        }
    }
}
