//! What the load generator runs in processes of its own: callers, workers, writers, listeners, and the echo.
//!
//! A role is this program run again with `role <JSON>`. It says `ready` with a line on its output, begins at a line on
//! its input, tells what it measured with another line, and ends with its input, so that none outlives its parent.

mod calls;
mod echo;
mod items;
mod measured;
mod process;
mod state;
mod window;

pub use measured::{Latency, Measured};
pub use process::{Role, RoleProcess, run};
pub use window::Window;
