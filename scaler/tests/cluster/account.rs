//! The account of Scalers in a namespace, with the rights that our manifests give it.

use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, Config, Resource};
use perper_scaler::kubernetes::PerperAgent;
use serde_json::Value;

use super::namespace::{text, until_some};

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kubernetes/rbac.yaml");
const PATIENCE: Duration = Duration::from_secs(30);

/// Applies the manifest, and gives a client of the account. (The stand-in keeps Roles, and lets everybody do everything.)
pub(super) async fn make(mut config: Config, namespace: &str) -> Result<Client, String> {
    let admin = Client::try_from(config.clone()).map_err(text)?;
    let manifest = std::fs::read_to_string(MANIFEST).map_err(|error| error.to_string())?;
    for part in manifest.split("\n---\n") {
        let mut object: Value = serde_saphyr::from_str(part).map_err(|error| error.to_string())?;
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        if let Some(subject) = object.pointer_mut("/subjects/0") {
            // As Kustomize does.
            subject["namespace"] = namespace.into();
        }
        match kind.as_str() {
            "ServiceAccount" => apply::<ServiceAccount>(&admin, namespace, &object).await,
            "Role" => apply::<Role>(&admin, namespace, &object).await,
            "RoleBinding" => apply::<RoleBinding>(&admin, namespace, &object).await,
            other => return Err(format!("{MANIFEST} has a {other}, which tests do not apply")),
        }
        .map_err(|error| format!("{kind} of {MANIFEST}: {}", text(error)))?;
    }
    config.auth_info.impersonate = Some(format!("system:serviceaccount:{namespace}:perper-scaler"));
    let client = Client::try_from(config).map_err(text)?;
    let agents: Api<PerperAgent> = Api::default_namespaced(client.clone());
    until_some("the rights of the account", PATIENCE, || async {
        match agents.list(&ListParams::default()).await {
            Ok(_) => Ok(Some(())),
            // They are not known everywhere at once.
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
            Err(error) => Err(text(error)),
        }
    })
    .await?;
    Ok(client)
}

async fn apply<K>(client: &Client, namespace: &str, object: &Value) -> kube::Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let objects: Api<K> = Api::namespaced(client.clone(), namespace);
    objects.patch(name, &PatchParams::apply("tests").force(), &Patch::Apply(object)).await.map(drop)
}
