//! The images of the Fabric and the Scaler. `./dev docker` makes them and runs these.

mod support;

use std::time::Instant;

use self::support::docker::{Events, VERSION, docker, image, remove};

/// A container, removed at the end with its volumes.
struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn inspect(what: &str, thing: &str) -> String {
    docker(&["inspect", "--format", what, thing])
}

/// Bytes that an image may have. What is published is optimised, and much smaller than what tests use otherwise.
fn limit() -> u64 {
    match std::env::var("PERPER_IMAGE_PROFILE").as_deref() {
        Err(_) | Ok("dev") => 45_000_000,
        Ok(_) => 30_000_000,
    }
}

#[test]
#[ignore = "needs a Docker Engine: ./dev docker"]
fn images_hold_a_binary_and_nothing_else() {
    for name in ["fabric", "scaler"] {
        let image = image(name);
        let bytes: u64 = inspect("{{.Size}}", &image).parse().unwrap();
        println!("{image}: {:.1} MB", bytes as f64 / 1e6);
        assert!(bytes < limit(), "{image} has {bytes} bytes");
        assert_eq!(inspect("{{.Config.User}}", &image), "65532:65532");
        let label = |name: &str| {
            inspect(&format!("{{{{index .Config.Labels \"org.opencontainers.image.{name}\"}}}}"), &image)
        };
        assert_eq!(
            (label("version"), label("title"), label("licenses")),
            (VERSION.into(), format!("perper-{name}"), "MIT".into())
        );
        assert_eq!(inspect("{{.Config.Healthcheck.Test}}", &image), format!("[CMD /perper-{name} health]"));
        let version = docker(&["run", "--rm", "--network", "none", &image, "--version"]);
        assert_eq!(version, format!("perper-{name} {VERSION}"));
    }
    assert_eq!(inspect("{{json .Config.Volumes}}", &image("fabric")), r#"{"/data":{}}"#);
}

/// Starts a container, waits until its health check has come to something, and gives that.
fn start(container: &Container) -> String {
    let filter = format!("container={}", container.0);
    // From now on, as the engine tells the time.
    let since = docker(&["info", "--format", "{{.SystemTime}}"]);
    let mut events = Events::since(&since, &[&filter, "event=health_status", "event=die"], "{{.Action}}");
    let begin = Instant::now();
    docker(&["start", &container.0]);
    let started = begin.elapsed();
    let first = events.next().expect("an event");
    println!("started after {started:?}, {first} after {:?}", begin.elapsed());
    first
}

fn stop(container: &Container) {
    let begin = Instant::now();
    docker(&["stop", "--time", "30", &container.0]);
    println!("stopped after {:?}", begin.elapsed());
    assert_eq!(inspect("{{.State.ExitCode}}", &container.0), "0", "{}", docker(&["logs", &container.0]));
}

#[test]
#[ignore = "needs a Docker Engine: ./dev docker"]
fn the_fabric_is_healthy_soon_and_stops_in_order() {
    let variable = "PERPER_FABRIC_INSECURE=true";
    let flags = ["create", "--network", "none", "--health-interval", "100ms", "--env", variable];
    let container = Container(docker(&[&flags[..], &[&image("fabric")]].concat()));
    // First on an empty folder, then on what it has kept in its volume, which is its user's.
    for _ in 0..2 {
        assert_eq!(start(&container), "health_status: healthy", "{}", docker(&["logs", &container.0]));
        stop(&container);
    }
}
