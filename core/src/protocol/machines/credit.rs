/// An amount of credit: executions or items, and bytes of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// How much a subscription lets the server send.
///
/// The window is what may be outstanding at most. What the server sends takes from it; what the client is done with
/// comes back, and is granted again once it is worth a frame: when half the window is back, or when the subscription
/// asks for a flush because it has nothing left.
#[derive(Debug)]
pub(crate) struct Credit {
    window: Amount,
    /// Granted on this connection and not yet used by the server. Bytes may be overdrawn: the last thing that the
    /// server sends on a positive credit may be larger than it.
    outstanding: Amount,
    /// Came back, not granted yet.
    returned: Amount,
}

impl Credit {
    /// Starts with a full window to grant. `window` is cut to what the server takes, see [`Credit::cut`].
    pub(crate) fn new(window: Amount) -> Self {
        Credit { window, outstanding: Amount::default(), returned: window }
    }

    /// The window within the limits announced by the server.
    pub(crate) fn cut(window: Amount, limits: Amount) -> Amount {
        let cut = |wanted: u64, limit: u64| if limit == 0 { wanted } else { wanted.min(limit) };
        Amount { count: cut(window.count, limits.count), bytes: cut(window.bytes, limits.bytes) }
    }

    /// Opens the window further for good.
    pub(crate) fn widen(&mut self, by: Amount) {
        self.window.count += by.count;
        self.window.bytes += by.bytes;
        self.give_back(by);
    }

    /// The first grant on a connection: everything that is not in the client's hands. What the former connection had
    /// outstanding is void.
    pub(crate) fn begin(&mut self) -> Amount {
        self.returned.count += self.outstanding.count;
        self.returned.bytes += self.outstanding.bytes;
        self.outstanding = Amount::default();
        self.take()
    }

    /// The server has sent something.
    pub(crate) fn used(&mut self, amount: Amount) {
        self.outstanding.count = self.outstanding.count.saturating_sub(amount.count);
        self.outstanding.bytes = self.outstanding.bytes.saturating_sub(amount.bytes);
    }

    /// The client is done with something. True when it is time to grant again.
    pub(crate) fn give_back(&mut self, amount: Amount) -> bool {
        // What was overdrawn was never granted, and does not come back as credit.
        let room = |window: u64, outstanding: u64| window.saturating_sub(outstanding);
        let Amount { count, bytes } = self.returned;
        self.returned.count = (count + amount.count).min(room(self.window.count, self.outstanding.count));
        self.returned.bytes = (bytes + amount.bytes).min(room(self.window.bytes, self.outstanding.bytes));
        self.is_worth_a_frame()
    }

    fn is_worth_a_frame(&self) -> bool {
        let half = |returned: u64, window: u64| returned > 0 && returned >= window.div_ceil(2);
        half(self.returned.count, self.window.count) || half(self.returned.bytes, self.window.bytes)
    }

    /// Whether a flush would grant anything.
    pub(crate) fn has_returned(&self) -> bool {
        self.returned != Amount::default()
    }

    /// Takes what is to be granted now.
    pub(crate) fn take(&mut self) -> Amount {
        let grant = std::mem::take(&mut self.returned);
        self.outstanding.count += grant.count;
        self.outstanding.bytes += grant.bytes;
        grant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(count: u64, bytes: u64) -> Amount {
        Amount { count, bytes }
    }

    #[test]
    fn grants_again_when_half_is_back() {
        let mut credit = Credit::new(amount(10, 1000));
        assert_eq!(credit.begin(), amount(10, 1000));
        credit.used(amount(10, 300));
        for (done, worth) in [(1, false), (3, false), (1, true)] {
            assert_eq!(credit.give_back(amount(done, 30 * done)), worth, "{done} done");
        }
        assert_eq!(credit.take(), amount(5, 150));
        assert!(!credit.has_returned());
    }

    #[test]
    fn bytes_alone_are_worth_a_frame() {
        let mut credit = Credit::new(amount(1000, 100));
        credit.begin();
        credit.used(amount(1, 60));
        assert!(credit.give_back(amount(1, 60)));
    }

    #[test]
    fn a_new_connection_gets_what_is_not_in_the_clients_hands() {
        let mut credit = Credit::new(amount(10, 1000));
        credit.begin();
        credit.used(amount(4, 400));
        credit.give_back(amount(1, 100));
        // Three are still being worked on: 10 - 3.
        assert_eq!(credit.begin(), amount(7, 700));
    }

    #[test]
    fn never_more_outstanding_and_in_hand_than_the_window() {
        let window = amount(8, 800);
        let mut credit = Credit::new(window);
        let mut granted = credit.begin().count;
        let (mut sent, mut done) = (0, 0);
        for step in 0..1000u64 {
            if step % 3 == 0 && done < sent {
                done += 1;
                if credit.give_back(amount(1, 100)) {
                    granted += credit.take().count;
                }
            } else if sent < granted {
                sent += 1;
                credit.used(amount(1, 100));
            }
            assert!(granted - done <= window.count, "step {step}");
        }
        assert!(sent > 100);
    }

    #[test]
    fn what_was_overdrawn_does_not_widen_the_window() {
        let mut credit = Credit::new(amount(10, 100));
        credit.begin();
        // Larger than all the credit there is: it came alone.
        credit.used(amount(1, 150));
        credit.give_back(amount(1, 150));
        assert_eq!(credit.take(), amount(1, 100));
    }

    #[test]
    fn the_window_is_cut_to_the_servers_limits_and_zero_is_no_limit() {
        assert_eq!(Credit::cut(amount(10, 1000), amount(4, 0)), amount(4, 1000));
        assert_eq!(Credit::cut(amount(10, 1000), amount(0, 64)), amount(10, 64));
    }

    #[test]
    fn widening_grants_the_difference() {
        let mut credit = Credit::new(amount(0, 100));
        credit.begin();
        assert!(credit.widen_by_one());
        assert_eq!(credit.take(), amount(1, 0));
    }

    impl Credit {
        fn widen_by_one(&mut self) -> bool {
            self.widen(amount(1, 0));
            self.has_returned()
        }
    }
}
