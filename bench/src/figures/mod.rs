//! The figures, group by group.

mod bench;
mod calls;
mod idle;
mod items;
mod memory;
mod state;

pub use bench::measure;
