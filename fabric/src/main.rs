//! The binary `perper-fabric`.

use std::process::ExitCode;

/// Most of what the server does per request is to allocate and free small things, on whichever thread comes along. The
/// system's allocator took a third of its time for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    perper_fabric::cli::run(std::env::args_os())
}
