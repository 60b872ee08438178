//! The loop around the reconciler.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use perper::protocol::Fabric;
use tokio_util::sync::CancellationToken;

use crate::backend::Backend;
use crate::metrics::Metrics;
use crate::observer::Observer;
use crate::reconciler::{Action, BackoffSettings, Plan, Reconciler};
use crate::serving::Health;
use crate::{Error, Result};

/// How a Scaler works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How starts are spaced that keep failing.
    pub backoff: BackoffSettings,
    /// How long what belongs to another Fabric is left alone.
    pub grace: Duration,
    /// How often everything is compared although nothing has been heard of.
    pub resync: Duration,
    /// How many starts and stops are under way at once.
    pub concurrency: usize,
    /// How often the load of agents is asked for, where it matters.
    pub load_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            backoff: BackoffSettings::default(),
            grace: Duration::from_secs(60),
            resync: Duration::from_secs(30),
            concurrency: 16,
            load_interval: Duration::from_secs(5),
        }
    }
}

/// After a comparison that failed: how long to wait at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));

/// Makes what runs match what should, by means of a back-end.
#[derive(Debug)]
pub struct Scaler<B> {
    backend: Arc<B>,
    observer: Arc<Observer>,
    settings: Settings,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

impl<B: Backend> Scaler<B> {
    /// One for a Fabric and a back-end.
    pub fn new(fabric: Fabric, backend: Arc<B>, settings: Settings) -> Self {
        Scaler {
            backend,
            observer: Observer::new(fabric),
            settings,
            metrics: Arc::default(),
            health: Arc::default(),
        }
    }

    /// What it counts.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Whether it works.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Works until it is told to stop, or the Fabric refuses for good.
    pub async fn run(&self, stop: CancellationToken) -> Result<()> {
        let backend = Arc::clone(&self.backend);
        let load = self.observer.follow_load(self.settings.load_interval, move || backend.needs_load());
        let result = tokio::select! {
            result = self.observer.run() => result,
            result = load => result,
            never = self.lead() => match never {},
            () = stop.cancelled() => Ok(()),
        };
        self.metrics.leads(false);
        result
    }

    /// Works as long as this process is the one that does, and stands by otherwise.
    async fn lead(&self) -> Infallible {
        let mut leads = self.backend.leads();
        loop {
            self.metrics.leads(false);
            self.health.set_compared(true);
            while !*leads.borrow_and_update() {
                self.health.set_observed(self.observer.desired().started);
                tokio::select! {
                    Ok(()) = leads.changed() => {}
                    () = self.observer.changed() => {}
                }
            }
            self.metrics.leads(true);
            let lost = async {
                // One that nobody decides about leads for good.
                if leads.wait_for(|leads| !leads).await.is_err() {
                    std::future::pending().await
                }
            };
            tokio::select! {
                () = self.work() => {}
                () = lost => tracing::warn!(backend = B::NAME, "this one does not act any more"),
            }
        }
    }

    async fn work(&self) {
        let mut reconciler = Reconciler::new(self.settings.backoff, self.settings.grace);
        let mut reported = Vec::new();
        let mut wait = AGAIN.0;
        loop {
            let begin = Instant::now();
            let outcome = self.compare(&mut reconciler, &mut reported).await;
            self.metrics.compared(begin.elapsed().as_secs_f64(), outcome.is_ok());
            self.health.set_compared(outcome.is_ok());
            let again = match outcome {
                Ok(again) => {
                    wait = AGAIN.0;
                    let resync = Instant::now() + self.settings.resync;
                    again.map_or(resync, |again| again.min(resync))
                }
                Err(error) => {
                    tracing::warn!(backend = B::NAME, %error, ?wait, "what runs cannot be compared with what should; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(AGAIN.1);
                    continue;
                }
            };
            tokio::select! {
                () = self.observer.changed() => {}
                () = self.backend.changed() => {}
                () = tokio::time::sleep_until(again.into()) => {}
            }
        }
    }

    /// Compares once, and does what follows. Says when to compare again.
    async fn compare(
        &self,
        reconciler: &mut Reconciler,
        reported: &mut Vec<String>,
    ) -> Result<Option<Instant>> {
        // What runs is listed first: what should run is then at least as new, so that nothing is stopped because it
        // was started just now.
        let actual = self.backend.list().await?;
        let desired = self.observer.desired();
        let templates = self.backend.templates();
        self.health.set_observed(desired.started);
        let plan = reconciler.plan(&desired, &templates, &actual, Instant::now());
        self.metrics.report(&plan.report);
        tell_unknown(&plan, reported);
        let acts = plan.actions.iter().any(|action| !matches!(action, Action::Scale { .. }));
        let refused: Vec<(Action, Error)> = futures_util::stream::iter(plan.actions)
            .map(|action| async {
                let outcome = self.act(&action).await;
                outcome.err().map(|error| (action, error))
            })
            .buffer_unordered(self.settings.concurrency.max(1))
            .filter_map(async |refused| refused)
            .collect()
            .await;
        let now = Instant::now();
        let soon = now + AGAIN.0;
        // What came of it is seen by the next comparison, and told in metrics and statuses.
        let mut again =
            if acts { Some(plan.again.map_or(soon, |again| again.min(soon))) } else { plan.again };
        for (action, error) in refused {
            let (what, agent) = match &action {
                Action::Start(unit) => {
                    reconciler.start_failed(unit, now);
                    (format!("start {unit}"), unit.agent())
                }
                Action::Stop(unit) => (format!("stop {unit}"), unit.agent()),
                Action::Scale { agent, replicas } => (format!("scale {agent} to {replicas}"), agent.as_str()),
            };
            self.metrics.failed(agent);
            tracing::warn!(backend = B::NAME, %error, "could not {what}; trying again");
            again = Some(again.map_or(soon, |again| again.min(soon)));
        }
        self.backend.report(&plan.report).await?;
        Ok(again)
    }

    async fn act(&self, action: &Action) -> Result<()> {
        match action {
            Action::Start(unit) => {
                self.backend.start(unit).await?;
                self.metrics.started(unit.agent());
                tracing::debug!(%unit, "started");
            }
            Action::Stop(unit) => {
                self.backend.stop(unit).await?;
                self.metrics.stopped(unit.agent());
                tracing::debug!(%unit, "told to stop");
            }
            Action::Scale { agent, replicas } => self.backend.scale(agent, *replicas).await?,
        }
        Ok(())
    }
}

/// Says it once when an agent without a template appears, and not with every comparison.
fn tell_unknown(plan: &Plan, reported: &mut Vec<String>) {
    let unknown: Vec<(&str, usize)> = plan.report.unknown().collect();
    for (agent, instances) in &unknown {
        if !reported.iter().any(|known| known == agent) {
            tracing::warn!(agent, instances, "no template names this agent; nothing runs its instances");
        }
    }
    *reported = unknown.into_iter().map(|(agent, _)| agent.to_owned()).collect();
}
