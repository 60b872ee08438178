//! The binary `perper-fabric`.

use std::process::ExitCode;

fn main() -> ExitCode {
    perper_fabric::cli::run(std::env::args_os())
}
