//! The Scaler with a real Docker Engine. `./dev docker` starts one, makes the images, and runs these.
#![cfg(feature = "compose")]

mod support;

use std::path::PathBuf;
use std::process::Stdio;

use perper::protocol::{Fabric, Settings};

use self::support::docker::{Events, Project, docker, image};
use self::support::wordcount::{Text, lines, pipe, tokenized, top};
use self::support::{Scaler, World, eventually, open_to_all, start, stop};

/// Lines of the text that is counted: so many before what is killed, and as many after it.
const HALF: u32 = 2_000;

/// A container that does nothing, ends with its input, and as the first process of its own ignores SIGTERM.
fn sleeper(more: &str) -> String {
    format!(
        "{{image: '{}', command: [__keep], stdin_open: true, network_mode: none, {more}}}",
        image("scaler")
    )
}

fn project(world: &World, services: &str) -> Project {
    let file = world.folder.path().join("docker-compose.yml");
    std::fs::write(&file, services).unwrap();
    Project::new(world.folder.path(), file, &[])
}

fn scaler(world: &World, project: &Project, flags: &[&str]) -> Scaler {
    let file = world.folder.path().join("docker-compose.yml");
    let arguments = ["compose", "--file", file.to_str().unwrap(), "--project-name", &project.name];
    Scaler::start(world.folder.path(), &world.endpoint(), &[&arguments, flags].concat())
}

fn inspect(container: &str, what: &str) -> String {
    docker(&["inspect", "--format", what, container])
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Docker Engine: ./dev docker"]
async fn containers_come_and_go_with_instances() {
    let world = World::new().await;
    let services = format!(
        "services:\n  Sleeper: {}\n  other: {}\n",
        sleeper("scale: 0, stop_grace_period: 0s, environment: {MINE: $$HOME}"),
        sleeper("container_name: $COMPOSE_PROJECT_NAME-beside")
    );
    let project = project(&world, &services);
    project.said(&["up", "--detach"]);
    let beside = project.of("other");
    let agent = world.agent("Sleeper").await;
    let context = agent.context();
    start(context, "Sleeper", "a").await;
    let first = scaler(&world, &project, &[]);
    project.runs(&["a"]).await;
    start(context, "Sleeper", "b").await;
    let incarnation = start(context, "Sleeper", "c").await;
    let before = project.runs(&["a", "b", "c"]).await;

    let environment = inspect(&before["c"], "{{.Config.Env}}");
    for variable in [
        "X_PERPER_AGENT=Sleeper",
        "X_PERPER_INSTANCE=c",
        "MINE=$HOME",
        &format!("PERPER_FABRIC_ENDPOINT={}", world.endpoint()),
    ] {
        assert!(environment.contains(variable), "{variable} is not in {environment}");
    }
    let label = |name: &str| inspect(&before["c"], &format!("{{{{index .Config.Labels {name:?}}}}}"));
    assert_eq!(label("perper.dev/agent"), "Sleeper");
    assert_eq!(label("perper.dev/incarnation"), incarnation.to_string());
    assert_eq!(label("com.docker.compose.service"), "Sleeper");

    // What runs outlives the Scaler, whether it is told to stop or killed, and the next one finds it.
    first.stop().await;
    let second = scaler(&world, &project, &[]);
    second.ready().await;
    stop(context, "b").await;
    project.runs(&["a", "c"]).await;
    second.kill();
    // While nobody looks, one is stopped, one is started, and one dies.
    stop(context, "a").await;
    start(context, "Sleeper", "d").await;
    docker(&["kill", &before["c"]]);
    let third = scaler(&world, &project, &["--backoff", "10ms"]);
    let after = project.runs(&["c", "d"]).await;
    assert_ne!(after["c"], before["c"]);
    third.ready().await;
    // Compose sees them as its own, and leaves them alone.
    project.said(&["up", "--detach"]);
    assert_eq!(project.runs(&["c", "d"]).await, after);
    assert_eq!(project.of("other"), beside);
    third.stop().await;
    project.said(&["down", "--timeout", "0"]);
    assert_eq!(project.left(), "");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Docker Engine: ./dev docker"]
async fn a_container_that_dies_is_replaced_as_its_service_says() {
    let world = World::new().await;
    let services = format!(
        "services:\n  Always: {}\n  Never: {}\n  Ends: {}\n",
        sleeper("scale: 0, stop_grace_period: 0s"),
        sleeper("scale: 0, stop_grace_period: 0s, restart: 'no'"),
        // Its input is not open: it ends at once, and well.
        sleeper("scale: 0, restart: on-failure").replace("stdin_open: true, ", "")
    );
    let project = project(&world, &services);
    let scaler = scaler(&world, &project, &["--backoff", "10ms"]);
    let mut agents = Vec::new();
    for (name, instance) in [("Always", "a"), ("Never", "n"), ("Ends", "e")] {
        agents.push(world.agent(name).await);
        start(agents[0].context(), name, instance).await;
    }
    eventually("two run, one has ended", || async {
        let ended = project.containers().iter().filter(|container| container.state == "exited").count();
        match (project.running().len(), ended) {
            (2, 1) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let never = project.running()["n"].clone();
    docker(&["kill", &never]);
    for _ in 0..3 {
        let former = project.running()["a"].clone();
        docker(&["kill", &former]);
        project.other_than("a", &former).await;
    }
    let states: Vec<_> =
        project.containers().into_iter().map(|found| (found.instance, found.state)).collect();
    for ended in ["n", "e"] {
        assert!(states.contains(&(ended.to_owned(), "exited".to_owned())), "{states:?}");
    }
    // What has ended is cleared away with its instance.
    for instance in ["a", "n", "e"] {
        stop(agents[0].context(), instance).await;
    }
    project.runs(&[]).await;
    scaler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Docker Engine: ./dev docker"]
async fn who_ignores_that_it_is_to_stop_is_killed_after_its_grace() {
    let world = World::new().await;
    let services = format!(
        "services:\n  Stubborn: {}\n",
        sleeper("scale: 0, stop_grace_period: 1s, stop_signal: SIGINT")
    );
    let project = project(&world, &services);
    let agent = world.agent("Stubborn").await;
    start(agent.context(), "Stubborn", "i").await;
    let scaler = scaler(&world, &project, &[]);
    let id = project.runs(&["i"]).await["i"].clone();
    let filter = format!("container={id}");
    let events = Events::since(
        "10m",
        &[&filter, "event=kill", "event=die", "event=destroy"],
        "{{.Action}} {{.Actor.Attributes.signal}} {{.Actor.Attributes.exitCode}}",
    );
    stop(agent.context(), "i").await;
    let mut told = Vec::new();
    for line in events {
        let ended = line.starts_with("destroy");
        told.push(line);
        if ended {
            break;
        }
    }
    let absent = "<no value>";
    assert_eq!(
        told,
        [
            format!("kill 2 {absent}"),
            format!("kill 9 {absent}"),
            format!("die {absent} 137"),
            format!("destroy {absent} {absent}")
        ]
    );
    project.runs(&[]).await;
    scaler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Docker Engine: ./dev docker"]
async fn what_cannot_be_run_is_reported_and_stops_nobody() {
    let world = World::new().await;
    let services = format!(
        "
services:
  Sleeper: {}
  NoImage: {{image: 'perper-is-not-here:1', scale: 0, network_mode: none}}
  NoProgram: {{image: '{}', entrypoint: [/no-such-program], scale: 0, network_mode: none}}
  NoVolume: {}
volumes: {{lost: {{}}}}
",
        sleeper("scale: 0, stop_grace_period: 0s"),
        image("scaler"),
        sleeper("scale: 0, volumes: ['lost:/data']")
    );
    let project = project(&world, &services);
    let scaler = scaler(&world, &project, &["--backoff", "10ms"]);
    let mut agents = Vec::new();
    for (name, instance) in
        [("NoImage", "i"), ("NoProgram", "p"), ("NoVolume", "v"), ("Lost", "l"), ("Sleeper", "s")]
    {
        agents.push(world.agent(name).await);
        start(agents[0].context(), name, instance).await;
    }
    project.runs(&["s"]).await;
    eventually("metrics name all of them", || async {
        let (_, text) = scaler.page("/metrics").await?;
        let failed = |agent: &str| {
            let line = format!("perper_scaler_failures_total{{agent=\"{agent}\"}} ");
            text.lines().any(|told| told.starts_with(&line))
        };
        let unknown = text.contains("perper_scaler_instances_without_template{agent=\"Lost\"} 1");
        let all =
            unknown && ["NoImage", "NoProgram", "NoVolume"].into_iter().all(failed) && !failed("Sleeper");
        if all { Ok(()) } else { Err(text) }
    })
    .await;
    let log = scaler.log();
    for reason in
        ["No such image: perper-is-not-here:1", "no-such-program", "_lost, which `docker compose up` makes"]
    {
        assert!(log.contains(reason), "{reason} is not told:\n{log}");
    }
    // Nothing half-made is left.
    for agent in ["i", "p", "v"] {
        stop(agents[0].context(), agent).await;
    }
    project.runs(&["s"]).await;
    scaler.stop().await;
    project.said(&["down", "--timeout", "0"]);
    assert_eq!(project.left(), "");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Docker Engine: ./dev docker"]
async fn containers_are_in_the_networks_of_the_project() {
    let world = World::new().await;
    let sleeper = sleeper(
        "scale: 0, stop_grace_period: 0s, networks: {near: {}, far: {aliases: [further]}}, volumes: ['data:/data']",
    );
    let services = format!(
        "
services:
  Sleeper: {}
  other: {{image: '{}', command: [__keep], stdin_open: true, networks: [near, far], volumes: ['data:/data']}}
networks: {{near: {{}}, far: {{}}}}
volumes: {{data: {{}}}}
",
        sleeper.replace("network_mode: none, ", ""),
        image("scaler")
    );
    let project = project(&world, &services);
    project.said(&["up", "--detach"]);
    let agent = world.agent("Sleeper").await;
    start(agent.context(), "Sleeper", "i").await;
    let scaler = scaler(&world, &project, &[]);
    let id = project.runs(&["i"]).await["i"].clone();
    let networks = inspect(
        &id,
        "{{range $name, $place := .NetworkSettings.Networks}}{{$name}} {{$place.IPAddress}} {{$place.Aliases}}\n{{end}}",
    );
    for network in ["near", "far"] {
        let name = format!("{}_{network} ", project.name);
        let line = networks.lines().find(|line| line.starts_with(&name)).expect("a place in the network");
        assert!(!line.contains("  "), "no address: {networks}");
        assert!(line.contains("Sleeper"), "{networks}");
        assert_eq!(line.contains("further"), network == "far", "{networks}");
    }
    assert_eq!(inspect(&id, "{{range .Mounts}}{{.Name}}{{end}}"), format!("{}_data", project.name));
    scaler.stop().await;
    project.said(&["down", "--volumes", "--timeout", "0"]);
    assert_eq!(project.left(), "");
}

/// The application that the repository shows: the Fabric, the Scaler and all agents in containers.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Docker Engine: ./dev docker"]
async fn wordcount_in_containers_counts_whatever_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    open_to_all(folder.path(), 0o755);
    let pipe = pipe(folder.path());
    let socket = std::env::var("DOCKER_HOST").unwrap_or_default().replace("unix://", "");
    let project = Project::new(
        folder.path(),
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/compose/docker-compose.yml")),
        &[("TEXT", path("text")), ("RESOLVED", path("resolved.yaml")), ("DOCKER_SOCKET", socket)],
    );
    std::fs::write(path("resolved.yaml"), project.said(&["config"])).unwrap();
    project.said(&["up", "--detach"]);
    let beside = [project.of("fabric"), project.of("Reader")];
    let (scaler, _) = project.of("scaler");
    let mut counting = project.compose(&["run", "--rm", "-T", "wordcount"]);
    let counting = counting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut text = Text::open(&pipe).await;
    text.write(&lines(0..HALF)).await;
    let address = inspect(&beside[0].0, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
    let settings = Settings::default().with_endpoint(format!("http://{address}:40400"));
    let fabric = Fabric::connect(settings).await.unwrap();
    // One tokenizer dies as soon as all have something to show; when all have done all there is, the Scaler dies, and
    // another tokenizer while it is away. The text is not at its end before that.
    let instances = tokenized(&fabric, 0).await;
    let [first, second, _] = &Vec::from_iter(instances)[..] else { panic!("there are three") };
    let former = project.running()[first].clone();
    docker(&["kill", &former]);
    project.other_than(first, &former).await;
    tokenized(&fabric, i64::from(HALF) - 3).await;
    docker(&["kill", &scaler]);
    let former = project.running()[second].clone();
    docker(&["kill", &former]);
    docker(&["start", &scaler]);
    text.write(&lines(HALF..2 * HALF)).await;
    project.other_than(second, &former).await;
    drop(text);
    let output = counting.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?} {}", docker(&["logs", &scaler]));
    assert_eq!(String::from_utf8_lossy(&output.stdout), top(&lines(0..2 * HALF)));
    // With the instances their containers go; what is no agent stays as it was.
    project.runs(&[]).await;
    assert_eq!([project.of("fabric"), project.of("Reader")], beside);
    for service in ["fabric", "scaler"] {
        eventually("it is healthy", || async {
            let (id, _) = project.of(service);
            match inspect(&id, "{{.State.Health.Status}}").as_str() {
                "healthy" => Ok(()),
                other => Err(format!("{service} is {other}: {}", inspect(&id, "{{json .State.Health}}"))),
            }
        })
        .await;
    }
    // An orderly stop is the end of none of them by force.
    project.said(&["stop", "--timeout", "60"]);
    for service in ["fabric", "scaler", "Reader"] {
        let (id, _) = project.of(service);
        assert_eq!(inspect(&id, "{{.State.ExitCode}}"), "0", "{service}: {}", docker(&["logs", &id]));
    }
    project.said(&["down", "--volumes"]);
    assert_eq!(project.left(), "");
}
