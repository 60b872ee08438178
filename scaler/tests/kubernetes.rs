//! The controller of Kubernetes: against a stand-in of the API server, and in the cluster that `KUBECONFIG` names.
#![cfg(feature = "kubernetes")]

mod cluster;
mod standin;
mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use perper::protocol::{Fabric, NewExecution};
use perper_scaler::kubernetes::{Kubernetes, PerperAgent, Settings};
use perper_scaler::{Scaler, reconciler::BackoffSettings};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::cluster::user::{apply, instance, per_instance, running, runs};
use self::cluster::{Cluster, Objects, skipped};
use self::standin::StandIn;
use self::support::{World, start, stop};

cluster::tests_of_clusters!(
    pods_come_and_go_with_instances,
    pods_that_end_or_are_deleted_come_back,
    a_pod_that_is_going_is_not_replaced_before_it_is_gone,
    shared_agents_follow_the_load,
    what_cannot_run_is_said_and_stops_nobody,
);

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

/// Waits until a resource says this of itself, and gives it.
async fn condition(cluster: &Cluster, name: &str, reason: &str) -> Value {
    let says = |resources: &Objects| {
        let status = &resources[name]["status"];
        if status["conditions"][0]["reason"] == reason { Ok(()) } else { Err(status.to_string()) }
    };
    cluster
        .until::<PerperAgent>(&format!("{name} is {reason}"), says)
        .await
        .remove(name)
        .expect("it is there")
}

fn reasons(events: &Objects) -> BTreeSet<&str> {
    events.values().map(|event| event["reason"].as_str().unwrap_or_default()).collect()
}

async fn pods_come_and_go_with_instances(cluster: Arc<Cluster>) {
    let world = World::new().await;
    let mut spec = per_instance("Sleeper");
    // An API server leaves out what it does not know; the stand-in, as one of a later version, keeps it.
    if cluster.stand_in().is_some() {
        spec["template"]["spec"]["containers"][0]["laterField"] = json!({"kept": true});
    }
    apply(&cluster, "sleeper", spec.clone()).await;
    let agent = world.agent("Sleeper").await;
    start(agent.context(), "Sleeper", "first instance, of any name/äöü").await;
    let scaler = Running::start(&world, cluster.scalers_client(), "a", LEASE);
    start(agent.context(), "Sleeper", "i").await;
    let pods = runs(&cluster, &["first instance, of any name/äöü", "i"]).await;
    let pod = pods.values().find(|pod| instance(pod) == "i").unwrap();
    assert_eq!(pod["metadata"]["labels"]["team"], "words");
    assert_eq!(pod["metadata"]["labels"]["perper.dev/agent"], "Sleeper");
    assert_eq!(pod["metadata"]["ownerReferences"][0]["name"], "sleeper");
    assert_eq!(pod["metadata"]["ownerReferences"][0]["controller"], true);
    let container = &pod["spec"]["containers"][0];
    for (field, value) in spec["template"]["spec"]["containers"][0].as_object().unwrap() {
        assert_eq!(container[field], *value, "{field}");
    }
    assert_eq!(
        container["env"],
        json!([{"name": "X_PERPER_AGENT", "value": "Sleeper"}, {"name": "X_PERPER_INSTANCE", "value": "i"},
               {"name": "PERPER_FABRIC_ENDPOINT", "value": world.endpoint()}])
    );
    let resource = condition(&cluster, "sleeper", "AllReady").await;
    assert_eq!(resource["status"]["observedGeneration"], resource["metadata"]["generation"]);
    let counted = |resources: &Objects| {
        let status = &resources["sleeper"]["status"];
        if status["instances"] == 2 && status["ready"] == 2 { Ok(()) } else { Err(status.to_string()) }
    };
    cluster.until::<PerperAgent>("the status counts them", counted).await;
    stop(agent.context(), "i").await;
    runs(&cluster, &["first instance, of any name/äöü"]).await;
    let told = |events: &Objects| {
        let reasons = reasons(events);
        let told = reasons.contains("Created") && reasons.contains("Deleted");
        if told { Ok(()) } else { Err(format!("{reasons:?}")) }
    };
    cluster.until::<Event>("events tell of it", told).await;
    // Pods do not go with the Scaler, but with what says how they are run.
    scaler.stop().await;
    assert_eq!(running(&cluster.objects::<Pod>().await).len(), 1);
    assert!(cluster.objects::<Lease>().await["perper-scaler"]["spec"]["holderIdentity"].is_null());
    let resources = Api::<PerperAgent>::default_namespaced(cluster.client());
    resources.delete("sleeper", &DeleteParams::default()).await.unwrap();
    if cluster.has_controllers() {
        runs(&cluster, &[]).await;
    } else {
        skipped("that Pods go with what owns them");
    }
}

async fn pods_that_end_or_are_deleted_come_back(cluster: Arc<Cluster>) {
    let world = World::new().await;
    apply(&cluster, "sleeper", per_instance("Sleeper")).await;
    let agent = world.agent("Sleeper").await;
    start(agent.context(), "Sleeper", "i").await;
    let scaler = Running::start(&world, cluster.scalers_client(), "a", LEASE);
    let mut pods = runs(&cluster, &["i"]).await;
    let (name, _) = pods.first_key_value().unwrap();
    let name = name.clone();
    for how in ["Failed", "Succeeded", "deleted"] {
        let before = pods[&name]["metadata"]["uid"].clone();
        if how == "deleted" {
            let pods: Api<Pod> = Api::default_namespaced(cluster.client());
            pods.delete(&name, &DeleteParams::default()).await.unwrap();
        } else {
            cluster.end_pod(&name, how).await.expect("it is there");
        }
        let replaced = |pods: &Objects| {
            let ready = pods
                .get(&name)
                .is_some_and(|pod| pod["status"]["phase"] == "Running" && pod["metadata"]["uid"] != before);
            if ready { Ok(()) } else { Err(format!("{how}: {pods:?}")) }
        };
        pods = cluster.until::<Pod>("another Pod of the same name", replaced).await;
    }
    scaler.stop().await;
}

async fn a_pod_that_is_going_is_not_replaced_before_it_is_gone(cluster: Arc<Cluster>) {
    let world = World::new().await;
    apply(&cluster, "sleeper", per_instance("Sleeper")).await;
    let agent = world.agent("Sleeper").await;
    start(agent.context(), "Sleeper", "i").await;
    let scaler = Running::start(&world, cluster.scalers_client(), "a", LEASE);
    let pods = runs(&cluster, &["i"]).await;
    let (name, pod) = pods.first_key_value().unwrap();
    let api: Api<Pod> = Api::default_namespaced(cluster.client());
    let finalizers = |of: Value| json!({"metadata": {"finalizers": of}});
    let stays = finalizers(json!(["tests.perper.dev/stays"]));
    api.patch(name, &PatchParams::default(), &Patch::Merge(&stays)).await.unwrap();
    api.delete(name, &DeleteParams::default()).await.unwrap();
    // Others come meanwhile, so there is nothing that it could still be about to do.
    for other in ["j", "k"] {
        start(agent.context(), "Sleeper", other).await;
        let came = |pods: &Objects| {
            let running = running(pods);
            if running.iter().any(|instance| instance == other) {
                Ok(())
            } else {
                Err(format!("{running:?}"))
            }
        };
        let pods = cluster.until::<Pod>("others come", came).await;
        assert_eq!(pods[name]["metadata"]["uid"], pod["metadata"]["uid"]);
        assert!(pods[name]["metadata"]["deletionTimestamp"].is_string(), "{}", pods[name]);
    }
    api.patch(name, &PatchParams::default(), &Patch::Merge(&finalizers(Value::Null))).await.unwrap();
    let pods = runs(&cluster, &["i", "j", "k"]).await;
    assert_ne!(pods[name]["metadata"]["uid"], pod["metadata"]["uid"]);
    scaler.stop().await;
}

async fn shared_agents_follow_the_load(cluster: Arc<Cluster>) {
    let world = World::new().await;
    let mut spec = per_instance("Shared");
    for (name, value) in [
        ("mode", json!("Shared")),
        ("minReplicas", json!(1)),
        ("maxReplicas", json!(4)),
        ("executionsPerReplica", json!(2)),
    ] {
        spec[name] = value;
    }
    apply(&cluster, "shared", spec).await;
    let scaler = Running::start(&world, cluster.scalers_client(), "a", LEASE);
    let replicas = async |expected: u32| {
        let has = |deployments: &Objects| match deployments.get("shared-perper") {
            Some(deployment) if deployment["spec"]["replicas"] == expected => Ok(()),
            other => Err(format!("{other:?}")),
        };
        let found = cluster.until::<Deployment>(&format!("{expected} replicas"), has).await;
        found["shared-perper"].clone()
    };
    replicas(1).await;
    let fabric = world.fabric().connect().await.unwrap();
    let create = async |number: u32| {
        let execution = NewExecution {
            agent: "Shared".into(),
            delegate: "Work".into(),
            ..NewExecution::new(format!("e{number}"))
        };
        fabric.fabric().create_execution(execution).await.unwrap();
    };
    for number in 0..5 {
        create(number).await;
    }
    replicas(3).await;
    for number in 5..20 {
        create(number).await;
    }
    let deployment = replicas(4).await;
    if cluster.has_controllers() {
        condition(&cluster, "shared", "AllReady").await;
    } else {
        skipped("that replicas become ready");
    }
    let template = &deployment["spec"]["template"];
    assert_eq!(template["metadata"]["labels"]["team"], "words");
    let first = &template["spec"]["containers"][0]["env"][0];
    assert_eq!(*first, json!({"name": "X_PERPER_AGENT", "value": "Shared"}));
    // What another manager says stays.
    let deployments: Api<Deployment> = Api::default_namespaced(cluster.client());
    let other = json!({"apiVersion": "apps/v1", "kind": "Deployment",
                       "metadata": {"name": "shared-perper", "annotations": {"theirs": "kept"}}});
    deployments.patch("shared-perper", &PatchParams::apply("somebody"), &Patch::Apply(&other)).await.unwrap();
    for number in 0..20 {
        fabric.fabric().cancel_execution(format!("e{number}")).await.unwrap();
    }
    assert_eq!(replicas(1).await["metadata"]["annotations"]["theirs"], "kept");
    // An agent that is no longer shared has no Deployment.
    apply(&cluster, "shared", per_instance("Shared")).await;
    let none = |left: &Objects| if left.is_empty() { Ok(()) } else { Err(format!("{:?}", left.keys())) };
    cluster.until::<Deployment>("no Deployment", none).await;
    scaler.stop().await;
}

async fn what_cannot_run_is_said_and_stops_nobody(cluster: Arc<Cluster>) {
    let world = World::new().await;
    apply(&cluster, "good", per_instance("Good")).await;
    // It is younger, or as old and later in the alphabet, and so does not count.
    apply(&cluster, "good-too", per_instance("Good")).await;
    let mut imageless = per_instance("Bad");
    imageless["template"]["spec"]["containers"] = json!([{"name": "no-image"}]);
    apply(&cluster, "bad", imageless).await;
    let scaler = Running::start(&world, cluster.scalers_client(), "a", LEASE);
    let (good, bad, lost) = (world.agent("Good").await, world.agent("Bad").await, world.agent("Lost").await);
    start(bad.context(), "Bad", "b").await;
    start(lost.context(), "Lost", "l").await;
    start(good.context(), "Good", "g").await;
    runs(&cluster, &["g"]).await;
    let resource = condition(&cluster, "bad", "Failing").await;
    let message = resource["status"]["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains("image: Required value"), "{message}");
    let resource = condition(&cluster, "good-too", "Superseded").await;
    let message = &resource["status"]["conditions"][0]["message"];
    assert_eq!(*message, "PerperAgent good is older and runs the same agent");
    let told = |events: &Objects| {
        let told = events.values().any(|event| {
            event["reason"] == "NoTemplate"
                && event["regarding"]["kind"] == "Lease"
                && event["note"].as_str().is_some_and(|note| note.contains("Lost"))
        });
        if told { Ok(()) } else { Err(format!("{events:?}")) }
    };
    cluster.until::<Event>("the agent without a template is told of", told).await;
    // Put right, it runs.
    apply(&cluster, "bad", per_instance("Bad")).await;
    runs(&cluster, &["b", "g"]).await;
    condition(&cluster, "bad", "AllReady").await;
    scaler.stop().await;
}

/// These same tests, in a process that is told of a cluster by `KUBECONFIG`.
async fn with_kubeconfig(kubeconfig: &Path, tests: &str) -> (bool, String) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", tests])
        .env("KUBECONFIG", kubeconfig)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(300), child).await.expect("it ends").unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tests_run_in_the_cluster_that_a_kubeconfig_names() {
    let (stand_in, folder) = (StandIn::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("kubeconfig");
    std::fs::write(&file, stand_in.kubeconfig().to_string()).unwrap();
    let (passed, said) = with_kubeconfig(&file, "in_the_cluster").await;
    let result = format!(" {} passed; 0 failed; 0 ignored", in_the_cluster::TESTS);
    assert!(passed && said.contains(&result), "{said}");
    let left = ["namespaces", "customresourcedefinitions", "pods"].map(|kind| stand_in.count(kind));
    assert_eq!(left, [0, 0, 0], "nothing is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_that_leads_nowhere_fails_the_tests() {
    let (stand_in, folder) = (StandIn::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("kubeconfig");
    let mut strangers = stand_in.kubeconfig();
    strangers["users"][0]["user"]["token"] = "a stranger's".into();
    let mut nobody = stand_in.kubeconfig();
    nobody["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1".into();
    for (text, complaint) in [
        (strangers.to_string(), "cannot be used: nobody of this name"),
        (nobody.to_string(), "http://127.0.0.1:1/ cannot be used: "),
        ("{".to_owned(), "cannot be read: "),
    ] {
        std::fs::write(&file, text).unwrap();
        let (passed, said) = with_kubeconfig(&file, "in_the_cluster::pods_that_end").await;
        assert!(!passed && said.contains(complaint), "{said}");
    }
    let (passed, said) = with_kubeconfig(Path::new(""), "in_the_cluster::pods_that_end").await;
    assert!(!passed && said.contains("KUBECONFIG is not set"), "{said}");
}
