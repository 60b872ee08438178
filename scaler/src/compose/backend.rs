//! Units as containers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::engine::{DEFAULT, Engine, Failure, PATIENCE, encode};
use super::project::{Project, Source};
use super::template::{Service, services, templates};
use super::unit::{self, Listed};
use crate::backend::Backend;
use crate::model::{Actual, Templates, Unit, UnitState};
use crate::reconciler::Report;
use crate::{Error, Result};

/// After events that could not be followed: how long to wait at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));
/// What happens to containers and changes how they stand. Health checks are events as well, several for each.
const EVENTS: [&str; 4] = ["create", "destroy", "die", "start"];
/// How long a container is left alone that could not be stopped.
const STOP_AGAIN: Duration = Duration::from_secs(5);
/// Containers that are looked at closely at once, and how long that may take for each: an engine may have one that it
/// never tells of.
const LOOKS: (usize, Duration) = (16, Duration::from_secs(10));

/// What the back-end has to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the project is described.
    pub source: Source,
    /// The name of the project; none for what its description says.
    pub project: Option<String>,
    /// The address of the Docker Engine; none for the usual one.
    pub engine: Option<String>,
    /// Variables that tell agents where the Fabric is.
    pub fabric: Vec<(String, String)>,
}

/// Runs units as containers.
#[derive(Debug)]
pub struct Compose {
    project: String,
    services: BTreeMap<String, Service>,
    fabric: Vec<(String, String)>,
    shared: Arc<Shared>,
    /// Stops under way.
    stops: TaskTracker,
    stop_again: Duration,
    /// Cancelled when the back-end ends.
    closing: CancellationToken,
}

impl Drop for Compose {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

#[derive(Debug)]
struct Shared {
    engine: Engine,
    changed: Notify,
    // A std mutex: held to look at or change a set, and never across an await.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Containers of the last listing, and how they stood.
    listed: BTreeMap<Unit, (String, UnitState)>,
    /// Ids of those that are being stopped by this process.
    stopping: BTreeSet<String>,
    /// Ids of those that were heard to end. The engine tells of an end before its listings know of it.
    died: BTreeSet<String>,
}

impl Compose {
    /// Reads the project, and begins to follow the containers of its agents.
    pub fn start(settings: Settings) -> Result<Self> {
        Self::start_with(settings, STOP_AGAIN)
    }

    fn start_with(settings: Settings, stop_again: Duration) -> Result<Self> {
        let project = Project::load(&settings.source, settings.project.as_deref())?;
        let services = services(&project)?;
        let engine = Engine::new(settings.engine.as_deref().unwrap_or(DEFAULT))
            .map_err(|message| Error::template("docker-host", message))?;
        let shared = Arc::new(Shared { engine, changed: Notify::new(), known: Mutex::default() });
        let closing = CancellationToken::new();
        let filters = json!({"type": ["container"], "event": EVENTS, "label": unit::filter(&project.name)});
        let follow = follow(Arc::clone(&shared), filters);
        tokio::spawn(closing.clone().run_until_cancelled_owned(follow));
        tracing::info!(project = project.name, agents = ?services.keys(), "services that can be agents");
        Ok(Compose {
            project: project.name,
            services,
            fabric: settings.fabric,
            shared,
            stops: TaskTracker::new(),
            stop_again,
            closing,
        })
    }

    async fn ask(&self, what: &str, method: Method, path: &str, body: &Value) -> Result<Value> {
        self.shared.engine.ask(method, path, body).await.map_err(|failure| Error::backend(what, failure))
    }

    /// Lists containers, and looks closely at those that have ended, or are suspected to.
    async fn look(&self, suspects: &BTreeSet<String>) -> Result<BTreeMap<Unit, (String, UnitState)>> {
        let filters = json!({"label": unit::filter(&self.project)});
        let path = format!("/containers/json?all=true&filters={}", encode(&filters.to_string()));
        let answer = self.ask("listing containers", Method::GET, &path, &Value::Null).await?;
        let Some(entries) = answer.as_array() else {
            // To take it for an empty one would be to start everything once more.
            return Err(Error::backend(
                "listing containers",
                "the answer is no list; is this a Docker Engine?",
            ));
        };
        let listed: Vec<_> = entries.iter().filter_map(|entry| Listed::read(entry, &self.project)).collect();
        let seen = futures_util::stream::iter(listed).map(|found| async move {
            let state = match found.state() {
                Some(state) if !suspects.contains(&found.id) => state,
                _ => self.look_closely(&found.id).await?,
            };
            Some((found.unit, (found.id, state)))
        });
        Ok(seen.buffer_unordered(LOOKS.0).filter_map(async |seen| seen).collect().await)
    }

    /// How a container stands; none if it is gone since.
    async fn look_closely(&self, id: &str) -> Option<UnitState> {
        let path = format!("/containers/{id}/json");
        match self.shared.engine.ask_within(LOOKS.1, Method::GET, &path, &Value::Null).await {
            Ok(details) => Some(unit::state(&details)),
            Err(failure) if failure.status() == Some(404) => None,
            Err(failure) => {
                tracing::warn!(container = id, %failure, "how a container stands cannot be told; leaving it alone");
                Some(UnitState::Stopping)
            }
        }
    }

    /// Makes a container and starts it. Nothing is left if that fails.
    async fn run(&self, unit: &Unit, service: &Service) -> Result<()> {
        let wrong = |message: String| Error::template(format!("service {}", service.name), message);
        let body = unit::body(unit, &self.project, service, &self.fabric).map_err(wrong)?;
        let container = service.container.as_ref().map_err(|message| wrong(message.clone()))?;
        let (major, minor) =
            self.shared.engine.version().await.map_err(|failure| Error::backend("container", failure))?;
        if let Some((field, (_, since))) = container.beyond((major, minor)) {
            return Err(wrong(format!(
                "{field} needs the Docker Engine's API {major}.{since}, and this engine has {major}.{minor}; leave it out"
            )));
        }
        for volume in &container.volumes {
            // The engine would make one that Compose does not know, without its driver.
            let path = format!("/volumes/{}", encode(volume));
            let what = format!("volume {volume}, which `docker compose up` makes");
            self.ask(&what, Method::GET, &path, &Value::Null).await?;
        }
        let name = unit::name(&self.project, unit);
        let what = format!("container {name}");
        let mut path = format!("/containers/create?name={}", encode(&name));
        if let Some(platform) = &container.platform {
            path += &format!("&platform={}", encode(platform));
        }
        let created = self.ask(&what, Method::POST, &path, &Value::Object(body)).await?;
        let id = created.get("Id").and_then(Value::as_str).unwrap_or(&name).to_owned();
        let started = async {
            // Engines before version 25 take one network at a time.
            for (network, endpoint) in container.networks.iter().skip(1) {
                let path = format!("/networks/{}/connect", encode(network));
                let body = json!({"Container": id, "EndpointConfig": endpoint});
                self.ask(&format!("{what} in network {network}"), Method::POST, &path, &body).await?;
            }
            let path = format!("/containers/{id}/start");
            self.ask(&what, Method::POST, &path, &Value::Null).await
        };
        if let Err(error) = started.await {
            // What cannot be removed now is found by the next listing, as something that has ended.
            drop(self.shared.remove(&id).await);
            return Err(error);
        }
        Ok(())
    }
}

impl Backend for Compose {
    const NAME: &'static str = "compose";

    fn templates(&self) -> Templates {
        templates(&self.services)
    }

    async fn list(&self) -> Result<Actual> {
        // Those that are heard of from now on are for the next listing: this one may be older than their end.
        let suspects = std::mem::take(&mut self.shared.lock().died);
        let outcome = self.look(&suspects).await;
        let mut known = self.shared.lock();
        let mut listed = match outcome {
            Ok(listed) => listed,
            Err(error) => {
                known.died.extend(suspects);
                return Err(error);
            }
        };
        // Not those that are gone, or that somebody has started again.
        let ended = listed.values().filter(|(_, state)| !matches!(state, UnitState::Running));
        known.died.extend(ended.map(|(id, _)| id).filter(|id| suspects.contains(*id)).cloned());
        for (id, state) in listed.values_mut() {
            if known.stopping.contains(id) {
                *state = UnitState::Stopping;
            }
        }
        known.listed = listed;
        Ok(known.listed.iter().map(|(unit, (_, state))| (unit.clone(), *state)).collect())
    }

    async fn start(&self, unit: &Unit) -> Result<()> {
        let service = self
            .services
            .get(unit.agent())
            .ok_or_else(|| Error::template(unit.agent(), "no service is for this agent"))?;
        let existing = self.shared.lock().listed.get(unit).cloned();
        match existing {
            None => {}
            Some((id, UnitState::Ended { .. })) => {
                tracing::info!(%unit, container = id, "a container has ended; replacing it");
                let removed = self.shared.remove(&id).await;
                removed.map_err(|failure| Error::backend(format!("removing container {id}"), failure))?;
            }
            Some(_) => return Ok(()),
        }
        self.run(unit, service).await
    }

    async fn stop(&self, unit: &Unit) -> Result<()> {
        let id = {
            let mut known = self.shared.lock();
            let Some((id, _)) = known.listed.get(unit).cloned() else { return Ok(()) };
            if !known.stopping.insert(id.clone()) {
                return Ok(());
            }
            id
        };
        let (shared, unit) = (Arc::clone(&self.shared), unit.clone());
        let (closing, again) = (self.closing.clone(), self.stop_again);
        self.stops.spawn(async move {
            if let Err(error) = shared.end(&id).await {
                tracing::warn!(%unit, %error, ?again, "a container could not be stopped; trying again");
                closing.run_until_cancelled(tokio::time::sleep(again)).await;
            }
            shared.lock().stopping.remove(&id);
            shared.changed.notify_one();
        });
        Ok(())
    }

    async fn scale(&self, agent: &str, _: u32) -> Result<()> {
        Err(Error::template(
            agent,
            "services do not follow the load; say how many containers there are to be",
        ))
    }

    async fn report(&self, _: &Report) -> Result<()> {
        Ok(())
    }

    async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// What runs goes on: the engine keeps it, and the next Scaler finds it. Only what was told to stop is waited for.
    async fn shutdown(&self) {
        self.closing.cancel();
        self.stops.close();
        self.stops.wait().await;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops a container with its signal and its time, which it was made with, and removes it.
    async fn end(&self, id: &str) -> Result<(), Failure> {
        let details = self.engine.ask(Method::GET, &format!("/containers/{id}/json"), &Value::Null).await;
        if details.as_ref().is_err_and(|failure| failure.status() == Some(404)) {
            return Ok(());
        }
        let patience = PATIENCE + unit::grace(&details?);
        let path = format!("/containers/{id}/stop");
        match self.engine.ask_within(patience, Method::POST, &path, &Value::Null).await {
            Err(failure) if failure.status() != Some(404) => return Err(failure),
            _ => {}
        }
        self.remove(id).await
    }

    /// Removes a container, and the volumes that are its alone.
    async fn remove(&self, id: &str) -> Result<(), Failure> {
        let path = format!("/containers/{id}?v=true&force=true");
        match self.engine.ask(Method::DELETE, &path, &Value::Null).await {
            // It is gone, or about to be.
            Err(failure) if !matches!(failure.status(), Some(404 | 409)) => Err(failure),
            _ => Ok(()),
        }
    }
}

/// Takes notice of everything that happens to containers of agents.
async fn follow(shared: Arc<Shared>, filters: Value) {
    let mut wait = AGAIN.0;
    loop {
        let begin = Instant::now();
        let ended = shared.engine.events(&filters, |event| {
            if let ("die", Some(id)) = unit::told(event) {
                shared.lock().died.insert(id.to_owned());
            }
            shared.changed.notify_one();
        });
        let ended = ended.await;
        if begin.elapsed() > AGAIN.1 {
            wait = AGAIN.0;
        }
        match ended {
            Ok(()) => tracing::debug!("the Docker Engine's events have ended; following them again"),
            Err(error) => {
                tracing::warn!(%error, ?wait, "the Docker Engine's events cannot be followed; trying again")
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(AGAIN.1);
    }
}

#[cfg(test)]
#[path = "backend_tests.rs"]
mod tests;
