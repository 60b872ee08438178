//! The core of Perper for the languages that uniffi serves.
//!
//! Nothing here belongs to one language: .NET stands on it today, and uniffi's own generators for Kotlin and Swift read
//! the same metadata. It is thin on purpose. A language connects, makes a [`Port`], waits for [`Port::ready`], takes
//! packed bytes from [`Port::drain`] and hands packed bytes to [`Port::submit`]; the format is described in
//! [`perper::application::worker::packed`]. There is no callback into the language, and no exported call
//! per item.
//!
//! The exports are not asynchronous in tokio's sense: whoever calls polls them on a thread of its own. So each enters
//! the runtime of this library, which owns a few threads, before it touches the core.

#![expect(
    clippy::result_large_err,
    reason = "the one error has the fields that cross the boundary, and uniffi takes no box in their place"
)]

mod connection;
mod embedded;
mod error;
mod logs;
mod port;
mod runtime;
mod values;

pub use connection::{ConnectSettings, Connection, ServerInfo, connect};
pub use embedded::EmbeddedFabric;
pub use error::{FailureDetails, NativeError};
pub use logs::{LogLevel, LogRecord, Logs};
pub use port::{GeneratorSettings, Port, Resume, ServeSettings};
pub use values::{canonicalise, encode_key, validate};

// A fifth of what a call takes here is memory allocation. What is made here is freed here, whoever asks for it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

uniffi::setup_scaffolding!();
