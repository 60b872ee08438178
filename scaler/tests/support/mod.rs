//! A Fabric, an agent that answers, the Scaler's binary, and a look at what runs.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod docker;
pub(crate) mod storm;
pub(crate) mod wordcount;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use perper::embedded::Embedded;
use perper::protocol::NewInstance;
use perper::{Agent, Context, ErrorKind, RunningAgent};
use perper_fabric::Config;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Longer than anything here takes on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A Fabric that is dropped lets its clients move first; these come back by themselves.
const SHUTDOWN: Duration = Duration::from_millis(100);

/// Waits until something holds, and says what did not.
pub(crate) async fn eventually<F: Future<Output = Result<(), String>>>(
    what: &str,
    mut holds: impl FnMut() -> F,
) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let Err(complaint) = holds().await else { return };
        assert!(tokio::time::Instant::now() < deadline, "{what}, after {PATIENCE:?}: {complaint}");
        // What is looked at (processes, pages) sends no events.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A Fabric that can be restarted where it was, and a folder for everything.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    fabric: Option<Embedded>,
    address: SocketAddr,
}

impl World {
    /// With a Fabric that keeps its data.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Ids may be taken again at once.
        let config = Config {
            data: Some(folder.path().join("data")),
            tombstone_retention: Duration::from_millis(1),
            shutdown_grace: SHUTDOWN,
            ..Config::default()
        };
        let fabric = Embedded::start(config).await.unwrap();
        let address = fabric.server().address();
        World { folder, fabric: Some(fabric), address }
    }

    pub(crate) fn fabric(&self) -> &Embedded {
        self.fabric.as_ref().unwrap()
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the Fabric as in a crash, and starts it again.
    pub(crate) async fn restart_fabric(&mut self) {
        self.replace_fabric(Some(self.folder.path().join("data"))).await;
    }

    /// Ends the Fabric, and starts one with other data in its place.
    pub(crate) async fn replace_fabric(&mut self, data: Option<PathBuf>) {
        drop(self.fabric.take());
        let config = Config { data, address: self.address, shutdown_grace: SHUTDOWN, ..Config::default() };
        let deadline = tokio::time::Instant::now() + PATIENCE;
        self.fabric = loop {
            // The old one gives its address and its folder back in the background.
            match Embedded::start(config.clone()).await {
                Ok(fabric) => break Some(fabric),
                Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
    }

    /// An agent in this process that answers for all instances, so that what the Scaler runs may be any program.
    pub(crate) async fn agent(&self, name: &str) -> RunningAgent {
        Agent::builder(name).start_with(self.fabric().settings()).await.unwrap()
    }

    /// The file that says how agents are run.
    pub(crate) fn write(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("perper.yaml");
        // What runs is found by this.
        std::fs::write(&path, text.replace("$ID", &self.id())).unwrap();
        path
    }

    /// Found in the environment of what runs here.
    pub(crate) fn id(&self) -> String {
        self.folder.path().file_name().unwrap().to_string_lossy().into_owned()
    }

    pub(crate) fn processes(&self) -> Vec<Found> {
        let id = self.id();
        all_processes().into_iter().filter(|found| found.environment.get("TEST_ID") == Some(&id)).collect()
    }

    /// Those that were started by the Scaler itself, by instance.
    pub(crate) fn leaders(&self) -> BTreeMap<String, Vec<i32>> {
        let mut leaders: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for found in self.processes().into_iter().filter(|found| found.pid == found.group) {
            let instance = found.environment.get("X_PERPER_INSTANCE").cloned().unwrap_or_default();
            leaders.entry(instance).or_default().push(found.pid);
        }
        leaders
    }

    /// Waits until exactly these instances have a process, and each has one.
    pub(crate) async fn runs(&self, instances: &[&str]) {
        let mut expected = instances.to_vec();
        expected.sort_unstable();
        eventually("one process for each instance", || async {
            let leaders = self.leaders();
            let doubled: Vec<_> = leaders.iter().filter(|(_, pids)| pids.len() != 1).collect();
            let found: Vec<&str> = leaders.keys().map(String::as_str).collect();
            match found == expected && doubled.is_empty() {
                true => Ok(()),
                false => {
                    let missing: Vec<_> = expected.iter().filter(|id| !found.contains(id)).take(5).collect();
                    let further: Vec<_> = found.iter().filter(|id| !expected.contains(id)).take(5).collect();
                    Err(format!(
                        "{} run, {} should; missing {missing:?}, further {further:?}, doubled {doubled:?}",
                        found.len(),
                        expected.len()
                    ))
                }
            }
        })
        .await;
    }

    /// Waits until an instance has one process that is not this one, and gives that.
    ///
    /// Looked at while one program takes the place of another, a process has no environment.
    pub(crate) async fn other_than(&self, instance: &str, former: i32) -> i32 {
        let found = std::sync::Mutex::new(0);
        eventually("another process", || async {
            match self.leaders().get(instance).map(Vec::as_slice) {
                Some([pid]) if *pid != former => {
                    *found.lock().unwrap() = *pid;
                    Ok(())
                }
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        found.into_inner().unwrap()
    }

    pub(crate) async fn nothing_runs(&self) {
        eventually("nothing is left", || async {
            let left = self.processes();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    }
}

pub(crate) async fn start(context: &Context, agent: &str, instance: &str) -> u64 {
    let instance = NewInstance { agent: agent.into(), instance: instance.into(), ..NewInstance::default() };
    loop {
        match context.fabric().start_instance(instance.clone()).await {
            // Asked in a session of a Fabric that has been replaced. To start it once more attaches to what was begun.
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {}
            started => return started.unwrap().incarnation,
        }
    }
}

pub(crate) async fn stop(context: &Context, instance: &str) {
    assert!(context.fabric().stop_instance(instance, false, None).await.unwrap());
}

/// What users of containers are to reach, whatever the mask of this process.
pub(crate) fn open_to_all(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;

    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A process.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) pid: i32,
    pub(crate) group: i32,
    pub(crate) parent: i32,
    pub(crate) environment: BTreeMap<String, String>,
}

pub(crate) fn all_processes() -> Vec<Found> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| found(&entry.path())).collect()
}

fn found(path: &Path) -> Option<Found> {
    let pid = path.file_name()?.to_str()?.parse().ok()?;
    let environment = std::fs::read(path.join("environ")).ok()?;
    let stat = std::fs::read_to_string(path.join("stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let environment = environment
        .split(|byte| *byte == 0)
        .filter_map(|entry| {
            let (name, value) = std::str::from_utf8(entry).ok()?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect();
    Some(Found { pid, group, parent, environment })
}

pub(crate) fn kill(pid: i32, signal: Signal) {
    // It may have gone by itself.
    let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
}

/// The binary.
pub(crate) struct Scaler {
    child: Child,
    folder: PathBuf,
}

impl Scaler {
    /// Starts it with local processes.
    pub(crate) fn process(world: &World, file: &Path, flags: &[&str]) -> Self {
        let file = file.to_string_lossy().into_owned();
        let mut arguments = vec!["process", "--file", &file];
        arguments.extend(flags);
        Scaler::start(world.folder.path(), &world.endpoint(), &arguments)
    }

    pub(crate) fn start(folder: &Path, endpoint: &str, arguments: &[&str]) -> Self {
        Scaler::start_with(folder, endpoint, arguments, &[])
    }

    /// With variables of its own.
    pub(crate) fn start_with(
        folder: &Path,
        endpoint: &str,
        arguments: &[&str],
        environment: &[(&str, &Path)],
    ) -> Self {
        let _ = std::fs::remove_file(folder.join("http"));
        let log =
            |name: &str| std::fs::File::options().create(true).append(true).open(folder.join(name)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_perper-scaler"))
            .args(arguments)
            .args(["--fabric", endpoint, "--http-address", "127.0.0.1:0", "--http-address-file"])
            .arg(folder.join("http"))
            .env("PERPER_SCALER_LOG_FILTER", "debug")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log("out"))
            .stderr(log("log"))
            .spawn()
            .unwrap();
        Scaler { child, folder: folder.to_owned() }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }

    pub(crate) fn out(&self) -> String {
        std::fs::read_to_string(self.folder.join("out")).unwrap()
    }

    /// A page of its HTTP server: the status and the text.
    pub(crate) async fn page(&self, path: &str) -> Result<(u16, String), String> {
        let address = std::fs::read_to_string(self.folder.join("http")).map_err(|error| error.to_string())?;
        let fetch = async {
            let mut stream = tokio::net::TcpStream::connect(&address).await?;
            let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = fetch.await.map_err(|error| format!("{address}: {error}"))?;
        let status = answer.get(9..12).and_then(|status| status.parse().ok()).ok_or("no status")?;
        let text = answer.split_once("\r\n\r\n").map(|(_, text)| text.to_owned()).unwrap_or_default();
        Ok((status, text))
    }

    /// What the binary says of the health of this one: its exit code, and its complaint.
    pub(crate) fn health(&self) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_perper-scaler"))
            .args(["health", "--http-address", "127.0.0.1:0", "--http-address-file"])
            .arg(self.folder.join("http"))
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    pub(crate) async fn ready(&self) {
        eventually("the scaler is ready", || async {
            match self.page("/readyz").await? {
                (200, _) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// As `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal);
    }

    /// Waits until it ends by itself, and gives its exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let mut code = None;
        let child = std::sync::Mutex::new(&mut self.child);
        eventually("the scaler ends", || async { code_of(&child) }).await;
        if let Ok(Some(status)) = child.lock().unwrap().try_wait() {
            code = status.code();
        }
        code
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.ended().await, Some(0), "{}", self.log());
    }
}

fn code_of(child: &std::sync::Mutex<&mut Child>) -> Result<(), String> {
    match child.lock().unwrap().try_wait() {
        Ok(Some(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

impl Drop for Scaler {
    fn drop(&mut self) {
        // After a test that failed; its keeper kills the rest.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
