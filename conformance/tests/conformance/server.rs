//! The Fabric of a scenario: a process of its own, on a free port. It is this program again, told by the environment.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, Result};
use perper_fabric::{Config, Fabric, config::Durability};
use perper_proxy::Proxy;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
};

use crate::{peer::PATIENCE, scenario::ServerPart};

/// Makes this program a server: holds what is in [`Order`].
const ORDER: &str = "PERPER_CONFORMANCE_SERVER";

/// What the harness tells the process.
#[derive(serde::Serialize, serde::Deserialize)]
struct Order {
    part: ServerPart,
    folder: Option<PathBuf>,
    address: SocketAddr,
}

pub(crate) struct Server {
    order: Order,
    process: Process,
    pub(crate) proxy: Proxy,
    /// Gone with the scenario.
    _folder: Option<TempDir>,
}

struct Process {
    child: Child,
    /// The process ends when this is closed, so that it does not outlive the harness.
    _stdin: ChildStdin,
}

impl Server {
    pub(crate) async fn start(part: &ServerPart) -> Result<Self> {
        let folder = part.durable.then(TempDir::new).transpose()?;
        let path = folder.as_ref().map(|folder| folder.path().to_owned());
        let mut order = Order { part: part.clone(), folder: path, address: ([127, 0, 0, 1], 0).into() };
        let process = spawn(&mut order).await?;
        let proxy = Proxy::start(order.address).await;
        Ok(Server { order, process, proxy, _folder: folder })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.order.address
    }

    /// `kill -9`, and another one on what this has left, at the same address.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.process.child.kill().await?;
        self.process = spawn(&mut self.order).await?;
        Ok(())
    }
}

/// Starts the process, and notes where it listens.
async fn spawn(order: &mut Order) -> Result<Process> {
    let mut child = Command::new(std::env::current_exe()?)
        .env(ORDER, serde_json::to_string(order)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("the Fabric's process does not start")?;
    let stdin = child.stdin.take().context("a pipe")?;
    let mut lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
    let line =
        tokio::time::timeout(PATIENCE, lines.next_line()).await.context("the Fabric does not start")??;
    order.address = line.context("the Fabric does not start")?.parse()?;
    Ok(Process { child, _stdin: stdin })
}

/// In the process: serves, if it is told to.
pub(crate) fn run_if_told() -> Option<Result<()>> {
    let order = std::env::var(ORDER).ok()?;
    Some(serde_json::from_str(&order).map_err(Into::into).and_then(run))
}

fn run(order: Order) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let fabric = Fabric::start(config(order)).await?;
        println!("{}", fabric.address());
        // Nothing is ever said there: it is closed when the harness ends, however it does.
        tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
        Ok(())
    })
}

fn config(Order { part, folder, address }: Order) -> Config {
    let defaults = Config::default();
    let seconds = |part: Option<f64>, default: Duration| part.map_or(default, Duration::from_secs_f64);
    let mut config = Config {
        address,
        // Processes are killed here, not machines.
        durability: folder.is_some().then_some(Durability::Process),
        data: folder,
        session_lease: seconds(part.session_lease, defaults.session_lease),
        reset_grace: seconds(part.reset_grace, defaults.reset_grace),
        ..defaults
    };
    config.limits.value_bytes = part.value_bytes.unwrap_or(config.limits.value_bytes);
    config.limits.depth = part.depth.unwrap_or(config.limits.depth);
    config
}
