use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use tracing::{info, warn};

use super::telemetry::Telemetry;
use super::{backup, health, restore};
use crate::config::{self, Invocation, Loaded, ProcessEnvironment};
use crate::{Config, Error, Fabric, RunningFabric};

/// Wrong flags, or a configuration that cannot be used.
const USAGE: u8 = 2;

/// Does what the command line says, and gives the exit code. The first argument is the name of the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match config::parse(arguments, &ProcessEnvironment) {
        Ok(Invocation::Serve(loaded)) => serve(loaded.config),
        Ok(Invocation::CheckConfig(loaded)) => check_config(&loaded),
        Ok(Invocation::Health(loaded)) => check_health(&loaded.config),
        Ok(Invocation::Backup(request)) => said(backup::take(&request)),
        Ok(Invocation::Restore(request)) => said(restore::put_back(&request)),
        Ok(Invocation::CheckBackup(from)) => said(restore::check(&from)),
        Ok(Invocation::Show(text)) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(USAGE)
        }
    }
}

/// The end of a command that does one thing and says what it did.
fn said(done: anyhow::Result<String>) -> ExitCode {
    match done {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("perper-fabric: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn check_config(loaded: &Loaded) -> ExitCode {
    match crate::check_files(&loaded.config) {
        Ok(()) => {
            print(&loaded.to_toml());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(USAGE)
        }
    }
}

fn check_health(config: &Config) -> ExitCode {
    let found = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the check cannot be started")
        .and_then(|runtime| runtime.block_on(health::check(config)));
    match found {
        Ok(found) => {
            print(&format!("{found}\n"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(config: Config) -> ExitCode {
    let served = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the threads of the server cannot be started")
        .and_then(|runtime| runtime.block_on(until_told(config)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("perper-fabric: {error:#}");
            match error.downcast_ref::<Error>() {
                Some(Error::Config(_) | Error::File { .. }) => ExitCode::from(USAGE),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

async fn until_told(config: Config) -> anyhow::Result<()> {
    let telemetry = Telemetry::install(&config)?;
    raise_open_files(config.max_connections);
    // Before anything is served, so that no signal is missed.
    let mut signals = Signals::listen().context("signals cannot be listened for")?;
    let fabric = Fabric::start(config).await?;
    print(&format!("listening on {}\n", fabric.address()));
    let stopped = until_stopped(fabric, &mut signals).await;
    telemetry.end().await;
    stopped
}

async fn until_stopped(fabric: RunningFabric, signals: &mut Signals) -> anyhow::Result<()> {
    loop {
        match signals.next().await {
            Signal::Reload => {
                if let Err(error) = fabric.reload() {
                    warn!(%error, "what was read before stays in force");
                }
            }
            Signal::Stop(name) => {
                info!(signal = name, "a second signal stops at once");
                break;
            }
        }
    }
    let mut shutdown = std::pin::pin!(fabric.shutdown());
    loop {
        tokio::select! {
            stopped = &mut shutdown => return Ok(stopped?),
            signal = signals.next() => {
                if let Signal::Stop(name) = signal {
                    anyhow::bail!("stopped at once by a second signal ({name})");
                }
            }
        }
    }
}

/// What this process is told from outside.
enum Signal {
    /// End gracefully, or, the second time, at once.
    Stop(&'static str),
    /// Read certificates and tokens again.
    Reload,
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Signal::Stop("SIGINT"),
            _ = self.hang_up.recv() => Signal::Reload,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Stop("Ctrl-C"),
            Err(_) => std::future::pending().await,
        }
    }
}

/// Connections are files to the system, and many systems allow a process 1024 unless it asks for more.
#[cfg(unix)]
fn raise_open_files(max_connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// What the storage, the log and the runtime keep open.
    const OTHERS: u64 = 256;

    let wanted = max_connections as u64 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    let granted = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(granted), maximum });
    if raised.is_err() || granted < wanted {
        warn!(
            granted = if raised.is_ok() { Some(granted) } else { current },
            wanted,
            max_connections,
            "fewer open files are allowed than --max-connections asks for; raise the hard limit (ulimit -Hn, LimitNOFILE)"
        );
    }
}

#[cfg(not(unix))]
fn raise_open_files(_max_connections: usize) {}

/// Writes to stdout; whoever closed it does not want to know.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
