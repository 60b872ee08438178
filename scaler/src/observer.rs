//! What should be: the instances that the Fabric tells of, as the executions of `Registry`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use perper::ErrorKind;
use perper::protocol::{ExecutionFilter, Fabric, PageRequest, WatchEvent};
use tokio::sync::Notify;
use tokio::time::{sleep_until, timeout_at};

use crate::Result;
use crate::backend::Load;
use crate::reconciler::{Desired, InstanceSeen};

/// The agent whose executions are the instances.
const REGISTRY: &str = "Registry";
/// Events that follow each other faster than this are taken together,
const QUIET: Duration = Duration::from_millis(20);
/// but none waits longer than this,
const PATIENCE: Duration = Duration::from_millis(200);
/// and no more are taken together than this.
const BATCH: usize = 4096;

/// Follows the instances of all agents.
#[derive(Debug)]
pub struct Observer {
    fabric: Fabric,
    // A std mutex: it is held to copy or change a map, never across an await.
    desired: Mutex<Desired>,
    changed: Notify,
}

impl Observer {
    /// One that has seen nothing yet; [`run`](Observer::run) makes it see.
    pub fn new(fabric: Fabric) -> Arc<Self> {
        Arc::new(Observer {
            fabric,
            desired: Mutex::new(Desired::unknown(Instant::now())),
            changed: Notify::new(),
        })
    }

    /// What should be, as far as it is known.
    pub fn desired(&self) -> Desired {
        self.lock().clone()
    }

    /// Waits until that has changed since the last time.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Observes, until the Fabric refuses for good.
    pub async fn run(&self) -> Result<()> {
        let filter = ExecutionFilter { agent: REGISTRY.to_owned(), ..ExecutionFilter::default() };
        let mut watch = self.fabric.observe_executions(filter, true);
        loop {
            let mut batch = Batch::default();
            batch.take(watch.next().await?);
            let latest = tokio::time::Instant::now() + PATIENCE;
            while batch.events < BATCH {
                let deadline = latest.min(tokio::time::Instant::now() + QUIET);
                match timeout_at(deadline, watch.next()).await {
                    Ok(event) => batch.take(event?),
                    Err(_) => break,
                }
            }
            let cluster = self.whose(&batch).await?;
            self.apply(batch, cluster);
        }
    }

    /// Asks now and then how many executions each agent has, as long as anybody needs to know.
    ///
    /// Following each of them would cost the Fabric and this process more than all the rest; a number that is some
    /// seconds old is as good.
    pub async fn follow_load(&self, every: Duration, needed: impl Fn() -> bool) -> Result<()> {
        let mut next = tokio::time::Instant::now();
        loop {
            sleep_until(next).await;
            next += every;
            if !needed() {
                continue;
            }
            match self.load().await {
                Ok(load) => {
                    let mut desired = self.lock();
                    if desired.load != load {
                        desired.load = load;
                        drop(desired);
                        self.changed.notify_one();
                    }
                }
                // What was last known stays in force.
                Err(error) if is_passing(&error) => tracing::debug!(%error, "the load cannot be read"),
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn load(&self) -> perper::Result<Load> {
        let mut load = Load::new();
        let mut request = PageRequest::default();
        loop {
            let page = self.fabric.list_agents(request).await?;
            for agent in page.entries {
                load.insert(agent.agent, agent.pending_executions + agent.reserved_executions);
            }
            if page.next.is_empty() {
                return Ok(load);
            }
            request = PageRequest { token: page.next, ..PageRequest::default() };
        }
    }

    /// Which Fabric told what is in a batch.
    ///
    /// The watch has a connection of its own, which may have reached another Fabric before the session has. A read in
    /// the session is answered by the one that the session is with, after that has said who it is.
    async fn whose(&self, batch: &Batch) -> Result<String> {
        let probe = batch.instances.keys().chain(&batch.removed).next().cloned().unwrap_or_default();
        if !probe.is_empty() {
            match self.fabric.get_execution(probe, true).await {
                Err(error) if error.kind() == ErrorKind::Closed => return Err(error.into()),
                // Whether it exists does not matter: somebody has answered.
                _ => {}
            }
        }
        self.fabric.ready().await?;
        Ok(self.fabric.server().unwrap_or_default().cluster_id)
    }

    fn apply(&self, batch: Batch, cluster: String) {
        let mut desired = self.lock();
        if desired.cluster != cluster {
            if desired.started && !desired.cluster.is_empty() {
                tracing::warn!(
                    before = desired.cluster,
                    now = cluster,
                    "this is another Fabric, with other instances; what belongs to the one before has a time of grace"
                );
            }
            desired.cluster = cluster.clone();
            desired.cluster_since = Instant::now();
        }
        for id in batch.removed {
            desired.instances.remove(&id);
        }
        for (id, (agent, incarnation)) in batch.instances {
            let seen = InstanceSeen { agent, incarnation, cluster: cluster.clone() };
            desired.instances.insert(id, seen);
        }
        desired.started |= batch.started;
        drop(desired);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Desired> {
        self.desired.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error goes by itself.
fn is_passing(error: &perper::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Draining | ErrorKind::Cancelled | ErrorKind::Unknown
    )
}

/// What came together: the last that was told of each instance.
#[derive(Default)]
struct Batch {
    instances: BTreeMap<String, (String, u64)>,
    removed: BTreeSet<String>,
    started: bool,
    events: usize,
}

impl Batch {
    fn take(&mut self, event: WatchEvent) {
        self.events += 1;
        match event {
            WatchEvent::Execution(registered) => {
                self.removed.remove(&registered.execution);
                self.instances.insert(registered.execution, (registered.instance, registered.incarnation));
            }
            WatchEvent::ExecutionRemoved(id) => {
                self.instances.remove(&id);
                self.removed.insert(id);
            }
            WatchEvent::StartReached => self.started = true,
            _ => {}
        }
    }
}
