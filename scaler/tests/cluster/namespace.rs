//! A namespace that one test has to itself.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use super::user;

/// On everything that is in no namespace: who made it.
pub(super) const MADE_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "perper-scaler-tests");

/// How long controllers have to notice a namespace: after that there are none.
const NOTICE: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks at what sends no events to whoever waits.
const LOOK: Duration = Duration::from_millis(100);

/// What an error says, without how it is kept.
pub(super) fn text(error: kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return status.message;
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Calls something until it gives something, or fails for good.
pub(super) async fn until_some<T, F: Future<Output = Result<Option<T>, String>>>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> F,
) -> Result<T, String> {
    let looking = async {
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let outcome = tokio::time::timeout(patience, looking).await;
    outcome.unwrap_or_else(|_| Err(format!("{what}: not within {patience:?}")))
}

/// Makes one of a name that nobody has.
pub(super) async fn make(client: &Client) -> kube::Result<String> {
    let name = format!("perper-test-{:016x}", rand::random::<u64>());
    let namespace: Namespace = serde_json::from_value(json!({
        "metadata": {
            "name": name,
            // Pods of tests run nowhere, and ask for nothing.
            "labels": {MADE_BY.0: MADE_BY.1, "pod-security.kubernetes.io/enforce": "privileged"},
        },
    }))
    .expect("a namespace");
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    Ok(name)
}

/// Waits until Pods can be made in a namespace. True if the controllers of Kubernetes work here, which a bare API server
/// lacks.
pub(super) async fn settle(client: &Client, namespace: &str) -> Result<bool, String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let account = until_some("the account of Pods", NOTICE, || async {
        accounts.get_opt("default").await.map_err(text)
    });
    let has_controllers = account.await.is_ok();
    if !has_controllers {
        let account = serde_json::from_value(json!({"metadata": {"name": "default"}})).expect("an account");
        accounts.create(&PostParams::default(), &account).await.map_err(text)?;
    }
    let mut pod: Value = user::per_instance("Any")["template"].clone();
    pod["metadata"]["name"] = "any".into();
    let pod: Pod = serde_json::from_value(pod).expect("a Pod");
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let may = pods.create(&PostParams { dry_run: true, ..PostParams::default() }, &pod).await;
    may.map_err(|error| format!("Pods as tests make them are refused: {}", text(error)))?;
    Ok(has_controllers)
}

/// Deletes a namespace, and waits until it is gone.
pub(super) async fn remove(client: &Client, name: &str, has_controllers: bool) -> Result<(), String> {
    // A finalizer that a test put on a Pod, and did not come to take off.
    let pods: Api<Pod> = Api::namespaced(client.clone(), name);
    let ours = pods.list(&ListParams::default()).await.map_err(text)?;
    for pod in ours.items.iter().filter(|pod| !pod.finalizers().is_empty()) {
        let none = json!({"metadata": {"finalizers": null}});
        let _ = pods.patch(&pod.name_any(), &PatchParams::default(), &Patch::Merge(&none)).await;
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.delete(name, &DeleteParams::default()).await.map_err(text)?;
    if !has_controllers {
        finish(client, name).await.map_err(text)?;
    }
    until_some(&format!("the end of the namespace {name}"), PATIENCE, || async {
        let left = namespaces.get_opt(name).await.map_err(text)?;
        Ok(if left.is_none() { Some(()) } else { None })
    })
    .await
}

/// What the controller of namespaces does, where there is none.
async fn finish(client: &Client, name: &str) -> kube::Result<()> {
    for (group, resource) in [
        ("/apis/perper.dev/v1alpha1", "perperagents"),
        ("/apis/apps/v1", "deployments"),
        ("/apis/coordination.k8s.io/v1", "leases"),
        ("/apis/events.k8s.io/v1", "events"),
        ("/api/v1", "pods"),
        ("/api/v1", "configmaps"),
        ("/api/v1", "serviceaccounts"),
        ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
        ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    ] {
        let path = format!("{group}/namespaces/{name}/{resource}");
        let request = http::Request::delete(path).body(Vec::new()).expect("a request");
        client.request_text(request).await?;
    }
    let path = format!("/api/v1/namespaces/{name}/finalize");
    let done = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {}});
    let request = http::Request::put(path).header("content-type", "application/json");
    client.request_text(request.body(done.to_string().into_bytes()).expect("a request")).await?;
    Ok(())
}
