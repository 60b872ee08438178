//! A Docker Engine, which DOCKER_HOST names, and a project of Compose in it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::OnceLock;

use rustix::process::Signal;

use super::{eventually, kill};

/// Seconds that a command may take: far more than any needs. An engine that hangs is a failure, and not a silence.
const LIMIT: &str = "120";

/// The version that the images carry as their tag.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn image(name: &str) -> String {
    format!("perper-{name}:{VERSION}")
}

/// A program that is ended when it takes longer than it may. Told to end, it ends as well.
fn limited(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", LIMIT, program]).stdin(Stdio::null());
    command
}

fn said(command: &mut Command) -> String {
    let output = command.output();
    let Output { status, stdout, stderr } = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap().trim().to_owned()
}

/// What `docker` prints.
pub(crate) fn docker<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    said(limited("docker").args(arguments))
}

/// Removes a container with its volumes, if there is one.
pub(crate) fn remove(container: &str) {
    let _ = limited("docker").args(["rm", "--force", "--volumes", container]).output();
}

/// What happens in the engine, as lines. They end after [`LIMIT`], whatever happens.
pub(crate) struct Events {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Events {
    /// All since a time, as the engine tells it.
    pub(crate) fn since(time: &str, filters: &[&str], format: &str) -> Self {
        let mut command = limited("docker");
        command.args(["events", "--since", time, "--format", format]);
        command.args(filters.iter().flat_map(|filter| ["--filter", filter]));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Events { child, lines }
    }
}

impl Iterator for Events {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.lines.next()?.ok()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        kill(self.child.id().cast_signed(), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Compose, of whichever generation is here.
fn compose() -> Command {
    static IS_PLUGIN: OnceLock<bool> = OnceLock::new();
    let is_plugin = *IS_PLUGIN.get_or_init(|| {
        let version = limited("docker").args(["compose", "version"]).output();
        version.is_ok_and(|output| output.status.success())
    });
    if !is_plugin {
        return limited("docker-compose");
    }
    let mut command = limited("docker");
    command.arg("compose");
    command
}

/// A container of a project.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) service: String,
    /// Empty for one that the Scaler has not made.
    pub(crate) instance: String,
}

/// A project with a name of its own. What is left of it goes with it.
pub(crate) struct Project {
    pub(crate) name: String,
    file: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Project {
    /// One that a file describes, which may use variables.
    pub(crate) fn new(folder: &Path, file: PathBuf, environment: &[(&'static str, String)]) -> Self {
        assert!(
            std::env::var_os("DOCKER_HOST").is_some(),
            "DOCKER_HOST names no engine; `./dev docker` starts one"
        );
        let folder = folder.file_name().unwrap().to_string_lossy().to_lowercase();
        let name: String = folder.chars().filter(char::is_ascii_alphanumeric).collect();
        let mut environment = environment.to_vec();
        environment.push(("COMPOSE_PROJECT_NAME", name.clone()));
        Project { name, file, environment }
    }

    /// A command of Compose.
    pub(crate) fn compose(&self, arguments: &[&str]) -> Command {
        let mut command = compose();
        command.arg("--file").arg(&self.file).args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What Compose prints.
    pub(crate) fn said(&self, arguments: &[&str]) -> String {
        said(&mut self.compose(arguments))
    }

    pub(crate) fn containers(&self) -> Vec<Container> {
        let label = format!("label=com.docker.compose.project={}", self.name);
        let format = "{{.ID}}\t{{.State}}\t{{.Label \"com.docker.compose.service\"}}\t{{.Label \"perper.dev/instance\"}}";
        let listed = docker(&["ps", "--all", "--no-trunc", "--filter", &label, "--format", format]);
        let container = |line: &str| {
            let mut fields = line.split('\t').map(str::to_owned);
            let mut field = || fields.next().unwrap_or_default();
            Container { id: field(), state: field(), service: field(), instance: field() }
        };
        listed.lines().map(container).collect()
    }

    /// The running containers of agents: their ids by instance. None may have two.
    pub(crate) fn running(&self) -> BTreeMap<String, String> {
        let mut running = BTreeMap::new();
        for container in self.containers() {
            if container.state == "running" && !container.instance.is_empty() {
                let former = running.insert(container.instance.clone(), container.id);
                assert_eq!(former, None, "{} has two containers", container.instance);
            }
        }
        running
    }

    /// Waits until exactly these instances have a container, and gives the ids of those.
    pub(crate) async fn runs(&self, instances: &[&str]) -> BTreeMap<String, String> {
        eventually("a container for each instance", || async {
            let left = self.containers().into_iter().filter(|container| !container.instance.is_empty());
            let mut found: Vec<_> = left.map(|container| (container.instance, container.state)).collect();
            found.sort();
            let expected: Vec<_> =
                instances.iter().map(|id| ((*id).to_owned(), "running".to_owned())).collect();
            if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
        self.running()
    }

    /// Waits until an instance has a container that is not this one.
    pub(crate) async fn other_than(&self, instance: &str, former: &str) {
        eventually("another container", || async {
            match self.running().get(instance) {
                Some(id) if id != former => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// The one container of a service that is no agent: its id, and since when it runs.
    pub(crate) fn of(&self, service: &str) -> (String, String) {
        let containers = self.containers();
        let found: Vec<_> = containers.iter().filter(|container| container.service == service).collect();
        let [container] = found[..] else { panic!("{service}: {containers:?}") };
        (container.id.clone(), docker(&["inspect", "--format", "{{.State.StartedAt}}", &container.id]))
    }

    /// What is left of it in the engine: containers, networks and volumes.
    pub(crate) fn left(&self) -> String {
        let label = format!("label=com.docker.compose.project={}", self.name);
        let list =
            |what: &str, all: &[&str]| docker(&[&[what, "ls", "--quiet", "--filter", &label], all].concat());
        [list("container", &["--all"]), list("network", &[]), list("volume", &[])].concat()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // After a test that failed; one that did well has done this itself.
        let _ = self.compose(&["down", "--volumes", "--timeout", "0"]).stderr(Stdio::null()).output();
    }
}
