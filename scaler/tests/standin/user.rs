//! What somebody who uses a cluster does, and looks at.

use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use perper_scaler::kubernetes::PerperAgent;
use serde_json::{Value, json};

use super::StandIn;
use crate::support::eventually;

pub(crate) async fn apply(client: &Client, name: &str, spec: Value) {
    let resources: Api<PerperAgent> = Api::default_namespaced(client.clone());
    let resource = json!({"apiVersion": "perper.dev/v1alpha1", "kind": "PerperAgent", "metadata": {"name": name}, "spec": spec});
    resources.patch(name, &PatchParams::apply("user").force(), &Patch::Apply(&resource)).await.unwrap();
}

pub(crate) fn per_instance(agent: &str) -> Value {
    json!({"agent": agent, "template": {
        "metadata": {"labels": {"team": "words"}},
        "spec": {"containers": [{"name": "main", "image": "words:1", "laterField": {"kept": true}}]}}})
}

pub(crate) fn instance(pod: &Value) -> &str {
    pod["metadata"]["annotations"]["perper.dev/instance"].as_str().unwrap_or_default()
}

/// The instances that have a Pod which is not going, each as often as it has one.
pub(crate) fn running(api: &StandIn) -> Vec<String> {
    let pods = api.objects("pods");
    let mut running: Vec<String> = pods
        .values()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null() && pod["status"]["phase"] != "Failed")
        .map(|pod| instance(pod).to_owned())
        .collect();
    running.sort();
    running
}

pub(crate) async fn runs(api: &StandIn, instances: &[&str]) {
    let mut expected = instances.to_vec();
    expected.sort_unstable();
    eventually("a Pod for each instance", || async {
        let running = running(api);
        if running == expected {
            Ok(())
        } else {
            Err(format!("{} run, {} should: {running:?}", running.len(), expected.len()))
        }
    })
    .await;
}
