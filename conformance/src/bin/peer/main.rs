//! The peer for Rust: what the harness drives to see that this library does what every library must. `README.md` of this
//! folder's crate has the protocol.

mod agent;
mod answer;
mod commands;
mod gate;
mod generators;
mod listeners;
mod output;
mod process;
mod sequence;
mod states;
mod streams;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    process::run().await
}
