//! The binary `perper-scaler`: flags, signals and log lines around [`perper_scaler::Scaler`].

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use perper::protocol::{Environment, Fabric};
use perper_scaler::backend::Backend;
use perper_scaler::config::{self, BackendConfig, Config, Invocation, LogFormat};
use perper_scaler::process::{Format, Output, Process, Programs, keeper};
use perper_scaler::reconciler::BackoffSettings;
use perper_scaler::{Error, Scaler, Serving, Settings, process};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing_subscriber::EnvFilter;

/// Wrong flags, or files that cannot be used.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_ref().and_then(|first| first.to_str()) {
        Some(keeper::KEEP) => return keeper::keep(io::stdin()),
        Some(keeper::LAUNCH) => return keeper::launch(arguments),
        _ => {}
    }
    match config::parse(std::env::args_os(), &Environment) {
        Ok(Invocation::Scale(config)) => serve(*config),
        Ok(Invocation::Health(address)) => match perper_scaler::ask_health(address) {
            Ok(()) => ExitCode::SUCCESS,
            Err(complaint) => {
                eprintln!("{complaint}");
                ExitCode::FAILURE
            }
        },
        Ok(Invocation::Show(text)) => {
            // Whoever closed our output does not want to know.
            let _ = io::stdout().lock().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(USAGE)
        }
    }
}

fn serve(config: Config) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("perper-scaler: its threads cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(run(config));
    // Whatever still reads from a process that will not end must not hold this one.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("perper-scaler: {error:#}");
            match error.downcast_ref::<Error>() {
                Some(Error::Template { .. }) => ExitCode::from(USAGE),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    log(&config)?;
    raise_open_files();
    // Before anything is started, so that no signal is missed.
    let mut signals = Signals::listen().context("signals cannot be listened for")?;
    let fabric = fabric_settings(&config)?;
    match &config.backend {
        BackendConfig::Process { file } => {
            let settings = process::Settings {
                programs: Programs::load(file)?,
                identity: identity(file, fabric.endpoint()),
                fabric: fabric_variables(&config, &fabric),
                binary: own_binary()?,
                output: Output::start(match config.log_format {
                    LogFormat::Text => Format::text(),
                    LogFormat::Json => Format::Json,
                }),
            };
            let backend = Arc::new(Process::start(settings)?);
            scale(&config, fabric, backend, &mut signals).await
        }
        #[cfg(feature = "compose")]
        BackendConfig::Compose { source, project, engine } => {
            let settings = perper_scaler::compose::Settings {
                source: source.clone(),
                project: project.clone(),
                engine: engine.clone(),
                // Files of this process are not there in a container: services say what else agents need.
                fabric: vec![("PERPER_FABRIC_ENDPOINT".to_owned(), fabric.endpoint().to_owned())],
            };
            // Compose may fetch what its file includes, and take its time.
            let starting = tokio::task::spawn_blocking(|| perper_scaler::compose::Compose::start(settings));
            let backend = tokio::select! {
                started = starting => started.context("Compose cannot be asked")??,
                name = signals.next() => {
                    info!(signal = name, "stopping before Compose has read its file");
                    return Ok(());
                }
            };
            scale(&config, fabric, Arc::new(backend), &mut signals).await
        }
        #[cfg(feature = "kubernetes")]
        BackendConfig::Kubernetes { namespace, lease, identity } => {
            let settings = perper_scaler::kubernetes::Settings {
                namespace: namespace.clone(),
                identity: identity.clone(),
                lease: *lease,
                // Files of this process are not there in a Pod: templates say what else agents need.
                fabric: vec![("PERPER_FABRIC_ENDPOINT".to_owned(), fabric.endpoint().to_owned())],
            };
            let backend = Arc::new(perper_scaler::kubernetes::Kubernetes::connect(settings).await?);
            scale(&config, fabric, backend, &mut signals).await
        }
    }
}

async fn scale<B: Backend>(
    config: &Config,
    fabric: perper::protocol::Settings,
    backend: Arc<B>,
    signals: &mut Signals,
) -> anyhow::Result<()> {
    let endpoint = fabric.endpoint().to_owned();
    let fabric = Fabric::start(fabric)?;
    let settings = Settings {
        backoff: BackoffSettings {
            first: config.backoff,
            longest: config.backoff_max,
            ..BackoffSettings::default()
        },
        grace: config.grace,
        resync: config.resync,
        ..Settings::default()
    };
    let scaler = Scaler::new(fabric.clone(), Arc::clone(&backend), settings);
    let serving = match config.http_address {
        Some(address) => {
            let (metrics, health) = (Arc::clone(scaler.metrics()), Arc::clone(scaler.health()));
            let serving = Serving::start(address, metrics, health)
                .await
                .with_context(|| format!("http-address {address} cannot be listened on"))?;
            if let Some(file) = &config.http_address_file {
                std::fs::write(file, serving.address().to_string())
                    .with_context(|| format!("http-address-file {}", file.display()))?;
            }
            Some(serving)
        }
        None => None,
    };
    info!(
        backend = B::NAME,
        version = env!("CARGO_PKG_VERSION"),
        endpoint,
        http = serving.as_ref().map(|serving| serving.address().to_string()),
        "scaling"
    );
    let stop = CancellationToken::new();
    let outcome = {
        let mut run = std::pin::pin!(scaler.run(stop.clone()));
        tokio::select! {
            outcome = &mut run => outcome,
            name = signals.next() => {
                info!(signal = name, "stopping; a second signal stops at once");
                stop.cancel();
                run.await
            }
        }
    };
    tokio::select! {
        () = backend.shutdown() => {}
        name = signals.next() => anyhow::bail!("stopped at once by a second signal ({name})"),
    }
    // A Fabric that is away cannot be told; the session ends by itself.
    drop(fabric.close().await);
    Ok(outcome?)
}

fn fabric_settings(config: &Config) -> anyhow::Result<perper::protocol::Settings> {
    let mut settings = perper::protocol::Settings::from_env()?.with_client(
        "perper-scaler",
        "rust",
        env!("CARGO_PKG_VERSION"),
    );
    if let Some(endpoint) = &config.fabric {
        settings = settings.with_endpoint(endpoint);
    }
    if let Some(file) = &config.ca_file {
        settings = settings.with_ca_file(file);
    }
    Ok(settings)
}

/// What agents find the Fabric by. A token is not among them: it stays where it was given.
fn fabric_variables(config: &Config, fabric: &perper::protocol::Settings) -> Vec<(String, String)> {
    let mut variables = vec![("PERPER_FABRIC_ENDPOINT".to_owned(), fabric.endpoint().to_owned())];
    if let Some(file) = &config.ca_file {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        variables.push(("PERPER_CA_FILE".to_owned(), file.to_string_lossy().into_owned()));
    }
    variables
}

/// What tells this Scaler from another one on the same machine.
fn identity(file: &std::path::Path, endpoint: &str) -> String {
    let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    format!("{} {endpoint}", file.display())
}

/// The binary of this process, also after it was replaced on disk by a newer one.
fn own_binary() -> anyhow::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe().context("the program's own file cannot be found")
}

fn log(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log_filter)
        .with_context(|| format!("log-filter {:?} is not a filter", config.log_filter))?;
    let lines = tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter(filter);
    let installed = match config.log_format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    installed.map_err(|error| anyhow::anyhow!("a subscriber is installed already: {error}"))
}

/// Each process costs an open file, and many systems allow a process 1024 unless it asks for more.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
