//! The controller of Kubernetes against a stand-in of the API server.
#![cfg(feature = "kubernetes")]

mod standin;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use perper::protocol::{Fabric, NewExecution};
use perper_scaler::kubernetes::{Kubernetes, PerperAgent, Settings};
use perper_scaler::{Scaler, reconciler::BackoffSettings};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::standin::StandIn;
use self::standin::user::{apply, instance, per_instance, running, runs};
use self::support::{World, eventually, start, stop};

/// A Scaler in this process.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(world: &World, client: Client, identity: &str, lease: Duration) -> Self {
        let fabric = Fabric::start(world.fabric().settings().with_endpoint(world.endpoint())).unwrap();
        let settings = Settings {
            namespace: None,
            identity: Some(identity.to_owned()),
            lease,
            fabric: vec![("PERPER_FABRIC_ENDPOINT".to_owned(), world.endpoint())],
        };
        let backend = Arc::new(Kubernetes::start(client, settings).unwrap());
        let settings = perper_scaler::Settings {
            backoff: BackoffSettings { first: Duration::from_millis(10), ..BackoffSettings::default() },
            resync: Duration::from_secs(1),
            load_interval: Duration::from_millis(50),
            ..perper_scaler::Settings::default()
        };
        let stop = CancellationToken::new();
        let token = stop.clone();
        let task = tokio::spawn(async move {
            let scaler = Scaler::new(fabric, Arc::clone(&backend), settings);
            scaler.run(token).await.expect("the Fabric answers");
            perper_scaler::backend::Backend::shutdown(&*backend).await;
        });
        Running { stop, task }
    }

    /// As it should end.
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("it ends");
    }
}

const LEASE: Duration = Duration::from_secs(2);

async fn condition(api: &StandIn, name: &str, reason: &str) -> Value {
    eventually(&format!("{name} is {reason}"), || async {
        let status = api.objects("perperagents")[name]["status"].clone();
        if status["conditions"][0]["reason"] == reason { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    api.objects("perperagents")[name]["status"].clone()
}

fn reasons(api: &StandIn) -> BTreeSet<String> {
    api.objects("events")
        .values()
        .map(|event| event["reason"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_come_and_go_with_instances() {
    let (world, api) = (World::new().await, StandIn::start(1).await);
    let client = api.client();
    apply(&client, "sleeper", per_instance("Sleeper")).await;
    let agent = world.agent("Sleeper").await;
    start(agent.context(), "Sleeper", "first instance, of any name/äöü").await;
    let scaler = Running::start(&world, client.clone(), "a", LEASE);
    start(agent.context(), "Sleeper", "i").await;
    runs(&api, &["first instance, of any name/äöü", "i"]).await;
    let pods = api.objects("pods");
    let pod = pods.values().find(|pod| instance(pod) == "i").unwrap();
    assert_eq!(pod["metadata"]["labels"]["team"], "words");
    assert_eq!(pod["metadata"]["labels"]["perper.dev/agent"], "Sleeper");
    assert_eq!(pod["metadata"]["ownerReferences"][0]["name"], "sleeper");
    assert_eq!(pod["metadata"]["ownerReferences"][0]["controller"], true);
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["laterField"], json!({"kept": true}));
    assert_eq!(
        container["env"],
        json!([{"name": "X_PERPER_AGENT", "value": "Sleeper"}, {"name": "X_PERPER_INSTANCE", "value": "i"},
               {"name": "PERPER_FABRIC_ENDPOINT", "value": world.endpoint()}])
    );
    let status = condition(&api, "sleeper", "AllReady").await;
    eventually("the status counts them", || async {
        let status = &api.objects("perperagents")["sleeper"]["status"];
        if status["instances"] == 2 && status["ready"] == 2 { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    assert_eq!(status["observedGeneration"], 1);
    stop(agent.context(), "i").await;
    runs(&api, &["first instance, of any name/äöü"]).await;
    eventually("events tell of it", || async {
        let reasons = reasons(&api);
        if reasons.contains("Created") && reasons.contains("Deleted") {
            Ok(())
        } else {
            Err(format!("{reasons:?}"))
        }
    })
    .await;
    // Pods do not go with the Scaler, but with what says how they are run.
    scaler.stop().await;
    assert_eq!(running(&api).len(), 1);
    assert!(api.objects("leases")["perper-scaler"]["spec"]["holderIdentity"].is_null());
    Api::<PerperAgent>::default_namespaced(client).delete("sleeper", &DeleteParams::default()).await.unwrap();
    runs(&api, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_end_or_are_deleted_come_back() {
    let (world, api) = (World::new().await, StandIn::start(2).await);
    let client = api.client();
    apply(&client, "sleeper", per_instance("Sleeper")).await;
    let agent = world.agent("Sleeper").await;
    start(agent.context(), "Sleeper", "i").await;
    let scaler = Running::start(&world, client.clone(), "a", LEASE);
    runs(&api, &["i"]).await;
    let uid = |api: &StandIn| {
        api.objects("pods").values().next().map(|pod| pod["metadata"]["uid"].clone()).unwrap_or_default()
    };
    for how in ["Failed", "Succeeded", "deleted"] {
        let before = uid(&api);
        let name = api.objects("pods").keys().next().unwrap().clone();
        if how == "deleted" {
            let pods: Api<Pod> = Api::default_namespaced(client.clone());
            pods.delete(&name, &DeleteParams::default()).await.unwrap();
        } else {
            api.end_pod(&name, how);
        }
        eventually("another Pod of the same name", || async {
            let pods = api.objects("pods");
            let ready = pods.get(&name).is_some_and(|pod| pod["status"]["phase"] == "Running");
            if ready && uid(&api) != before { Ok(()) } else { Err(format!("{how}: {pods:?}")) }
        })
        .await;
    }
    scaler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_agents_follow_the_load() {
    let (world, api) = (World::new().await, StandIn::start(3).await);
    let client = api.client();
    let mut spec = per_instance("Shared");
    for (name, value) in [
        ("mode", json!("Shared")),
        ("minReplicas", json!(1)),
        ("maxReplicas", json!(4)),
        ("executionsPerReplica", json!(2)),
    ] {
        spec[name] = value;
    }
    apply(&client, "shared", spec).await;
    let scaler = Running::start(&world, client.clone(), "a", LEASE);
    let replicas = |expected: u32| {
        let api = &api;
        async move {
            eventually(&format!("{expected} replicas"), || async {
                let deployment = api.objects("deployments").get("shared-perper").cloned().unwrap_or_default();
                if deployment["spec"]["replicas"] == expected { Ok(()) } else { Err(deployment.to_string()) }
            })
            .await;
        }
    };
    replicas(1).await;
    let fabric = world.fabric().connect().await.unwrap();
    let create = |number: u32| {
        let fabric = fabric.fabric();
        let execution = NewExecution {
            agent: "Shared".into(),
            delegate: "Work".into(),
            ..NewExecution::new(format!("e{number}"))
        };
        async move { fabric.create_execution(execution).await.unwrap() }
    };
    for number in 0..5 {
        create(number).await;
    }
    replicas(3).await;
    for number in 5..20 {
        create(number).await;
    }
    replicas(4).await;
    condition(&api, "shared", "AllReady").await;
    let deployment = &api.objects("deployments")["shared-perper"];
    assert_eq!(deployment["spec"]["template"]["metadata"]["labels"]["team"], "words");
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][0]["env"][0],
        json!({"name": "X_PERPER_AGENT", "value": "Shared"})
    );
    // What another manager says stays.
    let deployments: Api<k8s_openapi::api::apps::v1::Deployment> = Api::default_namespaced(client.clone());
    let other = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"annotations": {"theirs": "kept"}}});
    deployments.patch("shared-perper", &PatchParams::apply("somebody"), &Patch::Apply(&other)).await.unwrap();
    for number in 0..20 {
        fabric.fabric().cancel_execution(format!("e{number}")).await.unwrap();
    }
    replicas(1).await;
    assert_eq!(api.objects("deployments")["shared-perper"]["metadata"]["annotations"]["theirs"], "kept");
    // An agent that is no longer shared has no Deployment.
    apply(&client, "shared", per_instance("Shared")).await;
    eventually("no Deployment", || async {
        let left = api.objects("deployments");
        if left.is_empty() { Ok(()) } else { Err(format!("{:?}", left.keys())) }
    })
    .await;
    scaler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_run_is_said_and_stops_nobody() {
    let (world, api) = (World::new().await, StandIn::start(4).await);
    let client = api.client();
    apply(&client, "good", per_instance("Good")).await;
    // It is younger, and so does not count.
    apply(&client, "good-too", per_instance("Good")).await;
    apply(
        &client,
        "bad",
        json!({"agent": "Bad", "template": {"spec": {"containers": [{"name": "no-image"}]}}}),
    )
    .await;
    let scaler = Running::start(&world, client.clone(), "a", LEASE);
    let (good, bad, lost) = (world.agent("Good").await, world.agent("Bad").await, world.agent("Lost").await);
    start(bad.context(), "Bad", "b").await;
    start(lost.context(), "Lost", "l").await;
    start(good.context(), "Good", "g").await;
    runs(&api, &["g"]).await;
    let status = condition(&api, "bad", "Failing").await;
    let message = status["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains("image: Required value"), "{message}");
    let status = condition(&api, "good-too", "Superseded").await;
    assert_eq!(status["conditions"][0]["message"], "PerperAgent good is older and runs the same agent");
    eventually("the agent without a template is told of", || async {
        let events = api.objects("events");
        let told = events.values().any(|event| {
            event["reason"] == "NoTemplate"
                && event["regarding"]["kind"] == "Lease"
                && event["note"].as_str().is_some_and(|note| note.contains("Lost"))
        });
        if told { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;
    // Put right, it runs.
    apply(&client, "bad", per_instance("Bad")).await;
    runs(&api, &["b", "g"]).await;
    condition(&api, "bad", "AllReady").await;
    scaler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stand_in_behaves() {
    let api = StandIn::start(6).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(api.client());
    let map = |name: &str, label: &str| {
        serde_json::from_value::<ConfigMap>(
            json!({"metadata": {"name": name, "labels": {"l": label}}, "data": {"a": "1"}}),
        )
        .unwrap()
    };
    for number in 0..5 {
        maps.create(
            &PostParams::default(),
            &map(&format!("m{number}"), if number % 2 == 0 { "even" } else { "odd" }),
        )
        .await
        .unwrap();
    }
    // Pages, and selectors.
    let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
    let token = first.metadata.continue_.clone().unwrap();
    let rest = maps.list(&ListParams::default().continue_token(&token)).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len()), (2, 3));
    assert_eq!(maps.list(&ListParams::default().labels("l=even")).await.unwrap().items.len(), 3);
    // A token, and a version, are worth nothing after a compaction.
    api.compact();
    maps.create(&PostParams::default(), &map("later", "odd")).await.unwrap();
    api.compact();
    let code = |error: kube::Error| match error {
        kube::Error::Api(status) => status.code,
        other => panic!("{other}"),
    };
    assert_eq!(code(maps.list(&ListParams::default().continue_token(&token)).await.unwrap_err()), 410);
    // Who writes what is old is refused, and who creates what is there.
    let old = maps.get("m0").await.unwrap();
    let mut new = old.clone();
    new.data = Some(BTreeMap::from([("a".into(), "2".into())]));
    maps.replace("m0", &PostParams::default(), &new).await.unwrap();
    assert_eq!(code(maps.replace("m0", &PostParams::default(), &old).await.unwrap_err()), 409);
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
    assert!(maps.get_opt("owned").await.unwrap().is_none());
}
