//! The one place where the services meet the server around them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use perper_store::{ClusterId, DataFolder, HeadRoom, MemoryStore, Store};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::observed_store::ObservedStore;
use crate::Error;
use crate::broker::Broker;
use crate::config::{Config, Storage};
use crate::engine::{Clock, Embedded, EmbeddedOptions, Engine};
use crate::metrics::Metrics;
use crate::service;

/// What the server hands to its services.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    /// What the server was told.
    pub(crate) config: Arc<Config>,
    /// What it counts.
    pub(crate) metrics: Arc<Metrics>,
    /// Cancelled by the server when it begins to stop. Attached sessions are then told (`ServerFrame.draining`) and
    /// their streams ended as soon as what is in flight is answered; when all connections are closed, or the grace is
    /// over, [`Backend::close`] is called.
    pub(crate) draining: CancellationToken,
    /// Cancelled by the store when a commit has failed, which is for good: health turns to `NOT_SERVING`, so that whoever
    /// watches restarts the server.
    pub(crate) storage_failed: CancellationToken,
}

/// What the services hand to the server.
pub(crate) struct Backend {
    /// The services of `perper.v1`, and any other. Each must be built with `max_decoding_message_size` and
    /// `max_encoding_message_size` of `limits.message_bytes`; the server refuses larger ones before they get there.
    pub(crate) routes: Routes,
    /// Which data this is.
    pub(crate) cluster_id: ClusterId,
    /// How many times it was opened.
    pub(crate) boot_epoch: u64,
    /// How long it took to read what was stored.
    pub(crate) recovery: Duration,
    /// Brings everything to disk. Called once, after the last connection is closed.
    pub(crate) close: Box<dyn FnOnce() -> Closing + Send>,
}

/// The end of a backend.
pub(crate) type Closing = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

impl Backend {
    /// Opens the storage and makes the services. With `store`, that is the storage, whatever the configuration says.
    pub(crate) async fn open(shell: &Shell, store: Option<Arc<dyn Store>>) -> Result<Self, Error> {
        let clock = Clock::start();
        let opened = blocking({
            let shell = shell.clone();
            move || open_engine(&shell, store, clock)
        })
        .await??;
        let broker = Broker::start(
            opened.engine.clone(),
            clock,
            Arc::clone(&shell.config),
            Arc::clone(&shell.metrics),
        );
        tokio::spawn({
            let (broker, draining) = (Arc::downgrade(&broker), shell.draining.clone());
            async move {
                draining.cancelled().await;
                if let Some(broker) = broker.upgrade() {
                    broker.drain();
                }
            }
        });
        shell.metrics.sample_with({
            let (broker, engine) = (Arc::downgrade(&broker), Arc::downgrade(&opened.engine));
            let store = Arc::downgrade(&opened.store);
            move |metrics| {
                if let (Some(broker), Some(engine)) = (broker.upgrade(), engine.upgrade()) {
                    sample(metrics, &broker, &engine);
                }
                if let Some(Ok(bytes)) = store.upgrade().map(|store| store.disk_usage()) {
                    metrics.store_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
                }
            }
        });
        let routes = service::routes(&broker);
        Ok(Self {
            routes,
            cluster_id: opened.cluster_id,
            boot_epoch: opened.boot_epoch,
            recovery: opened.recovery,
            close: Box::new(move || {
                Box::pin(async move {
                    broker.stop();
                    let Opened { engine, folder, store, .. } = opened;
                    drop(store);
                    blocking(move || {
                        engine.close().map_err(|error| Error::Internal(error.message))?;
                        drop(folder);
                        Ok(())
                    })
                    .await?
                })
            }),
        })
    }
}

struct Opened {
    engine: Arc<Embedded>,
    store: Arc<dyn Store>,
    folder: Option<DataFolder>,
    cluster_id: ClusterId,
    boot_epoch: u64,
    recovery: Duration,
}

fn open_engine(shell: &Shell, store: Option<Arc<dyn Store>>, clock: Clock) -> Result<Opened, Error> {
    let start = Instant::now();
    let config = &shell.config;
    let (folder, store): (_, Arc<dyn Store>) = match (store, config.storage()) {
        (Some(store), _) => (None, store),
        (None, Storage::Memory) => (None, Arc::new(MemoryStore::new())),
        (None, Storage::Folder { path, store, durability }) => {
            let folder = DataFolder::open(&path, store)?;
            let store = folder.open_store(durability)?;
            (Some(folder), store)
        }
    };
    let store: Arc<dyn Store> =
        Arc::new(ObservedStore::new(store, Arc::clone(&shell.metrics), shell.storage_failed.clone()));
    let (cluster_id, boot_epoch) = match &folder {
        Some(folder) => (folder.cluster_id(), folder.boot_epoch()),
        None => (new_cluster_id()?, 1),
    };
    let head_room =
        folder.as_ref().map(|folder| HeadRoom::of_folder(folder.path(), config.disk_reserve)).transpose()?;
    let options = EmbeddedOptions {
        cluster_id: cluster_id.0,
        boot_epoch,
        attempts: config.max_attempts,
        tombstone_ms: u64::try_from(config.tombstone_retention.as_millis()).unwrap_or(u64::MAX),
        unheard_items: config.stream_backlog_items,
        unheard_bytes: config.stream_backlog_bytes,
        value_bytes: config.limits.value_bytes,
        tail_cache_bytes: TAIL_CACHE,
    };
    let engine = Embedded::open(Arc::clone(&store), head_room, clock, &options)?;
    Ok(Opened { engine, store, folder, cluster_id, boot_epoch, recovery: start.elapsed() })
}

/// Reads off what broker and engine keep count of anyway.
fn sample(metrics: &Metrics, broker: &Broker, engine: &Embedded) {
    let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    metrics.sessions.set(gauge(broker.count_sessions()));
    metrics.subscriptions.set(gauge(broker.count_subscriptions()));
    let tally = engine.tally();
    metrics.executions_pending.set(gauge(tally.pending));
    metrics.executions_reserved.set(gauge(tally.reserved));
    metrics.executions_created.inner().store(tally.created, Ordering::Relaxed);
    metrics.activations.inner().store(tally.activations, Ordering::Relaxed);
    metrics.redeliveries.inner().store(tally.redeliveries, Ordering::Relaxed);
    metrics.revocations.inner().store(tally.revocations, Ordering::Relaxed);
    metrics.set_executions_ended(&tally.ended);
    metrics.stream_items_received.inner().store(tally.stream_items, Ordering::Relaxed);
    metrics.stream_bytes_received.inner().store(tally.stream_bytes, Ordering::Relaxed);
}

/// Recent items that are kept in memory for listeners who keep up.
const TAIL_CACHE: usize = 64 << 20;

/// What is in memory is other data in each run.
fn new_cluster_id() -> Result<ClusterId, Error> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)
        .map_err(|error| Error::Internal(format!("the system gives no random bytes: {error}")))?;
    Ok(ClusterId(u128::from_be_bytes(id)))
}

/// Runs what waits for a disk where it holds up nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Internal(format!("a task of the storage ended early: {error}")))
}
