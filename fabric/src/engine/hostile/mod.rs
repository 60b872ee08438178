//! A hostile engine, for tests: several servers over one set of data in memory, and between them and the data whatever
//! the [trait](super::Engine) does not rule out.
//!
//! * What a server hands over takes effect later, in its order but interleaved with that of the others; claims race.
//! * Of the mutations, a part is answered *unknown*: some took effect, others were [lost](lanes) before.
//! * Events come late, twice, in any order among objects, and without steps that a later one makes obsolete. A server is
//!   told [what it follows](audience) and nothing else; of what must be followed by something, one server is told.
//! * A server [crashes](Cluster::crash): some of what it handed over takes effect, it is answered and told nothing any
//!   more, and the others are told what it may have left undone.
//!
//! Everything is decided by one generator from a seed, by one driver, a step at a time: on a thread of its own in the
//! contract's scenarios, as a task beside the brokers in theirs. A failing test prints the seed.

mod audience;
mod chance;
mod cluster;
mod contract;
mod inbox;
mod lanes;
mod server;

pub(crate) use self::cluster::Cluster;
pub(crate) use self::contract::Hostile;
