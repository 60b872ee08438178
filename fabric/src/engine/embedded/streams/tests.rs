//! Streams through the engine, on a store that outlives it.

mod backlog;
mod cleanup;
mod fixture;
mod lifecycle;
mod listeners;
mod property;
mod read;
mod replay;
mod write;
