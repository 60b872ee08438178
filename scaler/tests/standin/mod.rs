//! A stand-in of Kubernetes' API server: enough of it that a controller can be tested as if it were the real one.
//!
//! It keeps resource versions, pages lists, serves watches that resume and have bookmarks, answers `410 Gone` when its
//! history is compacted, refuses stale writes, knows field managers of server-side apply, serves resources that were
//! defined, and does what controllers do: collects what has lost its owner, empties namespaces that are deleted, and has
//! Deployments become ready. Who plays the nodes is in `cluster`.
#![allow(dead_code, reason = "each test file uses a part")]

mod apply;
mod server;
mod store;
mod target;

pub(crate) use server::StandIn;
pub(crate) use target::{query, target};

/// What a kubeconfig says of a server of this machine.
pub(crate) fn kubeconfig(address: std::net::SocketAddr, token: &str, namespace: &str) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": namespace}}],
        "current-context": "here",
    })
}
