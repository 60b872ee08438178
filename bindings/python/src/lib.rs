//! The module `perper._native`: turns values of Python into those of the core and back, wakes event loops, and lets
//! threads wait. Everything that an author sees is written in Python, in `python/src/perper`.

mod alarm;
mod cancellation;
mod connection;
mod cursor;
mod decode;
mod embedded;
mod encode;
mod errors;
mod fork;
mod log;
mod operations;
mod port;
mod records;
mod runtime;
mod types;
mod values;
mod writer;

use pyo3::prelude::*;

// A tenth of a worker's time was allocation; this one needs less of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Perper's core.
#[pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::{
        cancellation::Cancellation,
        cli,
        connection::Connection,
        embedded::Embedded,
        log::take_log,
        port::Port,
        values::{canonicalise, decode, decode_key, encode, encode_item, encode_key},
        writer::Writer,
    };

    /// The version of the package, which is that of the core.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// To be called in a forked child.
    #[pyfunction]
    fn forked() {
        crate::fork::forked();
    }

    /// To be called when the interpreter is about to end.
    #[pyfunction]
    fn close(py: Python<'_>) {
        crate::runtime::close(py);
    }
}

/// Runs the command line that all packages share, and gives the exit code.
#[pyfunction]
fn cli(py: Python<'_>, arguments: Vec<String>) -> u8 {
    py.detach(|| perper_cli::run(arguments))
}
