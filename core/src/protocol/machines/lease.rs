use std::time::{Duration, Instant};

/// What it is time for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing; ask again at [`Lease::next`].
    Nothing,
    /// Send a frame, if only an empty one.
    Heartbeat,
    /// The server may end the lease soon, and with it every reservation: cancel the handlers that hold one.
    Revoke,
}

/// The lease of a session as its client sees it, on the client's own clock.
///
/// The server ends the lease `duration` after the last frame that *reached* it. The client knows when it *sent* one; a
/// frame sent shortly before a connection was found dead may never have arrived. So the client stops early by a
/// margin: the time that finding a dead connection takes, and a little for what is under way.
///
/// A connection that *breaks* leaves less: the server sees that too, and keeps reservations for its grace only. Not
/// so when the server itself went, announced or found gone, since its successor renews every lease in full.
#[derive(Debug)]
pub(crate) struct Lease {
    duration: Duration,
    /// Zero when the server has not told.
    grace: Duration,
    sent: Instant,
    /// When the connection broke, while a server may be counting its grace since.
    broken: Option<Instant>,
    attached: bool,
    revoked: bool,
}

impl Lease {
    /// Before anything is attached: nothing is held, so nothing can lapse.
    pub(crate) fn new(now: Instant) -> Self {
        Lease {
            duration: Duration::from_secs(20),
            grace: Duration::ZERO,
            sent: now,
            broken: None,
            attached: false,
            revoked: true,
        }
    }

    /// How often an HTTP/2 ping asks whether the peer lives, and how long it has for the answer.
    pub(crate) const PROBE: Duration = Duration::from_secs(2);

    fn margin(&self) -> Duration {
        (2 * Self::PROBE + self.duration / 20).min(self.duration / 2)
    }

    /// A connection has attached the session.
    pub(crate) fn attached(&mut self, duration: Duration, grace: Duration, now: Instant) {
        self.duration = duration.max(Duration::from_millis(100));
        self.grace = grace;
        self.sent = now;
        self.broken = None;
        self.attached = true;
        self.revoked = false;
    }

    /// A frame has been handed to the connection.
    pub(crate) fn sent(&mut self, now: Instant) {
        if self.attached && self.due(now) != Due::Revoke {
            self.sent = now;
        }
    }

    /// The connection is gone; the lease runs on, and the grace begins. Told again of connections that came to
    /// nothing, which change nothing.
    pub(crate) fn lost(&mut self, now: Instant) {
        if std::mem::take(&mut self.attached) && !self.grace.is_zero() {
            self.broken = Some(now);
        }
    }

    /// The server has gone: nobody counts the grace.
    pub(crate) fn server_gone(&mut self) {
        self.broken = None;
    }

    /// When the holders of reservations must have been told.
    fn end(&self) -> Instant {
        let lease = self.sent + self.duration - self.margin();
        // A fifth remains for the handlers to stop in.
        self.broken.map_or(lease, |broken| lease.min(broken + self.grace - self.grace / 5))
    }

    /// The holders of reservations have been told.
    pub(crate) fn revoked(&mut self) {
        self.revoked = true;
    }

    pub(crate) fn due(&self, now: Instant) -> Due {
        if !self.revoked && now >= self.end() {
            Due::Revoke
        } else if self.attached && now >= self.sent + self.duration / 3 {
            Due::Heartbeat
        } else {
            Due::Nothing
        }
    }

    /// When to ask [`Lease::due`] again.
    pub(crate) fn next(&self) -> Option<Instant> {
        if self.attached { Some(self.sent + self.duration / 3) } else { (!self.revoked).then(|| self.end()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(20);

    const GRACE: Duration = Duration::from_secs(5);

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn an_idle_client_sends_at_a_third_of_the_lease() {
        let start = Instant::now();
        let mut lease = Lease::new(start);
        assert_eq!((lease.due(after(start, 99)), lease.next()), (Due::Nothing, None));
        lease.attached(LEASE, GRACE, start);
        for (seconds, due) in [(0, Due::Nothing), (6, Due::Nothing), (7, Due::Heartbeat)] {
            assert_eq!(lease.due(after(start, seconds)), due, "after {seconds} s");
        }
        lease.sent(after(start, 7));
        assert_eq!(lease.due(after(start, 13)), Due::Nothing);
        assert_eq!(lease.due(after(start, 14)), Due::Heartbeat);
    }

    #[test]
    fn a_broken_connection_revokes_before_the_shorter_of_lease_and_grace_ends() {
        for (what, lease_s, grace_s, broken, end) in [
            ("the grace is shorter", 20, 5, 0, 4),
            ("it counts from the break", 20, 5, 6, 10),
            ("the lease is over first", 20, 5, 14, 15),
            ("the grace is longer", 20, 60, 1, 15),
            ("no grace was told", 20, 0, 1, 15),
        ] {
            let start = Instant::now();
            let mut lease = Lease::new(start);
            lease.attached(Duration::from_secs(lease_s), Duration::from_secs(grace_s), start);
            lease.lost(after(start, broken));
            // One that could not be opened either.
            lease.lost(after(start, broken + 1));
            assert_eq!(lease.next(), Some(after(start, end)), "{what}");
            assert_eq!(lease.due(after(start, end) - Duration::from_millis(1)), Due::Nothing, "{what}");
            assert_eq!(lease.due(after(start, end)), Due::Revoke, "{what}");
        }
    }

    #[test]
    fn a_server_that_is_gone_leaves_the_lease() {
        let start = Instant::now();
        let mut lease = Lease::new(start);
        lease.attached(LEASE, GRACE, start);
        lease.lost(start);
        lease.server_gone();
        assert_eq!(lease.due(after(start, 14)), Due::Nothing);
        assert_eq!(lease.due(after(start, 14)), Due::Nothing);
        assert_eq!(lease.next(), Some(after(start, 15)));
        assert_eq!(lease.due(after(start, 15)), Due::Revoke);
        lease.revoked();
        assert_eq!((lease.due(after(start, 16)), lease.next()), (Due::Nothing, None));
    }

    #[test]
    fn a_process_that_was_paused_past_its_lease_revokes_although_it_is_attached() {
        let start = Instant::now();
        let mut lease = Lease::new(start);
        lease.attached(LEASE, GRACE, start);
        // The frame that it sends on waking comes too late to renew anything.
        lease.sent(after(start, 60));
        assert_eq!(lease.due(after(start, 60)), Due::Revoke);
    }

    #[test]
    fn coming_back_in_time_keeps_the_reservations() {
        let start = Instant::now();
        let mut lease = Lease::new(start);
        lease.attached(LEASE, GRACE, start);
        lease.lost(start);
        lease.attached(LEASE, GRACE, after(start, 3));
        assert_eq!(lease.due(after(start, 9)), Due::Nothing);
    }

    #[test]
    fn a_short_lease_keeps_a_margin_of_half() {
        let start = Instant::now();
        let mut lease = Lease::new(start);
        lease.attached(Duration::from_secs(2), GRACE, start);
        lease.lost(start);
        assert_eq!(lease.next(), Some(after(start, 1)));
    }
}
