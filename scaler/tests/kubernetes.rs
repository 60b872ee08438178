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
use perper::protocol::{Fabric, NewExecution, NewInstance};
use perper_scaler::kubernetes::{Kubernetes, PerperAgent, Settings};
use perper_scaler::{Scaler, reconciler::BackoffSettings};
use rand::prelude::*;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::standin::{Faults, StandIn};
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

    /// As in a crash: it does not give up its Lease.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

const LEASE: Duration = Duration::from_secs(2);

async fn apply(client: &Client, name: &str, spec: Value) {
    let resources: Api<PerperAgent> = Api::default_namespaced(client.clone());
    let resource = json!({"apiVersion": "perper.dev/v1alpha1", "kind": "PerperAgent", "metadata": {"name": name}, "spec": spec});
    resources.patch(name, &PatchParams::apply("user").force(), &Patch::Apply(&resource)).await.unwrap();
}

fn per_instance(agent: &str) -> Value {
    json!({"agent": agent, "template": {
        "metadata": {"labels": {"team": "words"}},
        "spec": {"containers": [{"name": "main", "image": "words:1", "laterField": {"kept": true}}]}}})
}

fn instance(pod: &Value) -> &str {
    pod["metadata"]["annotations"]["perper.dev/instance"].as_str().unwrap_or_default()
}

/// The instances that have a Pod which is not going.
fn running(api: &StandIn) -> Vec<String> {
    let pods = api.objects("pods");
    let mut running: Vec<String> = pods
        .values()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null() && pod["status"]["phase"] != "Failed")
        .map(|pod| instance(pod).to_owned())
        .collect();
    running.sort();
    running
}

async fn runs(api: &StandIn, instances: &[&str]) {
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

fn holder(api: &StandIn) -> Option<String> {
    let lease = api.objects("leases").get("perper-scaler").cloned()?;
    lease["spec"]["holderIdentity"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_scalers_one_acts_and_the_other_takes_over() {
    let (world, api) = (World::new().await, StandIn::start(5).await);
    let client = api.client();
    apply(&client, "sleeper", per_instance("Sleeper")).await;
    let agent = world.agent("Sleeper").await;
    start(agent.context(), "Sleeper", "i").await;
    let first = Running::start(&world, api.client(), "first", LEASE);
    runs(&api, &["i"]).await;
    assert_eq!(holder(&api).as_deref(), Some("first"));
    let second = Running::start(&world, api.client(), "second", LEASE);
    start(agent.context(), "Sleeper", "j").await;
    runs(&api, &["i", "j"]).await;
    assert_eq!(holder(&api).as_deref(), Some("first"));
    // It dies without a word.
    first.kill().await;
    let since = std::time::Instant::now();
    start(agent.context(), "Sleeper", "k").await;
    runs(&api, &["i", "j", "k"]).await;
    assert_eq!(holder(&api).as_deref(), Some("second"));
    println!("taken over after {:?}; the lease is {LEASE:?}", since.elapsed());
    assert!(since.elapsed() >= LEASE / 2, "the first one may still have acted");
    // One that says so is followed at once.
    let third = Running::start(&world, api.client(), "third", LEASE);
    second.stop().await;
    start(agent.context(), "Sleeper", "l").await;
    runs(&api, &["i", "j", "k", "l"]).await;
    assert_eq!(holder(&api).as_deref(), Some("third"));
    third.stop().await;
    let twice: Vec<_> = api
        .created()
        .into_iter()
        .filter(|(name, count)| name.starts_with("sleeper-") && *count > 1)
        .collect();
    assert!(twice.is_empty(), "{twice:?}");
}

/// `PERPER_SCALER_CHURN=1000` makes it a thousand instances; `PERPER_SEED` repeats a run.
#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_wanted_set_runs_after_a_storm() {
    let from_environment =
        |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let instances = from_environment("PERPER_SCALER_CHURN").unwrap_or(150);
    let seed = from_environment("PERPER_SEED").unwrap_or_else(rand::random);
    println!("PERPER_SCALER_CHURN={instances} PERPER_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (world, api) = (World::new().await, StandIn::start(seed).await);
    apply(&api.client(), "sleeper", per_instance("Sleeper")).await;
    let agent = world.agent("Sleeper").await;
    let fabric = agent.context().fabric().clone();
    api.set_faults(Faults { before: 50, after: 50, watches: 50, compactions: 10 });
    let mut scaler = Running::start(&world, api.client(), "s0", Duration::from_secs(1));
    let (mut wanted, mut kills) = (BTreeSet::new(), 0);
    for number in 0..instances {
        let id = format!("i{number}");
        let instance =
            NewInstance { agent: "Sleeper".into(), instance: id.clone(), ..NewInstance::default() };
        fabric.start_instance(instance).await.expect("it starts");
        wanted.insert(id);
        if random.random_ratio(1, 3) {
            let gone = wanted.iter().choose(&mut random).cloned().expect("there is one");
            assert!(fabric.stop_instance(&gone, false, None).await.expect("it stops"));
            wanted.remove(&gone);
        }
        if random.random_ratio(1, 40) {
            scaler.kill().await;
            kills += 1;
            scaler = Running::start(&world, api.client(), &format!("s{kills}"), Duration::from_secs(1));
        }
        if random.random_ratio(1, 10) {
            let pods: Vec<String> = api.objects("pods").into_keys().collect();
            if let Some(pod) = pods.choose(&mut random) {
                api.end_pod(pod, "Failed");
            }
        }
    }
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    // It gets there while the API server goes on failing.
    runs(&api, &wanted).await;
    println!("{instances} instances, {} left; the scaler was killed {kills} times", wanted.len());
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
