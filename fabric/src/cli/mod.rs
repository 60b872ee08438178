//! The command line `perper-fabric`: flags, signals and log lines around a [`Fabric`](crate::Fabric). The binary is this
//! and nothing else, and so is the command `fabric` of the packages for other languages.

mod backup;
mod health;
mod output;
mod restore;
mod serve;
mod telemetry;

pub use serve::run;
