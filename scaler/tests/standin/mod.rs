//! A stand-in of Kubernetes' API server: enough of it that a controller can be tested as if it were the real one.
//!
//! It keeps resource versions, pages lists, serves watches that resume and have bookmarks, answers `410 Gone` when its
//! history is compacted, refuses stale writes, knows field managers of server-side apply, collects what has lost its
//! owner, and has a node that makes Pods run and end. And it fails when told to: before an effect, after it, in the middle
//! of a watch.
#![allow(dead_code, unused_imports, reason = "each test file uses a part")]

mod apply;
mod front;
mod server;
mod store;
pub(crate) mod user;

pub(crate) use front::Front;
pub(crate) use server::StandIn;
pub(crate) use store::Faults;
