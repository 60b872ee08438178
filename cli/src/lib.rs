#![doc = include_str!("../README.md")]

mod call;
mod json;
mod ps;
mod run;
mod tail;

pub use run::run;
