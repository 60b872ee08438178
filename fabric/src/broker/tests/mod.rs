//! The broker on two hostile servers: what one client does at one of them, another sees at the other, under every seed.
//!
//! All of a test runs on one thread, and what happens between the servers is decided by the seed, which is printed when
//! it fails. Only the order within hash maps differs from run to run.

mod calls;
mod client;
mod crashes;
mod instances;
mod servers;
mod sessions;
mod streams;
