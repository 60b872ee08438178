use super::Embedded;
use crate::metrics::ExecutionEnd;

/// What the shards count under locks that they hold anyway, so that counting costs the hot paths nothing. Since this
/// boot, but for `pending` and `reserved`, which are as of now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    /// Executions that wait for a worker.
    pub(crate) pending: u64,
    /// Executions that a worker holds; once for each session that does.
    pub(crate) reserved: u64,
    /// Executions created.
    pub(crate) created: u64,
    /// Executions that ended, by [`ExecutionEnd`].
    pub(crate) ended: [u64; ExecutionEnd::ALL.len()],
    /// Reservations given out.
    pub(crate) activations: u64,
    /// Reservations of what had been given out before.
    pub(crate) redeliveries: u64,
    /// Reservations that ended without their holder's doing.
    pub(crate) revocations: u64,
    /// Items appended to streams.
    pub(crate) stream_items: u64,
    /// Bytes of them.
    pub(crate) stream_bytes: u64,
}

impl Embedded {
    /// The counts as of now.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = self.executions.with(|executions| executions.tally());
        (tally.stream_items, tally.stream_bytes) = self.streams.with(|streams| streams.appended());
        tally
    }
}
