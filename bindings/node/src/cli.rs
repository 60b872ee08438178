use napi_derive::napi;

/// Runs the command line that all packages share, and gives the exit code. It is the last that a process does: it keeps
/// the event loop from turning until it is over.
#[napi(catch_unwind)]
pub fn cli(arguments: Vec<String>) -> u32 {
    perper_cli::run(arguments).into()
}
