//! The crash audit: a server under load is killed again and again, and nothing that it acknowledged may be missing,
//! nothing may be there twice.
//!
//! Each load is the only one to change its objects, so it knows what must be in them: it holds every answer, and all
//! that it reads back, against a model. A repeated request that took effect twice, a lost one, a batch in part, all show
//! as a difference.

mod calls;
mod creates;
mod dictionary;
mod items;
mod killer;
mod list;
mod load;
mod model;
mod options;
mod relay;
mod report;
mod tally;

pub use killer::audit;
pub use options::{Options, parse};
pub use report::{Outcome, table};
