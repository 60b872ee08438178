//! The Scaler with local processes: its binary, a Fabric, and real processes.

mod support;

use std::time::Duration;

use perper::protocol::NewInstance;
use rustix::process::Signal;

use self::support::{Scaler, World, all_processes, eventually, kill, start, stop};

/// One process for each instance, which does nothing.
const SLEEP: &str = "
agents:
  Sleeper:
    command: [sleep, '1000']
    environment: {TEST_ID: $ID}
";

#[tokio::test(flavor = "multi_thread")]
async fn processes_come_and_go_with_instances() {
    let world = World::new().await;
    let agent = world.agent("Sleeper").await;
    let context = agent.context();
    start(context, "Sleeper", "before").await;
    let scaler = Scaler::process(&world, &world.write(SLEEP), &[]);
    world.runs(&["before"]).await;
    start(context, "Sleeper", "b").await;
    start(context, "Sleeper", "c").await;
    world.runs(&["b", "before", "c"]).await;
    for found in world.processes() {
        assert_eq!(found.environment["X_PERPER_AGENT"], "Sleeper");
        assert_eq!(found.environment["PERPER_FABRIC_ENDPOINT"], world.endpoint());
        assert!(!found.environment.contains_key("PERPER_SCALER_LOG_FILTER"));
    }
    stop(context, "b").await;
    world.runs(&["before", "c"]).await;
    scaler.stop().await;
    world.nothing_runs().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_life_of_an_instance_is_another_process() {
    let world = World::new().await;
    let agent = world.agent("Sleeper").await;
    let scaler = Scaler::process(&world, &world.write(SLEEP), &[]);
    let first = start(agent.context(), "Sleeper", "i").await;
    world.runs(&["i"]).await;
    let before = world.other_than("i", 0).await;
    stop(agent.context(), "i").await;
    // Its id is free again once the Fabric has forgotten how the first life ended.
    eventually("the same id can be taken again", || async {
        let instance =
            NewInstance { agent: "Sleeper".into(), instance: "i".into(), ..NewInstance::default() };
        match agent.context().fabric().start_instance(instance).await {
            Ok(second) if second.incarnation > first => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    world.other_than("i", before).await;
    scaler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_is_started_again() {
    let world = World::new().await;
    let agent = world.agent("Sleeper").await;
    start(agent.context(), "Sleeper", "i").await;
    let scaler = Scaler::process(&world, &world.write(SLEEP), &["--backoff", "10ms"]);
    let mut pid = world.other_than("i", 0).await;
    for _ in 0..3 {
        kill(pid, Signal::KILL);
        pid = world.other_than("i", pid).await;
    }
    scaler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_follow_the_policy() {
    let world = World::new().await;
    let file = world.write(
        "
agents:
  Well: {command: [sh, -c, 'echo well done'], shared: 1, restart: on-failure}
  Ill: {command: [sh, -c, 'echo ill >&2; exit 3'], shared: 1, restart: on-failure}
  Once: {command: [sh, -c, 'echo once; exit 3'], shared: 1, restart: never}
  Lost: {command: [no-such-program], shared: 1, restart: never}
",
    );
    let scaler = Scaler::process(&world, &file, &["--backoff", "10ms"]);
    let count = |line: &str| scaler.out().lines().filter(|told| *told == line).count();
    eventually("the one that fails is started again and again", || async {
        if count("Ill[0] | ill") < 4 { Err(scaler.out()) } else { Ok(()) }
    })
    .await;
    eventually("the others have run", || async {
        let out = scaler.out();
        if out.contains("well done") && out.contains("once") && out.contains("Lost") {
            Ok(())
        } else {
            Err(out)
        }
    })
    .await;
    assert_eq!((count("Well[0] | well done"), count("Once[0] | once")), (1, 1));
    assert!(
        scaler.out().contains("Lost[0] | no-such-program cannot be run: No such file"),
        "{}",
        scaler.out()
    );
    scaler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_run_without_instances() {
    let world = World::new().await;
    let file =
        world.write("agents: {Shared: {command: [sleep, '1000'], shared: 3, environment: {TEST_ID: $ID}}}");
    let scaler = Scaler::process(&world, &file, &[]);
    eventually("three processes", || async {
        let leaders = world.leaders();
        if leaders.get("").map(Vec::len) == Some(3) { Ok(()) } else { Err(format!("{leaders:?}")) }
    })
    .await;
    scaler.stop().await;
    world.nothing_runs().await;
}

/// A process with children, all of which ignore what they are told.
const STUBBORN: &str = "
agents:
  Sleeper:
    command: [sh, -c, \"trap '' TERM; sleep 1000 & sleep 1000 & wait; wait\"]
    environment: {TEST_ID: $ID}
    grace: 200ms
";

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_killed_whole_after_their_grace() {
    let world = World::new().await;
    let agent = world.agent("Sleeper").await;
    start(agent.context(), "Sleeper", "i").await;
    start(agent.context(), "Sleeper", "j").await;
    let scaler = Scaler::process(&world, &world.write(STUBBORN), &[]);
    eventually("two groups of three", || async {
        let found = world.processes();
        if found.len() == 6 { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    stop(agent.context(), "i").await;
    eventually("one group of three", || async {
        let found = world.processes();
        if found.len() == 3 { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    scaler.stop().await;
    world.nothing_runs().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outlives_a_scaler_that_is_killed() {
    let world = World::new().await;
    let agent = world.agent("Sleeper").await;
    let file = world.write(STUBBORN);
    start(agent.context(), "Sleeper", "i").await;
    start(agent.context(), "Sleeper", "j").await;
    let scaler = Scaler::process(&world, &file, &[]);
    world.runs(&["i", "j"]).await;
    scaler.kill();
    world.nothing_runs().await;
    stop(agent.context(), "i").await;
    // The next one finds what is wanted by now.
    let scaler = Scaler::process(&world, &file, &[]);
    world.runs(&["j"]).await;
    scaler.stop().await;
    world.nothing_runs().await;
}

/// Kills the keeper of a scaler, and waits until it is dead: before that, a scaler that starts something takes it for
/// alive.
async fn kill_keeper(scaler: &Scaler) {
    let is_keeper = |pid: i32| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.split(|byte| *byte == 0).any(|argument| argument == b"__keep")
    };
    let mut children = all_processes().into_iter().filter(|found| found.parent == scaler.pid());
    let keeper = children.find(|found| is_keeper(found.pid)).expect("a keeper").pid;
    kill(keeper, Signal::KILL);
    eventually("the keeper is dead", || async {
        match std::fs::read_to_string(format!("/proc/{keeper}/stat")) {
            Ok(stat) if !stat.contains(") Z ") => Err(stat),
            _ => Ok(()),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_a_scaler_killed_with_its_keeper_are_cleared_away() {
    let world = World::new().await;
    let agent = world.agent("Sleeper").await;
    let file = world.write(SLEEP);
    start(agent.context(), "Sleeper", "i").await;
    let scaler = Scaler::process(&world, &file, &[]);
    world.runs(&["i"]).await;
    let before = world.other_than("i", 0).await;
    kill_keeper(&scaler).await;
    scaler.kill();
    // Nobody is left to kill it.
    assert_eq!(world.other_than("i", 0).await, before);
    let scaler = Scaler::process(&world, &file, &[]);
    scaler.ready().await;
    world.other_than("i", before).await;
    assert!(scaler.log().contains("a Scaler before this one had left"), "{}", scaler.log());
    scaler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_that_is_killed_is_replaced() {
    let world = World::new().await;
    let agent = world.agent("Sleeper").await;
    start(agent.context(), "Sleeper", "i").await;
    let scaler = Scaler::process(&world, &world.write(SLEEP), &[]);
    world.runs(&["i"]).await;
    kill_keeper(&scaler).await;
    start(agent.context(), "Sleeper", "j").await;
    world.runs(&["i", "j"]).await;
    scaler.kill();
    world.nothing_runs().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_scaler_of_the_same_file_does_not_start() {
    let world = World::new().await;
    let file = world.write(SLEEP);
    let scaler = Scaler::process(&world, &file, &[]);
    scaler.ready().await;
    let mut second = Scaler::process(&world, &file, &[]);
    assert_eq!(second.ended().await, Some(1));
    assert!(second.log().contains("another perper-scaler runs with the same file"), "{}", second.log());
    drop(scaler);
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_without_a_template_are_reported_and_stop_nobody() {
    let world = World::new().await;
    let (lost, sleeper) = (world.agent("Lost").await, world.agent("Sleeper").await);
    start(lost.context(), "Lost", "l").await;
    let scaler = Scaler::process(&world, &world.write(SLEEP), &[]);
    start(sleeper.context(), "Sleeper", "i").await;
    world.runs(&["i"]).await;
    eventually("metrics name it", || async {
        let (_, text) = scaler.page("/metrics").await?;
        let named = text.contains("perper_scaler_instances_without_template{agent=\"Lost\"} 1");
        let runs = text.contains("perper_scaler_units{agent=\"Sleeper\",state=\"running\"} 1");
        if named && runs { Ok(()) } else { Err(text) }
    })
    .await;
    let told = scaler.log().lines().filter(|line| line.contains("no template names this agent")).count();
    assert_eq!(told, 1, "{}", scaler.log());
    assert_eq!(scaler.page("/livez").await.unwrap().0, 200);
    scaler.ready().await;
    assert_eq!(scaler.health(), (Some(0), String::new()));
    assert_eq!(scaler.page("/other").await.unwrap().0, 404);
    scaler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fabric_that_restarts_changes_nothing() {
    let mut world = World::new().await;
    let agent = world.agent("Sleeper").await;
    start(agent.context(), "Sleeper", "i").await;
    start(agent.context(), "Sleeper", "j").await;
    let scaler = Scaler::process(&world, &world.write(SLEEP), &["--grace", "0s"]);
    let before = [world.other_than("i", 0).await, world.other_than("j", 0).await];
    world.restart_fabric().await;
    // The scaler has heard of the Fabric again when it hears of this.
    start(agent.context(), "Sleeper", "k").await;
    world.runs(&["i", "j", "k"]).await;
    assert_eq!([world.other_than("i", 0).await, world.other_than("j", 0).await], before);
    stop(agent.context(), "i").await;
    world.runs(&["j", "k"]).await;
    scaler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_fabric_knows_nothing_of_has_a_time_of_grace() {
    let mut world = World::new().await;
    let agent = world.agent("Sleeper").await;
    start(agent.context(), "Sleeper", "i").await;
    // Long enough that on a busy machine, too, `j` runs before it is over.
    let grace = Duration::from_secs(10);
    let scaler = Scaler::process(&world, &world.write(SLEEP), &["--grace", "10s"]);
    world.runs(&["i"]).await;
    // The scaler may meet the other Fabric before this test goes on.
    let since = std::time::Instant::now();
    world.replace_fabric(None).await;
    start(agent.context(), "Sleeper", "j").await;
    // It has met the other Fabric, and has not touched what it does not know.
    world.runs(&["i", "j"]).await;
    world.runs(&["j"]).await;
    assert!(since.elapsed() >= grace, "only {:?}", since.elapsed());
    scaler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_what_is_wrong() {
    let world = World::new().await;
    let file = world.write(SLEEP);
    // Nobody is there: the scaler waits for a Fabric that never comes.
    let scaler = Scaler::start(
        world.folder.path(),
        "http://127.0.0.1:1",
        &["process", "--file", file.to_str().unwrap()],
    );
    eventually("it serves", || async { scaler.page("/livez").await.map(drop) }).await;
    let expected = "the Fabric has not told yet what there is\n";
    assert_eq!(scaler.health(), (Some(1), expected.to_owned()));
    scaler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_are_named() {
    let world = World::new().await;
    let file = world.write("agents: {A: {command: []}}");
    let mut scaler = Scaler::process(&world, &file, &[]);
    assert_eq!(scaler.ended().await, Some(2));
    assert!(scaler.log().contains("perper.yaml: agent \"A\": the command is empty"), "{}", scaler.log());
}
