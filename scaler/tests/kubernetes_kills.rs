//! Scalers of Kubernetes as processes, of which some are killed and some are cut off, against a stand-in of the API server.
#![cfg(feature = "kubernetes")]

mod standin;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use perper::protocol::NewInstance;
use rand::prelude::*;
use rand::rngs::StdRng;

use self::standin::user::{apply, instance, per_instance, running, runs};
use self::standin::{Faults, Front, StandIn};
use self::support::{Scaler, World, eventually, start};

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
async fn looks(api: &StandIn, front: &Front, times: usize) {
    let count = || api.log("leases").iter().filter(|request| request.by == front.name).count();
    let before = count();
    eventually("it looks at the Lease", || async {
        let looked = count() - before;
        if looked >= times { Ok(()) } else { Err(format!("{looked} of {times} times")) }
    })
    .await;
}

/// Who made the Pods of instances, in order.
fn makers(api: &StandIn) -> Vec<(String, String)> {
    let log = api.log("pods").into_iter();
    let created = log.filter(|request| request.method == http::Method::POST);
    created.filter_map(|request| Some((instance(&request.object?).to_owned(), request.by))).collect()
}

fn made<const N: usize>(pods: [(&str, &str); N]) -> Vec<(String, String)> {
    pods.map(|(instance, by)| (instance.to_owned(), by.to_owned())).into()
}

/// How often one looks at the Lease while it is not over.
const LOOKS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_scalers_one_acts_and_the_other_takes_over() {
    let (world, api) = (World::new().await, StandIn::start(5).await);
    apply(&api.client(), "sleeper", per_instance("Sleeper")).await;
    let fronts = [api.front("first").await, api.front("second").await, api.front("third").await];
    let agent = world.agent("Sleeper").await;
    start(agent.context(), "Sleeper", "i").await;
    let first = scaler(&world, &fronts[0], "first");
    runs(&api, &["i"]).await;
    let second = scaler(&world, &fronts[1], "second");
    second.ready().await;
    start(agent.context(), "Sleeper", "j").await;
    runs(&api, &["i", "j"]).await;
    // For longer than the Lease is valid the other one sees that it is renewed.
    looks(&api, &fronts[1], 2 * LOOKS).await;
    leads(&first, true).await;
    leads(&second, false).await;
    let written = |by: &str, resource: &str| {
        let log = api.log(resource).into_iter();
        log.filter(|request| request.by == by && request.writes()).collect::<Vec<_>>()
    };
    for resource in ["leases", "pods", "events", "perperagents"] {
        assert!(
            written("second", resource).is_empty(),
            "it only stands by: {:?}",
            written("second", resource)
        );
    }
    first.kill();
    start(agent.context(), "Sleeper", "k").await;
    runs(&api, &["i", "j", "k"]).await;
    leads(&second, true).await;
    let renewed = written("first", "leases").last().expect("it has renewed it").at;
    let taken = written("second", "leases")[0].at;
    let silent = taken - renewed;
    println!("taken over {silent:?} after the last sign of life; the lease is {LEASE:?}");
    // The holder acts for two thirds of that.
    assert!(silent >= LEASE * 4 / 5, "only {silent:?}");
    // One that says so is followed at once.
    let third = scaler(&world, &fronts[2], "third");
    third.ready().await;
    second.stop().await;
    start(agent.context(), "Sleeper", "l").await;
    runs(&api, &["i", "j", "k", "l"]).await;
    leads(&third, true).await;
    let given_up = written("second", "leases").pop().and_then(|request| request.object).expect("a Lease");
    assert!(given_up["spec"]["holderIdentity"].is_null(), "{given_up}");
    third.stop().await;
    let expected = made([("i", "first"), ("j", "first"), ("k", "second"), ("l", "third")]);
    assert_eq!(makers(&api), expected, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_cut_off_acts_no_more_when_it_is_back() {
    let (world, api) = (World::new().await, StandIn::start(6).await);
    apply(&api.client(), "sleeper", per_instance("Sleeper")).await;
    let fronts = [api.front("first").await, api.front("second").await];
    let agent = world.agent("Sleeper").await;
    start(agent.context(), "Sleeper", "i").await;
    let first = scaler(&world, &fronts[0], "first");
    runs(&api, &["i"]).await;
    let second = scaler(&world, &fronts[1], "second");
    second.ready().await;
    fronts[0].cut();
    // Both know of it, and one of them can do something.
    start(agent.context(), "Sleeper", "j").await;
    leads(&first, false).await;
    runs(&api, &["i", "j"]).await;
    fronts[0].mend();
    looks(&api, &fronts[0], 2 * LOOKS).await;
    start(agent.context(), "Sleeper", "k").await;
    runs(&api, &["i", "j", "k"]).await;
    leads(&first, false).await;
    leads(&second, true).await;
    assert_eq!(makers(&api), made([("i", "first"), ("j", "second"), ("k", "second")]), "each once");
    // It is as good as any other.
    second.kill();
    start(agent.context(), "Sleeper", "l").await;
    runs(&api, &["i", "j", "k", "l"]).await;
    leads(&first, true).await;
    first.stop().await;
}

/// Two Scalers, of which one after the other is killed. `PERPER_SCALER_CHURN=1000` makes it a thousand instances;
/// `PERPER_SEED` repeats a run.
#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_wanted_set_runs_after_a_storm() {
    let from_environment =
        |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let instances = from_environment("PERPER_SCALER_CHURN").unwrap_or(150);
    let seed = from_environment("PERPER_SEED").unwrap_or_else(rand::random);
    println!("PERPER_SCALER_CHURN={instances} PERPER_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (mut world, api) = (World::new().await, StandIn::start(seed).await);
    apply(&api.client(), "sleeper", per_instance("Sleeper")).await;
    let agent = world.agent("Sleeper").await;
    let fabric = agent.context().fabric().clone();
    let fronts = [api.front("a").await, api.front("b").await];
    let mut scalers = fronts.each_ref().map(|front| Some(scaler(&world, front, &front.name)));
    api.set_faults(Faults { before: 50, after: 50, watches: 50, compactions: 10 });
    let mut wanted = BTreeSet::new();
    let mut kills = [0; 4];
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
            let chosen = random.random_range(0..2);
            scalers[chosen].take().expect("it runs").kill();
            kills[0] += 1;
            // A name of its own, as each Pod has.
            let identity = format!("{}{number}", fronts[chosen].name);
            scalers[chosen] = Some(scaler(&world, &fronts[chosen], &identity));
        }
        if random.random_ratio(1, 60) {
            api.restart();
            kills[1] += 1;
        }
        if random.random_ratio(1, 120) {
            world.restart_fabric().await;
            kills[2] += 1;
        }
        if random.random_ratio(1, 25) {
            // What is killed from now on was doing something.
            runs(&api, &Vec::from_iter(wanted.iter().map(String::as_str))).await;
        }
        if random.random_ratio(1, 10) {
            let pods: Vec<String> = api.objects("pods").into_keys().collect();
            if let Some(pod) = pods.choose(&mut random) {
                api.end_pod(pod, "Failed");
                kills[3] += 1;
            }
        }
    }
    let mut wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    // They get there while the API server goes on failing, and stay there: once what is asked for last is done, so is
    // everything before it.
    runs(&api, &wanted).await;
    start(agent.context(), "Sleeper", "last").await;
    wanted.push("last");
    runs(&api, &wanted).await;
    println!(
        "{instances} instances, {} left; killed: scalers {} times, the API server {}, the Fabric {}, Pods {}",
        wanted.len(),
        kills[0],
        kills[1],
        kills[2],
        kills[3]
    );
    for scaler in scalers.into_iter().flatten() {
        scaler.stop().await;
    }
    assert_eq!(running(&api).len(), wanted.len());
}
