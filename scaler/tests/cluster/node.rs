//! Plays the nodes of a namespace: Pods run soon after they were made, and end when they are deleted.
//!
//! The images of tests are nowhere, so no node of a cluster could run them; that none tries, their template says.

use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use super::namespace::text;

/// Which scheduler Pods are for: one that no cluster has.
pub(super) const SCHEDULER: &str = "nobody-but-tests";
/// Between an error and the next attempt.
const AGAIN: Duration = Duration::from_millis(200);

/// Until it is dropped.
///
/// A Pod that has a node is deleted in two steps, the second of which is the node's. But what belongs to a node that is
/// not there, a cluster collects after a while; so it is done only where there is none that would.
pub(super) async fn play(client: Client, namespace: String, binds: bool) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    loop {
        let follow = async {
            // It comes back by itself when its watch breaks.
            let mut events =
                std::pin::pin!(watcher(pods.clone(), watcher::Config::default()).default_backoff());
            while let Some(event) = events.next().await {
                if let Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) = event {
                    look_after(&client, &pods, pod, binds).await?;
                }
            }
            Ok(())
        };
        if let Err(error) = follow.await {
            eprintln!("who plays the nodes of {namespace} begins anew: {}", text(error));
            tokio::time::sleep(AGAIN).await;
        }
    }
}

async fn look_after(client: &Client, pods: &Api<Pod>, pod: Pod, binds: bool) -> kube::Result<()> {
    let name = pod.name_any();
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
    let is_bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let done = if pod.metadata.deletion_timestamp.is_some() {
        if !is_bound {
            return Ok(());
        }
        let preconditions = Some(Preconditions { uid: pod.uid(), resource_version: None });
        let parameters = DeleteParams { preconditions, ..DeleteParams::default() }.grace_period(0);
        pods.delete(&name, &parameters).await.map(drop)
    } else if phase != "Pending" {
        return Ok(());
    } else if binds && !is_bound {
        bind(client, &pod).await
    } else {
        // Unless somebody has said something else of it since.
        let running = json!({
            "metadata": {"resourceVersion": pod.resource_version()},
            "status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z",
                       "conditions": [{"type": "Ready", "status": "True"}]},
        });
        pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(&running)).await.map(drop)
    };
    match done {
        // It is gone, or has changed, which is told of next.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        done => done,
    }
}

async fn bind(client: &Client, pod: &Pod) -> kube::Result<()> {
    let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
                         "target": {"apiVersion": "v1", "kind": "Node", "name": "a-test"}});
    let request = http::Request::post(format!("/api/v1/namespaces/{namespace}/pods/{name}/binding"))
        .header("content-type", "application/json")
        .body(binding.to_string().into_bytes())
        .expect("a request");
    client.request::<serde_json::Value>(request).await.map(drop)
}
