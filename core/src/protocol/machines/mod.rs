//! What can be decided without I/O, as state machines without I/O: no tokio, no clock, no randomness of their own.

pub(crate) mod credit;
pub(crate) mod lease;
pub(crate) mod listener;
pub(crate) mod resync;
pub(crate) mod retry;
pub(crate) mod session;
