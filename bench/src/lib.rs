//! What `perper-bench`, the load generator, and `perper-audit`, the crash audit, share.
//!
//! Both start a server of their own, as a process, and talk to it through the protocol layer of the crate `perper`, as
//! an application would. `docs/benchmarks.md` tells how they are run and what came of it.

pub mod audit;
pub mod echo;
pub mod figures;
pub mod options;
pub mod report;
pub mod roles;
pub mod server;
pub mod usage;
pub mod values;
