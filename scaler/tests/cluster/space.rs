//! What a test sees of a cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource, ResourceExt as _};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use super::front::Front;
use super::log::{Faults, Request, Ways};
use super::namespace::text;
use super::{account, definition, namespace, node};
use crate::standin::StandIn;

/// What there is of a kind, by name.
pub(crate) type Objects = BTreeMap<String, Value>;

/// Longer than anything here takes on a machine that is busy. Controllers of a cluster take up to a minute to notice that
/// a kind of resources has been defined.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long somebody who is there takes to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// Between an error and the next attempt.
const AGAIN: Duration = Duration::from_millis(100);

/// A namespace of a cluster.
pub(crate) struct Cluster {
    client: Client,
    upstream: Client,
    scalers: Client,
    namespace: String,
    has_controllers: bool,
    ways: Arc<Ways>,
    stand_in: Option<Arc<StandIn>>,
    _node: AbortOnDropHandle<()>,
}

impl Cluster {
    /// Makes one, to be removed in the end.
    pub(super) async fn make(kubeconfig: Kubeconfig, stand_in: Option<Arc<StandIn>>) -> Result<Self, String> {
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let mut config = config.map_err(|error| error.to_string())?;
        let address = config.cluster_url.clone();
        // An error is an error, whatever it would be the next time.
        config.default_retry = false;
        let client = Client::try_from(config.clone()).map_err(text)?;
        let version = tokio::time::timeout(ANSWER, client.apiserver_version()).await;
        let version = version
            .map_err(|_| format!("{address} does not answer within {ANSWER:?}"))?
            .map_err(|error| format!("{address} cannot be used: {}", text(error)))?;
        let made = namespace::make(&client).await;
        let namespace = made.map_err(|error| format!("no namespace can be made: {}", text(error)))?;
        println!("Kubernetes {} at {address}, namespace {namespace}", version.git_version);
        let made = async {
            let has_controllers = namespace::settle(&client, &namespace).await?;
            definition::acquire(&client, &namespace).await?;
            config.default_namespace.clone_from(&namespace);
            let own = Client::try_from(config.clone()).map_err(text)?;
            Ok::<_, String>((has_controllers, own, account::make(config, &namespace).await?))
        };
        let (has_controllers, own, scalers) = match made.await {
            Ok(made) => made,
            Err(error) => {
                let left = remove(&client, &namespace, true).await.err();
                return Err(left.map_or(error.clone(), |left| format!("{error}; and {left}")));
            }
        };
        let compact = stand_in.clone().map(|stand_in| {
            let compact: Box<dyn Fn() + Send + Sync> = Box::new(move || stand_in.compact());
            compact
        });
        let node = node::play(client.clone(), namespace.clone(), stand_in.is_some());
        Ok(Cluster {
            client: own,
            upstream: client,
            scalers,
            namespace,
            has_controllers,
            ways: Arc::new(Ways::new(compact)),
            stand_in,
            _node: AbortOnDropHandle::new(tokio::spawn(node)),
        })
    }

    /// Leaves the cluster as it was.
    pub(super) async fn remove(&self) -> Result<(), String> {
        remove(&self.upstream, &self.namespace, self.has_controllers).await
    }

    /// Of somebody who may do everything, and whose own namespace is that of the test.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Of a Scaler, which may do no more than our manifests say.
    pub(crate) fn scalers_client(&self) -> Client {
        self.scalers.clone()
    }

    /// Whether owners, Deployments and the like are looked after: a bare API server only keeps them.
    pub(crate) fn has_controllers(&self) -> bool {
        self.has_controllers
    }

    /// The stand-in, where this is one.
    pub(crate) fn stand_in(&self) -> Option<&StandIn> {
        self.stand_in.as_deref()
    }

    /// A way in for somebody of whom it is to be known what he does.
    pub(crate) async fn front(&self, name: &str) -> Front {
        Front::open(name, &self.namespace, self.scalers_client(), Arc::clone(&self.ways)).await
    }

    /// From now on the fronts fail so often, as the seed has it.
    pub(crate) fn set_faults(&self, faults: Faults, seed: u64) {
        self.ways.set_faults(faults, seed);
    }

    /// As when the API server is killed and started again: the connections of fronts break, what was under way may have
    /// happened or not, and of its history it remembers nothing.
    pub(crate) fn restart(&self, fronts: &[Front]) {
        fronts.iter().for_each(Front::cut);
        self.ways.compact();
        fronts.iter().for_each(Front::mend);
    }

    /// What came through fronts so far, about a kind, in the order in which it came.
    pub(crate) fn log(&self, resource: &str) -> Vec<Request> {
        let log = self.ways.log();
        let mut found: Vec<_> = log.iter().filter(|request| request.resource == resource).cloned().collect();
        found.sort_by_key(|request| request.at);
        found
    }

    fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client(), &self.namespace, &ApiResource::erase::<K>(&()))
    }

    async fn list<K>(&self) -> kube::Result<(Objects, String)>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let list = self.api::<K>().list(&ListParams::default()).await?;
        let version = list.metadata.resource_version.unwrap_or_default();
        Ok((list.items.iter().map(|object| (object.name_any(), json!(object))).collect(), version))
    }

    /// Everything of a kind, as it is now.
    pub(crate) async fn objects<K>(&self) -> Objects
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        self.list::<K>().await.expect("a list").0
    }

    /// Waits until what there is of a kind is as it should be, and gives that. It is looked at whenever it changes.
    pub(crate) async fn until<K>(
        &self,
        what: &str,
        mut holds: impl FnMut(&Objects) -> Result<(), String>,
    ) -> Objects
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let mut complaint = "nothing was heard".to_owned();
        let wait = async {
            loop {
                match self.watch::<K>(&mut complaint, &mut holds).await {
                    Ok(Some(objects)) => return objects,
                    // It was told for long enough, or its history is forgotten.
                    Ok(None) => {}
                    Err(error) => {
                        complaint = text(error);
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, wait).await;
        outcome.unwrap_or_else(|_| panic!("{what}, after {PATIENCE:?}: {complaint}"))
    }

    async fn watch<K>(
        &self,
        complaint: &mut String,
        holds: &mut impl FnMut(&Objects) -> Result<(), String>,
    ) -> kube::Result<Option<Objects>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let (mut objects, version) = self.list::<K>().await?;
        let mut look = |objects: &Objects| holds(objects).map_err(|text| *complaint = text).is_ok();
        if look(&objects) {
            return Ok(Some(objects));
        }
        let events = self.api::<K>().watch(&WatchParams::default(), &version).await?;
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.try_next().await? {
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    objects.insert(object.name_any(), json!(object));
                }
                WatchEvent::Deleted(object) => {
                    objects.remove(&object.name_any());
                }
                WatchEvent::Bookmark(_) => continue,
                WatchEvent::Error(_) => return Ok(None),
            }
            if look(&objects) {
                return Ok(Some(objects));
            }
        }
        Ok(None)
    }

    /// A node says how a Pod ended. None if there is no such Pod any more.
    pub(crate) async fn end_pod(&self, name: &str, phase: &str) -> Option<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.client(), &self.namespace);
        let ended = json!({"status": {"phase": phase, "conditions": [{"type": "Ready", "status": "False"}]}});
        match pods.patch_status(name, &PatchParams::default(), &Patch::Merge(&ended)).await {
            Ok(pod) => Some(pod),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => panic!("Pod {name}: {error}"),
        }
    }
}

async fn remove(client: &Client, namespace: &str, has_controllers: bool) -> Result<(), String> {
    namespace::remove(client, namespace, has_controllers).await?;
    definition::release(client, namespace).await
}
