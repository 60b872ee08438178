//! What a Scaler is told: by flags, which win over the environment.

mod flags;
mod model;
mod units;

pub use flags::{Invocation, parse};
pub use model::{BackendConfig, Config, LogFormat};
pub use units::parse_time;
