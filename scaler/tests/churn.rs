//! Instances created and destroyed at random, while the Scaler and the Fabric are killed at random: at the end exactly
//! the wanted set runs.
//!
//! `PERPER_SCALER_CHURN=1000` makes it a thousand instances; `PERPER_SEED` repeats a run.

mod support;

use std::collections::BTreeSet;

use perper::protocol::NewInstance;
use rand::prelude::*;
use rand::rngs::StdRng;
use rustix::process::Signal;

use self::support::{Scaler, World, kill, start};

const SLEEP: &str = "
agents:
  Sleeper: {command: [sleep, '10000'], environment: {TEST_ID: $ID}, grace: 5s}
";

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_wanted_set_runs_after_a_storm() {
    let instances = from_environment("PERPER_SCALER_CHURN").unwrap_or(120);
    let seed = from_environment("PERPER_SEED").unwrap_or_else(rand::random);
    println!("PERPER_SCALER_CHURN={instances} PERPER_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::new().await;
    let agent = world.agent("Sleeper").await;
    let file = world.write(SLEEP);
    let fabric = agent.context().fabric().clone();
    let mut scaler = Scaler::process(&world, &file, &["--backoff", "50ms"]);
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    let mut kills = [0; 3];
    for number in 0..instances {
        let id = format!("i{number}");
        let instance =
            NewInstance { agent: "Sleeper".into(), instance: id.clone(), ..NewInstance::default() };
        fabric.start_instance(instance).await.expect("it starts");
        wanted.insert(id);
        // One in three goes again, some of them at once.
        if random.random_ratio(1, 3) {
            let gone = wanted.iter().choose(&mut random).cloned().expect("there is one");
            assert!(fabric.stop_instance(&gone, false, None).await.expect("it stops"));
            wanted.remove(&gone);
        }
        if random.random_ratio(1, 40) {
            scaler.kill();
            scaler = Scaler::process(&world, &file, &["--backoff", "50ms"]);
            kills[0] += 1;
        }
        if random.random_ratio(1, 60) {
            world.restart_fabric().await;
            kills[1] += 1;
        }
        if random.random_ratio(1, 25) {
            // What is killed from now on was doing something.
            world.runs(&Vec::from_iter(wanted.iter().map(String::as_str))).await;
        }
        if random.random_ratio(1, 10) {
            let leaders: Vec<i32> = world.leaders().into_values().flatten().collect();
            if let Some(pid) = leaders.choose(&mut random) {
                kill(*pid, Signal::KILL);
                kills[2] += 1;
            }
        }
    }
    let mut wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    world.runs(&wanted).await;
    // And it stays so: once what is asked for last is done, so is everything before it.
    start(agent.context(), "Sleeper", "last").await;
    wanted.push("last");
    world.runs(&wanted).await;
    println!(
        "{instances} instances, {} left; killed: the scaler {} times, the Fabric {}, processes {}",
        wanted.len(),
        kills[0],
        kills[1],
        kills[2]
    );
    scaler.stop().await;
    world.nothing_runs().await;
}
