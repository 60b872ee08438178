//! Processes that tests start, stop and kill: this test binary again, told to run one of its tests.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// Begins the lines that are meant for the test: the rest is the harness's.
const MARK: &str = "told: ";

/// Long enough for any machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process of this test binary, killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    stdin: ChildStdin,
    lines: UnboundedReceiver<String>,
}

impl Process {
    /// Runs the ignored test `name` in a process of its own.
    pub(crate) fn start(name: &str, variables: &[(&str, String)]) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this binary has a path"))
            .args(["--ignored", "--exact", "--nocapture", name])
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this binary can be run again");
        let stdin = child.stdin.take().expect("a pipe");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                match line.strip_prefix(MARK) {
                    Some(told) => _ = sender.send(told.to_owned()),
                    None => eprintln!("{line}"),
                }
            }
        });
        Process { child, stdin, lines }
    }

    /// A Fabric; the address of a former one is taken again.
    pub(crate) async fn fabric(data: Option<&Path>, address: Option<SocketAddr>) -> (Self, SocketAddr) {
        let address = address.unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        let data = data.map_or_else(String::new, |path| path.display().to_string());
        let mut process = Process::start(
            "fabric_process",
            &[("FAULTS_DATA", data), ("FAULTS_ADDRESS", address.to_string())],
        );
        let address = process.line().await.parse().expect("an address");
        (process, address)
    }

    /// The next line that the process tells.
    pub(crate) async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await;
        line.expect("the process has not failed").expect("the process runs")
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").expect("the process reads");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("the process is ours");
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("the process is ours");
    }

    /// What it has in memory, in KiB. None where the system does not tell.
    pub(crate) fn resident_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that was killed already does not mind.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// In the process: tells the test.
pub(crate) fn tell(line: impl std::fmt::Display) {
    eprintln!("{MARK}{line}");
}

/// In the process: what the test gave it.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).expect("only to be run by another test")
}

/// In the process: the part of a Fabric.
pub(crate) async fn run_fabric() {
    let data = variable("FAULTS_DATA");
    let config = perper_fabric::Config {
        address: variable("FAULTS_ADDRESS").parse().expect("an address"),
        data: (!data.is_empty()).then(|| data.into()),
        // A crowd on a busy machine keeps heartbeats waiting, too, and clients that take it for dead and come back.
        session_lease: PATIENCE,
        reset_grace: PATIENCE,
        ..perper_fabric::Config::default()
    };
    let fabric = perper_fabric::Fabric::start(config).await.expect("a server");
    tell(fabric.address());
    std::future::pending::<()>().await;
}

/// Allows as many open files as the system lets us. Children inherit it.
pub(crate) fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("up to the hard limit is allowed");
    limit.maximum.unwrap_or(u64::MAX)
}
