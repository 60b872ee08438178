//! The core behind the npm package `perper`.
//!
//! Everything of size crosses as one packed batch each way, see [`perper::application::worker::packed`]; this crate only
//! carries the batches, and wakes the event loop when there is one. The TypeScript in `node/src` reads and writes them
//! in place.

#![cfg_attr(
    test,
    allow(dead_code, reason = "napi-derive leaves the exports out of a test build, which only lints make")
)]

mod cli;
mod connection;
mod embedded;
mod options;
mod port;
mod refusal;
mod runtime;
mod values;

// Allocation was a seventh of a worker's time; this one needs less of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
