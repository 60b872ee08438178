//! Units as Pods, and shared agents as Deployments.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::utils::Backoff;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use super::lease::{self, Candidate};
use super::status::{Facts, status};
use super::template::{PerperAgent, choose, templates};
use super::unit;
use crate::backend::Backend;
use crate::model::{Actual, Templates, Unit, UnitState};
use crate::names;
use crate::reconciler::Report;
use crate::{Error, Result};

/// Who we are where fields have managers.
const MANAGER: &str = "perper-scaler";
/// How long the first listing of everything may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// After a watch or a listing that failed: how long to wait at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));

/// What the back-end has to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespace; none for the one that this process is in.
    pub namespace: Option<String>,
    /// Who this replica is; none for the name of its host, which in a Pod is the Pod's.
    pub identity: Option<String>,
    /// How long a leader that says nothing is believed to live.
    pub lease: Duration,
    /// Variables that tell agents where the Fabric is.
    pub fabric: Vec<(String, String)>,
}

/// Runs units as Pods.
pub struct Kubernetes {
    client: Client,
    namespace: String,
    fabric: Vec<(String, String)>,
    resources: Store<PerperAgent>,
    pods: Store<Pod>,
    deployments: Store<Deployment>,
    changed: Arc<Notify>,
    leads: watch::Receiver<bool>,
    /// Ends with the candidate, which has given its Lease up by then.
    standing: Mutex<Option<AbortOnDropHandle<()>>>,
    resign: CancellationToken,
    events: Recorder,
    notes: Mutex<Notes>,
    _following: DropGuard,
}

/// What is remembered to be said in a status, or not to be said twice.
#[derive(Debug, Default)]
struct Notes {
    /// Why an agent's Pods could not be made, by agent.
    problems: BTreeMap<String, String>,
    /// Agents without a template that were told of.
    unknown: BTreeSet<String>,
}

impl Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubernetes").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Kubernetes {
    /// Connects as `kubectl` does: by what `KUBECONFIG` names, or as a Pod of the cluster.
    pub async fn connect(settings: Settings) -> Result<Self> {
        let client = Client::try_default().await.map_err(|error| {
            Error::backend("finding Kubernetes (KUBECONFIG, or the Pod's own account)", error)
        })?;
        Self::start(client, settings)
    }

    /// Begins to follow what there is.
    pub fn start(client: Client, settings: Settings) -> Result<Self> {
        let namespace = settings.namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        let identity = match settings.identity {
            Some(identity) => identity,
            None => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        };
        let (changed, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let ours = watcher::Config::default().labels(&unit::selector());
        let all = watcher::Config::default();
        let resources = follow(Api::namespaced(client.clone(), &namespace), all, &changed, &stop);
        let pods = follow(Api::namespaced(client.clone(), &namespace), ours.clone(), &changed, &stop);
        let deployments = follow(Api::namespaced(client.clone(), &namespace), ours, &changed, &stop);
        let mut candidate = Candidate::new(client.clone(), &namespace, identity.clone(), settings.lease);
        let (leads, resign) = (candidate.leads(), CancellationToken::new());
        let resigned = resign.clone();
        let standing = AbortOnDropHandle::new(tokio::spawn(async move {
            resigned.run_until_cancelled(candidate.stand()).await;
            candidate.resign().await;
        }));
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(identity) };
        Ok(Kubernetes {
            events: Recorder::new(client.clone(), reporter),
            client,
            namespace,
            fabric: settings.fabric,
            resources,
            pods,
            deployments,
            changed,
            leads,
            standing: Mutex::new(Some(standing)),
            resign,
            notes: Mutex::default(),
            _following: stop.drop_guard(),
        })
    }

    fn api<K: Resource<Scope = NamespaceResourceScope>>(&self) -> Api<K>
    where
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn chosen(&self) -> BTreeMap<String, Arc<PerperAgent>> {
        choose(&self.resources.state()).0
    }

    fn resource(&self, agent: &str) -> Result<Arc<PerperAgent>> {
        self.chosen().remove(agent).ok_or_else(|| Error::template(agent, "no PerperAgent names this agent"))
    }

    async fn create(&self, unit: &Unit, resource: &PerperAgent) -> Result<()> {
        let name = names::name(unit);
        let failed = |error: String| Error::backend(format!("Pod {name}"), error);
        let pod = unit::pod(unit, resource, &self.fabric).map_err(failed)?;
        // As it is, not as this version of the API knows Pods, or a field of a later version would get lost.
        let pod: DynamicObject = serde_json::from_value(pod).map_err(|error| failed(error.to_string()))?;
        let pods: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &ApiResource::erase::<Pod>(&()));
        match pods
            .create(&PostParams { field_manager: Some(MANAGER.to_owned()), ..Default::default() }, &pod)
            .await
        {
            Ok(_) => {
                self.tell(
                    resource.object_ref(&()),
                    EventType::Normal,
                    "Created",
                    format!("Created Pod {name} for {unit}"),
                );
                Ok(())
            }
            // Our cache is older than the Pod.
            Err(error) if code(&error) == Some(409) => Ok(()),
            Err(error) => Err(Error::backend(format!("Pod {name}"), error)),
        }
    }

    async fn delete(&self, pod: &str, uid: Option<String>) -> Result<()> {
        let parameters = DeleteParams {
            preconditions: uid.map(|uid| Preconditions { uid: Some(uid), resource_version: None }),
            ..DeleteParams::background()
        };
        match self.api::<Pod>().delete(pod, &parameters).await {
            Ok(_) => Ok(()),
            // It is gone, or another one of that name has come.
            Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(()),
            Err(error) => Err(Error::backend(format!("deleting Pod {pod}"), error)),
        }
    }

    /// Says something where `kubectl describe` shows it. Nobody waits for that.
    fn tell(&self, about: ObjectReference, type_: EventType, reason: &str, note: String) {
        // What has no name fits no longer.
        let note = note.chars().take(1000).collect();
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note),
            action: reason.to_owned(),
            secondary: None,
        };
        let events = self.events.clone();
        tokio::spawn(async move {
            if let Err(error) = events.publish(&event, &about).await {
                tracing::debug!(%error, "an event could not be published");
            }
        });
    }

    fn note(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers why something of an agent failed, and says it once; or that it did not.
    fn settle(&self, resource: &PerperAgent, outcome: &Result<()>) {
        let agent = resource.spec.agent.clone();
        match outcome {
            Ok(()) => {
                self.note().problems.remove(&agent);
            }
            Err(error) => {
                let problem = error.to_string();
                let former = self.note().problems.insert(agent, problem.clone());
                if former.as_ref() != Some(&problem) {
                    self.tell(resource.object_ref(&()), EventType::Warning, "Failed", problem);
                }
            }
        }
    }

    /// Removes Deployments whose agent is not shared any more. Those of resources that are gone, Kubernetes collects.
    async fn remove_deployments(&self, chosen: &BTreeMap<String, Arc<PerperAgent>>) -> Result<()> {
        let wanted: BTreeSet<String> = chosen
            .values()
            .filter(|resource| resource.spec.mode == super::AgentMode::Shared)
            .map(|resource| unit::deployment_name(resource))
            .collect();
        for deployment in self.deployments.state() {
            let name = deployment.name_any();
            let is_ours =
                deployment.owner_references().iter().any(|owner| owner.kind == PerperAgent::kind(&()));
            if wanted.contains(&name) || deployment.metadata.deletion_timestamp.is_some() || !is_ours {
                continue;
            }
            match self.api::<Deployment>().delete(&name, &DeleteParams::background()).await {
                Err(error) if code(&error) != Some(404) => {
                    return Err(Error::backend(format!("deleting Deployment {name}"), error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn write_status(&self, resource: &PerperAgent, facts: &Facts) -> Result<()> {
        let Some(status) = status(resource, facts, Timestamp::now()) else { return Ok(()) };
        let name = resource.name_any();
        let patch = json!({
            "apiVersion": PerperAgent::api_version(&()),
            "kind": PerperAgent::kind(&()),
            "status": status,
        });
        let parameters = PatchParams::apply(MANAGER).force();
        match self.api::<PerperAgent>().patch_status(&name, &parameters, &Patch::Apply(&patch)).await {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == Some(404) => Ok(()),
            Err(error) => Err(Error::backend(format!("the status of PerperAgent {name}"), error)),
        }
    }
}

impl Backend for Kubernetes {
    const NAME: &'static str = "kubernetes";

    fn templates(&self) -> Templates {
        templates(&self.chosen())
    }

    async fn list(&self) -> Result<Actual> {
        let ready = async {
            self.resources.wait_until_ready().await?;
            self.pods.wait_until_ready().await?;
            self.deployments.wait_until_ready().await
        };
        match tokio::time::timeout(PATIENCE, ready).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Error::backend("following Kubernetes", error)),
            Err(_) => {
                return Err(Error::backend(
                    "following Kubernetes",
                    format!("nothing was heard within {PATIENCE:?}; see the warnings before this one"),
                ));
            }
        }
        let pods = self.pods.state();
        Ok(pods.iter().filter_map(|pod| Some((unit::unit(pod)?, unit::state(pod)))).collect())
    }

    async fn start(&self, unit: &Unit) -> Result<()> {
        let resource = self.resource(unit.agent())?;
        let name = names::name(unit);
        let existing = self.pods.get(&ObjectRef::new(&name).within(&self.namespace));
        let outcome = match existing {
            None => self.create(unit, &resource).await,
            // It comes back once the one that has ended is gone.
            Some(pod) if matches!(unit::state(&pod), UnitState::Ended { .. }) => {
                self.tell(
                    resource.object_ref(&()),
                    EventType::Warning,
                    "Replaced",
                    format!("Pod {name} for {unit} has ended; replacing it"),
                );
                self.delete(&name, pod.uid()).await
            }
            Some(_) => Ok(()),
        };
        self.settle(&resource, &outcome);
        outcome
    }

    async fn stop(&self, unit: &Unit) -> Result<()> {
        let name = names::name(unit);
        self.delete(&name, None).await?;
        if let Ok(resource) = self.resource(unit.agent()) {
            self.tell(
                resource.object_ref(&()),
                EventType::Normal,
                "Deleted",
                format!("Deleted Pod {name} for {unit}"),
            );
        }
        Ok(())
    }

    async fn scale(&self, agent: &str, replicas: u32) -> Result<()> {
        let resource = self.resource(agent)?;
        let name = unit::deployment_name(&resource);
        let failed = |error: String| Error::backend(format!("Deployment {name}"), error);
        let outcome = async {
            let deployment = unit::deployment(&resource, replicas, &self.fabric).map_err(failed)?;
            let existing = self.deployments.get(&ObjectRef::new(&name).within(&self.namespace));
            if let Some(existing) = existing {
                let applied =
                    deployment.pointer("/metadata/annotations").and_then(|all| all.get(unit::APPLIED));
                let is_same = existing.annotations().get(unit::APPLIED).map(String::as_str)
                    == applied.and_then(Value::as_str);
                let replicas =
                    existing.spec.as_ref().and_then(|spec| spec.replicas) == i32::try_from(replicas).ok();
                if is_same && replicas {
                    return Ok(());
                }
            }
            // What others have set stays theirs, but for what we say.
            let parameters = PatchParams::apply(MANAGER).force();
            let deployments: Api<DynamicObject> = Api::namespaced_with(
                self.client.clone(),
                &self.namespace,
                &ApiResource::erase::<Deployment>(&()),
            );
            let patched = deployments.patch(&name, &parameters, &Patch::Apply(&deployment)).await;
            patched.map_err(|error| Error::backend(format!("Deployment {name}"), error))?;
            self.tell(
                resource.object_ref(&()),
                EventType::Normal,
                "Scaled",
                format!("Deployment {name} has {replicas} replicas"),
            );
            Ok(())
        }
        .await;
        self.settle(&resource, &outcome);
        outcome
    }

    async fn report(&self, report: &Report) -> Result<()> {
        let (chosen, others) = choose(&self.resources.state());
        let mut ready: BTreeMap<String, usize> = BTreeMap::new();
        for pod in self.pods.state() {
            if let Some(unit) = unit::unit(&pod).filter(|_| unit::is_ready(&pod)) {
                *ready.entry(unit.agent().to_owned()).or_default() += 1;
            }
        }
        for (agent, resource) in &chosen {
            let numbers = report.agents.get(agent).cloned().unwrap_or_default();
            let shared = self
                .deployments
                .get(&ObjectRef::new(&unit::deployment_name(resource)).within(&self.namespace))
                .and_then(|deployment| deployment.status.as_ref()?.ready_replicas)
                .and_then(|ready| usize::try_from(ready).ok());
            let facts = Facts {
                instances: numbers.instances,
                wanted: numbers.wanted,
                ready: match resource.spec.mode {
                    super::AgentMode::PerInstance => ready.get(agent).copied().unwrap_or(0),
                    super::AgentMode::Shared => shared.unwrap_or(0),
                },
                superseded_by: None,
                problem: self.note().problems.get(agent).cloned(),
            };
            self.write_status(resource, &facts).await?;
        }
        for other in &others {
            let winner = chosen.get(&other.spec.agent).map(|winner| winner.name_any());
            self.write_status(other, &Facts { superseded_by: winner, ..Facts::default() }).await?;
        }
        // There is no resource to say it of, so it is said of the Lease.
        let unknown: BTreeMap<String, usize> =
            report.unknown().map(|(agent, instances)| (agent.to_owned(), instances)).collect();
        let known = std::mem::replace(&mut self.note().unknown, unknown.keys().cloned().collect());
        for (agent, instances) in unknown.iter().filter(|(agent, _)| !known.contains(*agent)) {
            let about = ObjectReference {
                api_version: Some(Lease::api_version(&()).into_owned()),
                kind: Some(Lease::kind(&()).into_owned()),
                name: Some(lease::NAME.to_owned()),
                namespace: Some(self.namespace.clone()),
                ..ObjectReference::default()
            };
            let note = format!("No PerperAgent names agent {agent}, which has {instances} instances");
            self.tell(about, EventType::Warning, "NoTemplate", note);
        }
        self.remove_deployments(&chosen).await
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }

    fn leads(&self) -> watch::Receiver<bool> {
        self.leads.clone()
    }

    async fn shutdown(&self) {
        self.resign.cancel();
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(standing) = standing {
            // An API server that does not answer must not hold this process.
            let _ = tokio::time::timeout(Duration::from_secs(5), standing).await;
        }
    }
}

/// The code of an answer of the API server.
fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// Growing waits, which begin anew after each success: a watch that breaks now and then is nothing unusual.
struct Again(Duration);

impl Iterator for Again {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.0;
        self.0 = (wait * 2).min(AGAIN.1);
        Some(wait)
    }
}

impl Backoff for Again {
    fn reset(&mut self) {
        self.0 = AGAIN.0;
    }
}

/// Keeps a copy of everything of a kind.
fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    changed: &Arc<Notify>,
    stop: &CancellationToken,
) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let changed = Arc::clone(changed);
    let follow = async move {
        let events = watcher(api, config).backoff(Again(AGAIN.0)).reflect(writer);
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(_) => changed.notify_one(),
                Err(error) => {
                    tracing::warn!(kind = %K::kind(&()), %error, "Kubernetes cannot be followed; trying again")
                }
            }
        }
    };
    tokio::spawn(stop.clone().run_until_cancelled_owned(follow));
    store
}
