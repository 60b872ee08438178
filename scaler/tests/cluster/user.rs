//! What somebody who uses a cluster does, and looks at.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams};
use perper_scaler::kubernetes::PerperAgent;
use serde_json::{Value, json};

use super::node::SCHEDULER;
use super::{Cluster, Objects};

pub(crate) async fn apply(cluster: &Cluster, name: &str, spec: Value) {
    let resources: Api<PerperAgent> = Api::default_namespaced(cluster.client());
    let resource = json!({"apiVersion": "perper.dev/v1alpha1", "kind": "PerperAgent", "metadata": {"name": name}, "spec": spec});
    resources.patch(name, &PatchParams::apply("user").force(), &Patch::Apply(&resource)).await.unwrap();
}

/// What makes a Pod for each instance, which no node of a cluster takes.
pub(crate) fn per_instance(agent: &str) -> Value {
    json!({"agent": agent, "template": {
        "metadata": {"labels": {"team": "words"}},
        "spec": {"schedulerName": SCHEDULER, "containers": [{"name": "main", "image": "words:1", "workingDir": "/words"}]}}})
}

pub(crate) fn instance(pod: &Value) -> &str {
    pod["metadata"]["annotations"]["perper.dev/instance"].as_str().unwrap_or_default()
}

/// The instances that have a Pod which is not going, each as often as it has one.
pub(crate) fn running(pods: &Objects) -> Vec<String> {
    let mut running: Vec<String> = pods
        .values()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null() && pod["status"]["phase"] != "Failed")
        .map(|pod| instance(pod).to_owned())
        .collect();
    running.sort();
    running
}

pub(crate) async fn runs(cluster: &Cluster, instances: &[&str]) -> Objects {
    let mut expected = instances.to_vec();
    expected.sort_unstable();
    let a_pod_for_each = |pods: &Objects| {
        let running = running(pods);
        if running == expected {
            Ok(())
        } else {
            Err(format!("{} run, {} should: {running:?}", running.len(), expected.len()))
        }
    };
    cluster.until::<Pod>("a Pod for each instance", a_pod_for_each).await
}
