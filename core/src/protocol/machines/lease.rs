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
#[derive(Debug)]
pub(crate) struct Lease {
    duration: Duration,
    sent: Instant,
    attached: bool,
    revoked: bool,
}

impl Lease {
    /// Before anything is attached: nothing is held, so nothing can lapse.
    pub(crate) fn new(now: Instant) -> Self {
        Lease { duration: Duration::from_secs(20), sent: now, attached: false, revoked: true }
    }

    /// How often an HTTP/2 ping asks whether the peer lives, and how long it has for the answer.
    pub(crate) const PROBE: Duration = Duration::from_secs(2);

    fn margin(&self) -> Duration {
        (2 * Self::PROBE + self.duration / 20).min(self.duration / 2)
    }

    /// A connection has attached the session.
    pub(crate) fn attached(&mut self, duration: Duration, now: Instant) {
        self.duration = duration.max(Duration::from_millis(100));
        self.sent = now;
        self.attached = true;
        self.revoked = false;
    }

    /// A frame has been handed to the connection.
    pub(crate) fn sent(&mut self, now: Instant) {
        if self.attached && self.due(now) != Due::Revoke {
            self.sent = now;
        }
    }

    /// The connection is gone; the lease runs on.
    pub(crate) fn lost(&mut self) {
        self.attached = false;
    }

    /// The holders of reservations have been told.
    pub(crate) fn revoked(&mut self) {
        self.revoked = true;
    }

    pub(crate) fn due(&self, now: Instant) -> Due {
        if !self.revoked && now >= self.sent + self.duration - self.margin() {
            Due::Revoke
        } else if self.attached && now >= self.sent + self.duration / 3 {
            Due::Heartbeat
        } else {
            Due::Nothing
        }
    }

    /// When to ask [`Lease::due`] again.
    pub(crate) fn next(&self) -> Option<Instant> {
        if self.attached {
            Some(self.sent + self.duration / 3)
        } else {
            (!self.revoked).then(|| self.sent + self.duration - self.margin())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(20);

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn an_idle_client_sends_at_a_third_of_the_lease() {
        let start = Instant::now();
        let mut lease = Lease::new(start);
        assert_eq!((lease.due(after(start, 99)), lease.next()), (Due::Nothing, None));
        lease.attached(LEASE, start);
        for (seconds, due) in [(0, Due::Nothing), (6, Due::Nothing), (7, Due::Heartbeat)] {
            assert_eq!(lease.due(after(start, seconds)), due, "after {seconds} s");
        }
        lease.sent(after(start, 7));
        assert_eq!(lease.due(after(start, 13)), Due::Nothing);
        assert_eq!(lease.due(after(start, 14)), Due::Heartbeat);
    }

    #[test]
    fn a_lost_connection_revokes_before_the_lease_ends() {
        let start = Instant::now();
        let mut lease = Lease::new(start);
        lease.attached(LEASE, start);
        lease.lost();
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
        lease.attached(LEASE, start);
        // The frame that it sends on waking comes too late to renew anything.
        lease.sent(after(start, 60));
        assert_eq!(lease.due(after(start, 60)), Due::Revoke);
    }

    #[test]
    fn coming_back_in_time_keeps_the_reservations() {
        let start = Instant::now();
        let mut lease = Lease::new(start);
        lease.attached(LEASE, start);
        lease.lost();
        lease.attached(LEASE, after(start, 10));
        assert_eq!(lease.due(after(start, 16)), Due::Nothing);
    }

    #[test]
    fn a_short_lease_keeps_a_margin_of_half() {
        let start = Instant::now();
        let mut lease = Lease::new(start);
        lease.attached(Duration::from_secs(2), start);
        lease.lost();
        assert_eq!(lease.next(), Some(after(start, 1)));
    }
}
