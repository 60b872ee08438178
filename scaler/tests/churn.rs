//! Instances created and destroyed at random, while the Scaler and the Fabric are killed at random: at the end exactly
//! the wanted set runs.

mod support;

use rustix::process::Signal;

use self::support::storm::Storm;
use self::support::{Scaler, World, kill, start};

const SLEEP: &str = "
agents:
  Sleeper: {command: [sleep, '10000'], environment: {TEST_ID: $ID}, grace: 5s}
";

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_wanted_set_runs_after_a_storm() {
    let mut storm = Storm::new("Sleeper", 120);
    let mut world = World::new().await;
    let agent = world.agent("Sleeper").await;
    let file = world.write(SLEEP);
    let fabric = agent.context().fabric().clone();
    let mut scaler = Scaler::process(&world, &file, &["--backoff", "50ms"]);
    let mut kills = [0; 3];
    while storm.step(&fabric).await {
        if storm.one_in(40) {
            scaler.kill();
            scaler = Scaler::process(&world, &file, &["--backoff", "50ms"]);
            kills[0] += 1;
        }
        if storm.one_in(60) {
            world.restart_fabric().await;
            kills[1] += 1;
        }
        if storm.one_in(25) {
            // What is killed from now on was doing something.
            world.runs(&storm.wanted()).await;
        }
        if storm.one_in(10) {
            let leaders: Vec<i32> = world.leaders().into_values().flatten().collect();
            if let Some(pid) = storm.choose(&leaders) {
                kill(*pid, Signal::KILL);
                kills[2] += 1;
            }
        }
    }
    let mut wanted = storm.wanted();
    world.runs(&wanted).await;
    // And it stays so: once what is asked for last is done, so is everything before it.
    start(agent.context(), "Sleeper", "last").await;
    wanted.push("last");
    world.runs(&wanted).await;
    println!(
        "{} instances, {} left; killed: the scaler {} times, the Fabric {}, processes {}",
        storm.instances,
        wanted.len(),
        kills[0],
        kills[1],
        kills[2]
    );
    scaler.stop().await;
    world.nothing_runs().await;
}
