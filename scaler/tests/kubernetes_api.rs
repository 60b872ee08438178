//! An API server by itself: the stand-in, and that of the cluster which `KUBECONFIG` names. What the one does, so does the
//! other.
#![cfg(feature = "kubernetes")]

mod cluster;
mod standin;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
    WatchEvent, WatchParams,
};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use self::cluster::{Cluster, Objects, skipped};

cluster::tests_of_clusters!(the_api_server_behaves, what_we_deploy_is_accepted);

/// What the back-end needs of an API server: what the stand-in does is no other than what a real one does.
async fn the_api_server_behaves(cluster: Arc<Cluster>) {
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let map = |name: &str, label: &str| {
        serde_json::from_value::<ConfigMap>(
            json!({"metadata": {"name": name, "labels": {"of": "this", "l": label}}, "data": {"a": "1"}}),
        )
        .unwrap()
    };
    for number in 0..5 {
        let map = map(&format!("m{number}"), if number % 2 == 0 { "even" } else { "odd" });
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
    // Pages, and selectors.
    let ours = ListParams::default().labels("of=this");
    let first = maps.list(&ours.clone().limit(2)).await.unwrap();
    let token = first.metadata.continue_.clone().unwrap();
    let rest = maps.list(&ours.clone().limit(9).continue_token(&token)).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len()), (2, 3));
    assert_eq!(maps.list(&ListParams::default().labels("l=even")).await.unwrap().items.len(), 3);
    let code = |error: kube::Error| match error {
        kube::Error::Api(status) => status.code,
        other => panic!("{other}"),
    };
    // What is only tried is checked, and not done.
    let tried = PostParams { dry_run: true, ..PostParams::default() };
    maps.create(&tried, &map("tried", "x")).await.unwrap();
    assert_eq!(code(maps.get("tried").await.unwrap_err()), 404);
    // Who writes what is old is refused, and who creates what is there.
    let old = maps.get("m0").await.unwrap();
    let mut new = old.clone();
    new.data = Some(BTreeMap::from([("a".into(), "2".into())]));
    maps.replace("m0", &PostParams::default(), &new).await.unwrap();
    assert_eq!(code(maps.replace("m0", &PostParams::default(), &old).await.unwrap_err()), 409);
    let old = json!({"metadata": {"resourceVersion": old.resource_version()}, "data": {"a": "3"}});
    assert_eq!(code(maps.patch("m0", &PatchParams::default(), &Patch::Merge(&old)).await.unwrap_err()), 409);
    assert_eq!(code(maps.create(&PostParams::default(), &map("m0", "x")).await.unwrap_err()), 409);
    // Managers of fields.
    let set = |a: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m1"}, "data": {"a": a}});
    let both = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m1"}, "data": {"a": "3", "b": "4"}});
    maps.patch("m1", &PatchParams::apply("one").force(), &Patch::Apply(&both)).await.unwrap();
    assert_eq!(
        code(maps.patch("m1", &PatchParams::apply("two"), &Patch::Apply(&set("5"))).await.unwrap_err()),
        409
    );
    maps.patch("m1", &PatchParams::apply("two").force(), &Patch::Apply(&set("5"))).await.unwrap();
    // What one no longer says goes, unless another says it too.
    let none = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m1"}});
    let left = maps.patch("m1", &PatchParams::apply("one"), &Patch::Apply(&none)).await.unwrap();
    assert_eq!(left.data, Some(BTreeMap::from([("a".into(), "5".into())])));
    // What was deleted stays for as long as a finalizer does.
    let mut kept = map("kept", "x");
    kept.metadata.finalizers = Some(vec!["tests.perper.dev/stays".to_owned()]);
    maps.create(&PostParams::default(), &kept).await.unwrap();
    maps.delete("kept", &DeleteParams::default()).await.unwrap();
    assert!(maps.get("kept").await.unwrap().metadata.deletion_timestamp.is_some());
    let none = json!({"metadata": {"finalizers": null}});
    maps.patch("kept", &PatchParams::default(), &Patch::Merge(&none)).await.unwrap();
    assert_eq!(code(maps.get("kept").await.unwrap_err()), 404);
    // What has lost its owner goes.
    let owner = left.uid().unwrap();
    let mut owned = map("owned", "x");
    owned.metadata.owner_references = Some(
        serde_json::from_value(
            json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "m1", "uid": owner}]),
        )
        .unwrap(),
    );
    maps.create(&PostParams::default(), &owned).await.unwrap();
    maps.delete("m1", &DeleteParams::default()).await.unwrap();
    if cluster.has_controllers() {
        let gone =
            |maps: &Objects| if maps.contains_key("owned") { Err("it is there".into()) } else { Ok(()) };
        cluster.until::<ConfigMap>("what has lost its owner goes", gone).await;
    } else {
        skipped("that what has lost its owner goes");
    }
}

/// An API server knows all fields that our manifests have, and finds nothing wrong with them.
async fn what_we_deploy_is_accepted(cluster: Arc<Cluster>) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kubernetes"));
    let mut tried = BTreeSet::new();
    for name in ["fabric.yaml", "network-policy.yaml", "rbac.yaml", "restore.yaml", "scaler.yaml"] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        for part in text.split("\n---\n") {
            let mut object: DynamicObject = serde_saphyr::from_str(part).unwrap();
            // As Kustomize does.
            object.metadata.namespace = Some(cluster.client().default_namespace().to_owned());
            if let Some(subject) = object.data.pointer_mut("/subjects/0") {
                subject["namespace"] = object.metadata.namespace.clone().into();
            }
            let types = object.types.clone().expect("a kind");
            tried.insert(types.kind.clone());
            let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types).unwrap());
            let objects: Api<DynamicObject> = Api::default_namespaced_with(cluster.client(), &resource);
            let parameters = PatchParams::apply("user").force().dry_run().validation_strict();
            let outcome = objects.patch(&object.name_any(), &parameters, &Patch::Apply(&object)).await;
            outcome.unwrap_or_else(|error| panic!("{name}, {}: {error}", object.name_any()));
        }
    }
    for kind in ["Deployment", "NetworkPolicy", "Role", "StatefulSet"] {
        assert!(tried.contains(kind), "{kind} is not among {tried:?}");
    }
}

/// The one thing that a server cannot be told to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_forgotten_is_gone() {
    cluster::on_the_stand_in(async |cluster| {
        let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
        let map = |name: &str| serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        for name in ["a", "b", "c"] {
            maps.create(&PostParams::default(), &map(name)).await.unwrap();
        }
        let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
        maps.create(&PostParams::default(), &map("d")).await.unwrap();
        cluster.stand_in().unwrap().compact();
        let token = first.metadata.continue_.clone().unwrap();
        let error = maps.list(&ListParams::default().continue_token(&token)).await.unwrap_err();
        assert!(matches!(&error, kube::Error::Api(status) if status.code == 410), "{error}");
        let version = first.metadata.resource_version.unwrap();
        let mut news = std::pin::pin!(maps.watch(&WatchParams::default(), &version).await.unwrap());
        let event = news.try_next().await.unwrap();
        assert!(matches!(&event, Some(WatchEvent::Error(status)) if status.code == 410), "{event:?}");
    })
    .await;
}
