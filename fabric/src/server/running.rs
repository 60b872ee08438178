//! A server from its start to its end.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use perper_proto::FILE_DESCRIPTOR_SET;
use perper_store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower::Layer;
use tracing::{error, info, warn};

use super::backend::{Backend, Closing, Shell};
use super::connection::Connections;
use super::health::Health;
use super::{listener, metrics_http};
use crate::Error;
use crate::config::{Config, Storage, durability_name, is_loopback};
use crate::metrics::Metrics;
use crate::security::{BearerLayer, TlsContext, Tokens};

/// Starts servers.
#[derive(Debug)]
pub struct Fabric;

impl Fabric {
    /// Starts a server in this process, on the current tokio runtime. It serves when this returns.
    ///
    /// Nothing is global: a process may run many, each with its own data, metrics and end. Log lines go to whatever
    /// `tracing` subscriber the program has.
    pub async fn start(config: Config) -> Result<RunningFabric, Error> {
        Self::start_on(config, None).await
    }

    /// As [`start`](Self::start); with `store`, on that instead of what the configuration says.
    pub(super) async fn start_on(
        config: Config,
        store: Option<Arc<dyn Store>>,
    ) -> Result<RunningFabric, Error> {
        config.check()?;
        let tls = config.tls.as_ref().map(TlsContext::load).transpose()?.map(Arc::new);
        let tokens = config.token_file.as_deref().map(Tokens::load).transpose()?.map(Arc::new);

        // First the addresses, since a second server on them is the commonest mistake, and a harmless one until the
        // storage is touched. Clients that connect meanwhile wait in the system's queue.
        let (grpc, address) = listener::listen(config.address, "gRPC").await?;
        let metrics_listener = match config.metrics_address {
            None => None,
            Some(address) => Some(listener::listen(address, "metrics").await?),
        };

        let shell = Shell {
            config: Arc::new(config),
            metrics: Arc::new(Metrics::new()),
            draining: CancellationToken::new(),
            storage_failed: CancellationToken::new(),
        };
        let backend = Backend::open(&shell, store).await?;
        shell.metrics.set_recovery(backend.recovery);
        log_storage(&shell.config, &backend);

        let reporter = HealthReporter::new();
        let health = Health::new(reporter.clone());
        health.set(true).await;
        let routes = add_standard_services(backend.routes, reporter, &shell.config)?;
        let mut running = RunningFabric {
            address,
            metrics_address: None,
            shell,
            health,
            accepting: CancellationToken::new(),
            scraping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            tls,
            tokens,
            close: Some(backend.close),
        };
        running.serve(grpc, routes);
        if let Some((listener, address)) = metrics_listener {
            running.serve_metrics(listener, address);
        }
        running.watch_storage();
        running.log_address();
        if let Some(file) = &running.shell.config.address_file {
            write_address(file, address)?;
        }
        Ok(running)
    }
}

/// A server that runs in this process.
///
/// It is to be ended by [`shutdown`](Self::shutdown). When it is dropped instead, it stops accepting and begins to
/// drain in the background, and its storage is left as a crash would leave it: nothing acknowledged is missing, but
/// the next start takes longer.
pub struct RunningFabric {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    shell: Shell,
    health: Health,
    /// Cancelled first: no new connections.
    accepting: CancellationToken,
    /// Cancelled last: the metrics can be read while the server drains.
    scraping: CancellationToken,
    /// The accept loop and every connection.
    tasks: TaskTracker,
    tls: Option<Arc<TlsContext>>,
    tokens: Option<Arc<Tokens>>,
    /// `None` once the backend is closed.
    close: Option<Box<dyn FnOnce() -> Closing + Send>>,
}

impl RunningFabric {
    /// Where gRPC is served, with the actual port if port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the metrics are served, if they are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// What the server counts, as of now.
    pub fn metrics(&self) -> &Metrics {
        self.shell.metrics.sample();
        &self.shell.metrics
    }

    /// Reads certificates, keys and tokens again. What cannot be read stays as it was, and is told.
    pub fn reload(&self) -> Result<(), Error> {
        // Both are tried, so that a fault in one does not keep the other from being renewed.
        let tls = self.tls.as_ref().map_or(Ok(()), |tls| tls.reload());
        let tokens = self.tokens.as_ref().map_or(Ok(()), |tokens| tokens.reload());
        tls.and(tokens)?;
        info!(
            tls = self.tls.is_some(),
            tokens = self.tokens.as_ref().map(|tokens| tokens.count()),
            "read certificates and tokens again"
        );
        Ok(())
    }

    /// Ends the server: it turns not ready, accepts no more, tells its clients to move, waits until they have or the
    /// grace is over, and brings everything to disk.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        let grace = self.shell.config.shutdown_grace;
        info!(
            connections = self.shell.metrics.connections.get(),
            ?grace,
            "stopping: clients are told to move"
        );
        self.health.end().await;
        self.accepting.cancel();
        self.shell.draining.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let closed = match self.close.take() {
            Some(close) => close().await,
            None => Ok(()),
        };
        self.scraping.cancel();
        if let Some(file) = &self.shell.config.address_file {
            // Whoever looks for the server must not find a port that may be another's by now.
            let _ = fs::remove_file(file);
        }
        match &closed {
            Ok(()) => info!("stopped"),
            Err(error) => error!(%error, "stopped, but the storage could not be brought to rest"),
        }
        closed
    }

    fn serve(&self, listener: TcpListener, routes: Routes) {
        let Shell { config, metrics, draining, .. } = &self.shell;
        let services = BearerLayer::new(self.tokens.clone(), metrics.clone()).layer(routes);
        let (tls, tasks) = (self.tls.clone(), self.tasks.clone());
        let connections = Connections::new(config, tls, services, metrics.clone(), draining.clone(), tasks);
        let connections = Arc::new(connections);
        let (max_connections, accepting) = (config.max_connections, self.accepting.clone());
        self.tasks.spawn(listener::accept(
            listener,
            max_connections,
            accepting,
            move |stream, peer, permit| {
                connections.spawn(stream, peer, permit);
            },
        ));
    }

    fn serve_metrics(&mut self, listener: TcpListener, address: SocketAddr) {
        self.metrics_address = Some(address);
        info!(%address, "metrics at http://{address}/metrics");
        tokio::spawn(metrics_http::serve(listener, self.shell.metrics.clone(), self.scraping.clone()));
    }

    /// Turns the server not ready when its storage has failed. It goes on to serve what needs no storage, and says why
    /// it refuses the rest, until it is restarted.
    fn watch_storage(&self) {
        let (failed, health) = (self.shell.storage_failed.clone(), self.health.clone());
        self.tasks.spawn(self.shell.draining.clone().run_until_cancelled_owned(async move {
            failed.cancelled().await;
            health.set(false).await;
            error!("the storage failed: nothing is acknowledged any more, and health is NOT_SERVING; restart the server");
        }));
    }

    fn log_address(&self) {
        let config = &self.shell.config;
        info!(
            address = %self.address,
            tls = config.tls.is_some(),
            client_certificates = config.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some()),
            tokens = self.tokens.as_ref().map_or(0, |tokens| tokens.count()),
            version = env!("CARGO_PKG_VERSION"),
            "listening"
        );
        if is_loopback(self.address) {
            info!(
                "listening on loopback only: other machines cannot connect; --address with --tls-cert lets them"
            );
        } else if self.tls.is_none() {
            warn!(
                tokens = self.tokens.is_some(),
                "--insecure: everything, tokens included, travels in plain text on an address that others can reach"
            );
        }
    }
}

impl Drop for RunningFabric {
    fn drop(&mut self) {
        self.accepting.cancel();
        self.shell.draining.cancel();
        self.scraping.cancel();
    }
}

impl fmt::Debug for RunningFabric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningFabric").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Reads the files that a configuration names, as a start would, and lets go of them.
pub fn check_files(config: &Config) -> Result<(), Error> {
    config.check()?;
    config.tls.as_ref().map(TlsContext::load).transpose()?;
    config.token_file.as_deref().map(Tokens::load).transpose()?;
    Ok(())
}

/// Health and both versions of reflection, beside the services of Perper.
fn add_standard_services(routes: Routes, reporter: HealthReporter, config: &Config) -> Result<Routes, Error> {
    let limit = usize::try_from(config.limits.message_bytes).unwrap_or(usize::MAX);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let broken = |error| Error::Internal(format!("the descriptors for reflection: {error}"));
    Ok(routes
        .add_service(
            HealthServer::new(HealthService::from_health_reporter(reporter)).max_decoding_message_size(limit),
        )
        .add_service(reflection().build_v1().map_err(broken)?.max_decoding_message_size(limit))
        .add_service(reflection().build_v1alpha().map_err(broken)?.max_decoding_message_size(limit))
        .prepare())
}

fn log_storage(config: &Config, backend: &Backend) {
    let (cluster_id, boot_epoch, recovery) = (backend.cluster_id, backend.boot_epoch, backend.recovery);
    match config.storage() {
        Storage::Memory => info!(
            durability = "memory",
            %cluster_id,
            boot_epoch,
            "everything is in memory and gone with this server; --data keeps it"
        ),
        Storage::Folder { path, store, durability } => info!(
            data = %path.display(),
            %store,
            durability = durability_name(durability),
            %cluster_id,
            boot_epoch,
            ?recovery,
            "storage recovered"
        ),
    }
}

/// Whole or not at all, so that a script that waits for the file never reads half an address.
fn write_address(file: &Path, address: SocketAddr) -> Result<(), Error> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = file.with_file_name(name);
    fs::write(&new, format!("{address}\n"))
        .and_then(|()| fs::rename(&new, file))
        .map_err(|error| Error::file("--address-file", file, format!("it cannot be written: {error}")))
}
