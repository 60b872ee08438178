//! The definition of `PerperAgent` in a cluster, which tests have in common: there is one, and it is in no namespace.
//!
//! Each namespace that needs it is named on it. Who takes the last name off deletes it, unless somebody uses it: that
//! would delete all resources with it. All of that is written only if nobody else has written meanwhile. A definition
//! that others made is left as it is.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt as _};
use perper_scaler::kubernetes::{PerperAgent, crd_yaml};

use super::namespace::{MADE_BY, text, until_some};

const PATIENCE: Duration = Duration::from_secs(60);
/// Annotations that name namespaces.
const FOR: &str = "for.perper.dev/";

fn wanted() -> CustomResourceDefinition {
    let mut definition: CustomResourceDefinition =
        serde_json::from_str(&crd_yaml().expect("a definition")).expect("it is one");
    definition.labels_mut().insert(MADE_BY.0.to_owned(), MADE_BY.1.to_owned());
    definition
}

fn is_ours(definition: &CustomResourceDefinition) -> bool {
    definition.labels().get(MADE_BY.0).is_some_and(|by| by == MADE_BY.1)
}

/// Whether an error says that another one was faster.
fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409 || status.code == 404)
}

/// Sees to it that a namespace has the definition.
pub(super) async fn acquire(client: &Client, namespace: &str) -> Result<(), String> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mark = format!("{FOR}{namespace}");
    let acquired = until_some("the definition of PerperAgent", PATIENCE, || async {
        let mut definition = wanted();
        definition.annotations_mut().insert(mark.clone(), String::new());
        let name = definition.name_any();
        let written = match definitions.get_opt(&name).await.map_err(text)? {
            None => definitions.create(&PostParams::default(), &definition).await,
            Some(there) if there.metadata.deletion_timestamp.is_some() => return Ok(None),
            Some(there) if is_ours(&there) => {
                definition.annotations_mut().extend(there.annotations().clone());
                definition.metadata.resource_version = there.resource_version();
                definitions.replace(&name, &PostParams::default(), &definition).await
            }
            Some(there) => return compare(&definitions, there).await.map(Some),
        };
        match written {
            Ok(_) => Ok(Some(())),
            Err(error) if is_conflict(&error) => Ok(None),
            Err(error) => Err(text(error)),
        }
    });
    acquired.await?;
    let agents: Api<PerperAgent> = Api::namespaced(client.clone(), namespace);
    until_some("resources PerperAgent", PATIENCE, || async {
        let name = wanted().name_any();
        let definition = definitions.get(&name).await.map_err(text)?;
        let conditions =
            definition.status.into_iter().flat_map(|status| status.conditions.unwrap_or_default());
        let mut established = conditions.filter(|it| it.type_ == "Established" && it.status == "True");
        if established.next().is_none() {
            return Ok(None);
        }
        match agents.list(&ListParams::default()).await {
            Ok(_) => Ok(Some(())),
            Err(error) if is_conflict(&error) => Ok(None),
            Err(error) => Err(text(error)),
        }
    })
    .await
}

/// Complains of a definition that says something else than ours would.
async fn compare(
    definitions: &Api<CustomResourceDefinition>,
    there: CustomResourceDefinition,
) -> Result<(), String> {
    let parameters = PatchParams::apply(MADE_BY.1).force().dry_run();
    let would_be = definitions.patch(&there.name_any(), &parameters, &Patch::Apply(&wanted())).await;
    if would_be.map_err(text)?.spec == there.spec {
        return Ok(());
    }
    Err(format!(
        "the cluster has a definition {} that is not that of this version, and that these tests have not made; \
         apply what `perper-scaler crd` prints, or delete it",
        there.name_any()
    ))
}

/// Says that a namespace, which is gone, needs the definition no more.
pub(super) async fn release(client: &Client, namespace: &str) -> Result<(), String> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let agents: Api<PerperAgent> = Api::all(client.clone());
    let mark = format!("{FOR}{namespace}");
    until_some("the end of the definition of PerperAgent", PATIENCE, || async {
        let there = definitions.get_opt(&wanted().name_any()).await.map_err(text)?;
        let Some(mut there) = there.filter(|there| is_ours(there) && there.annotations().contains_key(&mark))
        else {
            return Ok(Some(()));
        };
        let name = there.name_any();
        there.annotations_mut().remove(&mark);
        // A test that was killed says nothing; but its namespace may be gone.
        let mut needed = false;
        for other in there.annotations().keys().filter_map(|mark| mark.strip_prefix(FOR)) {
            needed |= namespaces.get_opt(other).await.map_err(text)?.is_some();
        }
        match agents.list(&ListParams::default().limit(1)).await {
            Ok(agents) => needed |= !agents.items.is_empty(),
            // Another one, who saw that this namespace is gone, has deleted the definition.
            Err(error) if is_conflict(&error) => return Ok(None),
            Err(error) => return Err(text(error)),
        }
        let written = if needed {
            definitions.replace(&name, &PostParams::default(), &there).await.map(drop)
        } else {
            let preconditions =
                Preconditions { uid: there.uid(), resource_version: there.resource_version() };
            let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            definitions.delete(&name, &parameters).await.map(drop)
        };
        match written {
            Ok(()) => Ok(Some(())),
            Err(error) if is_conflict(&error) => Ok(None),
            Err(error) => Err(text(error)),
        }
    })
    .await
}
