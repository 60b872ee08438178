//! A server as a process of its own, to measure and to kill.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, Command},
};

/// How long a server may take until it serves; recovery is part of it.
const START: Duration = Duration::from_secs(120);

/// How to run a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The binary.
    pub program: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it keeps its data.
    pub data: PathBuf,
    /// `sled` or `fjall`.
    pub store: String,
    /// `process` or `sync`; `memory` leaves the folder out.
    pub durability: String,
    /// Further flags.
    pub flags: Vec<String>,
}

/// A server that serves.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    started_in: Duration,
}

impl ServerOptions {
    /// The server to run on a free port with `data` as its folder.
    pub fn new(data: &Path, store: &str, durability: &str) -> anyhow::Result<Self> {
        Ok(ServerOptions {
            program: find()?,
            address: free_address()?,
            data: data.to_owned(),
            store: store.to_owned(),
            durability: durability.to_owned(),
            flags: Vec::new(),
        })
    }

    /// Starts it, without waiting until it serves.
    pub fn spawn(&self) -> anyhow::Result<Starting> {
        let mut command = Command::new(&self.program);
        command.arg("--address").arg(self.address.to_string());
        if self.durability != "memory" {
            command.arg("--data").arg(&self.data);
            command.args(["--store", &self.store, "--durability", &self.durability]);
        }
        command.args(&self.flags);
        // Settings of whoever runs this must not change what is measured.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PERPER_FABRIC_") {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.env("PERPER_FABRIC_LOG_FILTER", "warn");
        let begun = Instant::now();
        let child = command.spawn().with_context(|| format!("{} cannot be run", self.program.display()))?;
        Ok(Starting { child, begun })
    }

    /// Starts it and waits until it serves.
    pub async fn start(&self) -> anyhow::Result<Server> {
        self.spawn()?.serving().await
    }
}

/// A server that does not serve yet.
#[derive(Debug)]
pub struct Starting {
    child: Child,
    begun: Instant,
}

impl Starting {
    /// Waits until it serves. The error tells what it wrote when it gave up.
    pub async fn serving(mut self) -> anyhow::Result<Server> {
        let stdout = self.child.stdout.take().context("the server's output is not there")?;
        let stderr = self.child.stderr.take().context("the server's log is not there")?;
        let mut lines = BufReader::new(stdout).lines();
        let first = tokio::time::timeout(START, lines.next_line()).await;
        let Ok(first) = first else {
            bail!("the server does not serve after {START:?}");
        };
        let address = match first?.as_deref().and_then(|line| line.strip_prefix("listening on ")) {
            Some(address) => address.parse().with_context(|| format!("{address:?} is not an address"))?,
            None => {
                let mut log = String::new();
                BufReader::new(stderr).read_to_string(&mut log).await?;
                let status = self.child.wait().await?;
                bail!("the server did not start ({status}):\n{log}");
            }
        };
        let started_in = self.begun.elapsed();
        // Whoever does not read a pipe stops its writer at 64 KiB.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("server: {line}");
            }
        });
        Ok(Server { child: self.child, address, started_in })
    }

    /// Kills it in the middle of its start.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

impl Server {
    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How long it took from its start until it served.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Its process.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("the server has ended by itself")
    }

    /// `kill -9`.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended by itself ({status})");
        }
        Ok(self.child.kill().await?)
    }

    /// Stops it as an operator would, and waits for its end.
    pub async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        let pid = self.pid()?;
        // The standard library sends no signal but SIGKILL, and a crate for one line would be no gain.
        let status = Command::new("kill").arg("-TERM").arg(pid.to_string()).status().await?;
        if !status.success() {
            bail!("process {pid} could not be told to stop ({status})");
        }
        match tokio::time::timeout(START, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("the server did not stop within {START:?}"),
        }
    }
}

/// The server's binary: `PERPER_FABRIC`, or next to this one.
pub fn find() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("PERPER_FABRIC") {
        return Ok(path.into());
    }
    let own = std::env::current_exe().context("the path of this program is not known")?;
    // Tests run from a folder below the one that holds the binaries.
    let folders = own.ancestors().skip(1).take(2);
    let mut candidates =
        folders.map(|folder| folder.join(format!("perper-fabric{}", std::env::consts::EXE_SUFFIX)));
    candidates.find(|path| path.is_file()).with_context(|| {
        format!(
            "there is no perper-fabric next to {}; build it (cargo build --release -p perper-fabric), or name it with \
             PERPER_FABRIC",
            own.display()
        )
    })
}

/// A free port on loopback that stays free while the server on it is restarted.
///
/// Ports that the system gives to outgoing connections will not do: a client that tries to reconnect while nobody
/// listens may be given that very port for its own end, connect to itself, and so keep the server from binding it.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let lowest = range.split_whitespace().next().and_then(|port| port.parse().ok()).unwrap_or(32_768_u16);
    if lowest > 11_000 {
        for _ in 0..1_000 {
            let address = SocketAddr::from(([127, 0, 0, 1], rand::random_range(10_000..lowest)));
            if TcpListener::bind(address).is_ok() {
                return Ok(address);
            }
        }
    }
    Ok(TcpListener::bind("127.0.0.1:0").context("there is no free port")?.local_addr()?)
}
