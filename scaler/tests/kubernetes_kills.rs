//! Scalers of Kubernetes as processes, of which some are killed and some are cut off: against a stand-in of the API server,
//! and in the cluster that `KUBECONFIG` names.
#![cfg(feature = "kubernetes")]

mod cluster;
mod standin;
mod support;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use perper::RunningAgent;

use self::cluster::user::{apply, instance, per_instance, running, runs};
use self::cluster::{Cluster, Faults, Front};
use self::support::storm::Storm;
use self::support::{Scaler, World, eventually, start};

cluster::tests_of_clusters!(
    of_two_scalers_one_acts_and_the_other_takes_over,
    one_that_is_cut_off_acts_no_more_when_it_is_back,
    exactly_the_wanted_set_runs_after_a_storm,
);

const LEASE: Duration = Duration::from_secs(2);

/// A process that reaches the API server through a front.
fn scaler(world: &World, front: &Front, identity: &str) -> Scaler {
    let folder = world.folder.path().join(&front.name);
    std::fs::create_dir_all(&folder).unwrap();
    let lease = format!("{}s", LEASE.as_secs());
    let flags =
        ["kubernetes", "--identity", identity, "--lease", &lease, "--resync", "1s", "--backoff", "10ms"];
    let kubeconfig = front.kubeconfig(&folder);
    Scaler::start_with(&folder, &world.endpoint(), &flags, &[("KUBECONFIG", &kubeconfig)])
}

/// Waits until a process says that it acts, or that it does not.
async fn leads(scaler: &Scaler, leads: bool) {
    let expected = format!("perper_scaler_leader {}", u8::from(leads));
    eventually(&expected, || async {
        let (_, text) = scaler.page("/metrics").await?;
        if text.lines().any(|line| line == expected) { Ok(()) } else { Err(text) }
    })
    .await;
}

/// Waits until somebody has looked at the Lease so many times more.
async fn looks(cluster: &Cluster, front: &Front, times: usize) {
    let count = || cluster.log("leases").iter().filter(|request| request.by == front.name).count();
    let before = count();
    eventually("it looks at the Lease", || async {
        let looked = count() - before;
        if looked >= times { Ok(()) } else { Err(format!("{looked} of {times} times")) }
    })
    .await;
}

/// Waits until it is known that these made the Pods of these instances, in this order, each once.
async fn made<const N: usize>(cluster: &Cluster, expected: [(&str, &str); N]) {
    let expected = expected.map(|(instance, by)| (instance.to_owned(), by.to_owned()));
    // What a request did can be seen before it is noted.
    eventually("each is made once", || async {
        let log = cluster.log("pods").into_iter();
        let created = log.filter(|request| request.method == http::Method::POST);
        let made: Vec<_> =
            created.filter_map(|request| Some((instance(&request.object?).to_owned(), request.by))).collect();
        if made == expected { Ok(()) } else { Err(format!("{made:?}")) }
    })
    .await;
}

/// How often one looks at the Lease while it is not over.
const LOOKS: usize = 5;

/// Two Scalers and the ways to them. The first acts and has made a Pod for the instance `i`, the second is ready to.
struct Two {
    world: World,
    agent: RunningAgent,
    fronts: [Front; 2],
    first: Scaler,
    second: Scaler,
}

impl Two {
    async fn start(cluster: &Cluster) -> Self {
        let world = World::new().await;
        apply(cluster, "sleeper", per_instance("Sleeper")).await;
        let fronts = [cluster.front("first").await, cluster.front("second").await];
        let agent = world.agent("Sleeper").await;
        start(agent.context(), "Sleeper", "i").await;
        let first = scaler(&world, &fronts[0], "first");
        runs(cluster, &["i"]).await;
        let second = scaler(&world, &fronts[1], "second");
        second.ready().await;
        Two { world, agent, fronts, first, second }
    }
}

async fn of_two_scalers_one_acts_and_the_other_takes_over(cluster: Arc<Cluster>) {
    let Two { world, agent, fronts, first, second } = Two::start(&cluster).await;
    start(agent.context(), "Sleeper", "j").await;
    runs(&cluster, &["i", "j"]).await;
    // For longer than the Lease is valid the other one sees that it is renewed.
    looks(&cluster, &fronts[1], 2 * LOOKS).await;
    leads(&first, true).await;
    leads(&second, false).await;
    let written = |by: &str, resource: &str| {
        let log = cluster.log(resource).into_iter();
        log.filter(|request| request.by == by && request.writes()).collect::<Vec<_>>()
    };
    for resource in ["leases", "pods", "events", "perperagents"] {
        let written = written("second", resource);
        assert!(written.is_empty(), "it only stands by: {written:?}");
    }
    first.kill();
    start(agent.context(), "Sleeper", "k").await;
    runs(&cluster, &["i", "j", "k"]).await;
    leads(&second, true).await;
    let renewed = written("first", "leases").last().expect("it has renewed it").at;
    let taken = written("second", "leases")[0].at;
    let silent = taken - renewed;
    println!("taken over {silent:?} after the last sign of life; the lease is {LEASE:?}");
    // The holder acts for two thirds of that.
    assert!(silent >= LEASE * 4 / 5, "only {silent:?}");
    // One that says so is followed at once.
    let third = cluster.front("third").await;
    let third = (scaler(&world, &third, "third"), third);
    third.0.ready().await;
    second.stop().await;
    start(agent.context(), "Sleeper", "l").await;
    runs(&cluster, &["i", "j", "k", "l"]).await;
    leads(&third.0, true).await;
    let given_up = written("second", "leases").pop().and_then(|request| request.object).expect("a Lease");
    assert!(given_up["spec"]["holderIdentity"].is_null(), "{given_up}");
    third.0.stop().await;
    made(&cluster, [("i", "first"), ("j", "first"), ("k", "second"), ("l", "third")]).await;
}

async fn one_that_is_cut_off_acts_no_more_when_it_is_back(cluster: Arc<Cluster>) {
    let Two { world: _world, agent, fronts, first, second } = Two::start(&cluster).await;
    fronts[0].cut();
    // Both know of it, and one of them can do something.
    start(agent.context(), "Sleeper", "j").await;
    leads(&first, false).await;
    runs(&cluster, &["i", "j"]).await;
    fronts[0].mend();
    looks(&cluster, &fronts[0], 2 * LOOKS).await;
    start(agent.context(), "Sleeper", "k").await;
    runs(&cluster, &["i", "j", "k"]).await;
    leads(&first, false).await;
    leads(&second, true).await;
    made(&cluster, [("i", "first"), ("j", "second"), ("k", "second")]).await;
    // It is as good as any other.
    second.kill();
    start(agent.context(), "Sleeper", "l").await;
    runs(&cluster, &["i", "j", "k", "l"]).await;
    leads(&first, true).await;
    first.stop().await;
}

/// Two Scalers, of which one after the other is killed, and whose ways fail and break.
async fn exactly_the_wanted_set_runs_after_a_storm(cluster: Arc<Cluster>) {
    let mut storm = Storm::new("Sleeper", 150);
    let mut world = World::new().await;
    apply(&cluster, "sleeper", per_instance("Sleeper")).await;
    let agent = world.agent("Sleeper").await;
    let fabric = agent.context().fabric().clone();
    let fronts = [cluster.front("a").await, cluster.front("b").await];
    let mut scalers = fronts.each_ref().map(|front| Some(scaler(&world, front, &front.name)));
    cluster.set_faults(Faults { before: 50, after: 50, watches: 50, compactions: 10 }, storm.seed);
    let mut kills = [0; 4];
    while storm.step(&fabric).await {
        if storm.one_in(40) {
            let chosen = usize::from(storm.one_in(2));
            scalers[chosen].take().expect("it runs").kill();
            kills[0] += 1;
            // A name of its own, as each Pod has.
            let identity = format!("{}{}", fronts[chosen].name, storm.begun());
            scalers[chosen] = Some(scaler(&world, &fronts[chosen], &identity));
        }
        if storm.one_in(60) {
            cluster.restart(&fronts);
            kills[1] += 1;
        }
        if storm.one_in(120) {
            world.restart_fabric().await;
            kills[2] += 1;
        }
        if storm.one_in(25) {
            // What is killed from now on was doing something.
            runs(&cluster, &storm.wanted()).await;
        }
        if storm.one_in(10) {
            let pods: Vec<String> = cluster.objects::<Pod>().await.into_keys().collect();
            if let Some(pod) = storm.choose(&pods) {
                kills[3] += usize::from(cluster.end_pod(pod, "Failed").await.is_some());
            }
        }
    }
    let mut wanted = storm.wanted();
    // They get there while the API server goes on failing, and stay there: once what is asked for last is done, so is
    // everything before it.
    runs(&cluster, &wanted).await;
    start(agent.context(), "Sleeper", "last").await;
    wanted.push("last");
    runs(&cluster, &wanted).await;
    println!(
        "{} instances, {} left; killed: scalers {} times, the API server {}, the Fabric {}, Pods {}",
        storm.instances,
        wanted.len(),
        kills[0],
        kills[1],
        kills[2],
        kills[3]
    );
    for scaler in scalers.into_iter().flatten() {
        scaler.stop().await;
    }
    assert_eq!(running(&cluster.objects::<Pod>().await).len(), wanted.len());
}
