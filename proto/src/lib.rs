//! The protocol of Perper: messages and gRPC stubs generated from the files under `proto/`, the file descriptors for
//! reflection, the one table of [`Reason`]s, and what both ends of a connection have in common ([`Together`]).
//!
//! The proto files are the documentation of the protocol; `docs/protocol.md` tells how they are used.

mod reason;
mod together;

pub use reason::Reason;
pub use together::{Spawned, Together};

/// Package `perper.v1`: everything that clients and the Fabric say to each other.
#[allow(
    missing_docs,
    clippy::all,
    unreachable_pub,
    reason = "generated; the proto files hold the documentation"
)]
pub mod v1 {
    include!("generated/perper.v1.rs");
}

/// Package `externalscaler`: KEDA's interface of external scalers.
#[allow(
    missing_docs,
    clippy::all,
    unreachable_pub,
    reason = "generated; the proto files hold the documentation"
)]
pub mod externalscaler {
    include!("generated/externalscaler.rs");
}

/// The encoded `FileDescriptorSet` of both packages, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptors.bin");
