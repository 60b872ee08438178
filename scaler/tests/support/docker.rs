//! A Docker Engine, which DOCKER_HOST names, and a project of Compose in it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::eventually;

/// The version that the images carry as their tag.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn image(name: &str) -> String {
    format!("perper-{name}:{VERSION}")
}

fn said(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let Output { status, stdout, stderr } = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap().trim().to_owned()
}

/// What `docker` prints.
pub(crate) fn docker<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    said(Command::new("docker").args(arguments))
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

    /// A command of Compose, of whichever generation is here.
    pub(crate) fn compose(&self, arguments: &[&str]) -> Command {
        let second = Command::new("docker").args(["compose", "version"]).output();
        let mut command = match second {
            Ok(output) if output.status.success() => {
                let mut command = Command::new("docker");
                command.arg("compose");
                command
            }
            _ => Command::new("docker-compose"),
        };
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
