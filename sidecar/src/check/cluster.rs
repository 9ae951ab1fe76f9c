//! What `sluice check` finds out in a Kubernetes cluster: the agent's permissions, and whether the
//! Deployment, its pods and the Lease are as it needs them.

use futures_util::future::join_all;
use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease, core::v1::Pod};
use kube::{
    Client, ResourceExt as _,
    api::{Api, ListParams},
    core::Selector,
};

use super::{
    Finding,
    permissions::{self, Asked},
};
use crate::{http_peer::root_cause, kubernetes};

/// What `kubectl apply` leaves behind of the manifest.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Everything that can be told of the cluster; what cannot be asked is told by the findings about
/// permissions, or by the first one that fails.
pub(super) async fn findings(api: &kubernetes::Api, asked: &Asked<'_>) -> Vec<Finding> {
    let (client, namespace) = (api.client(), api.namespace());
    let rights = permissions::needed(asked);
    let answers =
        join_all(rights.iter().map(|right| within(api, permissions::finding(&client, namespace, right)))).await;
    let mut findings = Vec::new();
    for answer in answers {
        match answer {
            Ok(finding) => findings.push(finding),
            Err(error) => {
                findings.push(Finding::problem(
                    "permission",
                    format!("cannot ask the API server what the agent may do: {}", root_cause(&error)),
                    "make the API server reachable; every ServiceAccount may ask this of itself by default",
                ));
                return findings;
            }
        }
    }
    if let Ok(deployment) =
        within(api, Api::<Deployment>::namespaced(client.clone(), namespace).get(asked.deployment)).await
    {
        findings.extend(manifest(&deployment));
        let selector = pods(&client, namespace, &deployment);
        findings.extend(within(api, async { Ok(selector.await) }).await.ok().flatten());
    }
    if let Some(lease) = &asked.lease {
        let found = lease_finding(&client, namespace, lease);
        findings.extend(within(api, async { Ok(found.await) }).await.ok().flatten());
    }
    findings
}

/// The client's own limits are for watches; a question has the time that any call has.
async fn within<T>(
    api: &kubernetes::Api,
    question: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, kube::Error> {
    let late = || kube::Error::Service("no answer in time".into());
    tokio::time::timeout(api.timeout(), question).await.unwrap_or_else(|_| Err(late()))
}

/// A manifest that names a number of replicas sets it back whenever it is applied.
fn manifest(deployment: &Deployment) -> Option<Finding> {
    let applied: Option<serde_json::Value> =
        deployment.annotations().get(LAST_APPLIED).and_then(|text| serde_json::from_str(text).ok());
    let by_client = applied.is_some_and(|manifest| manifest.pointer("/spec/replicas").is_some());
    let by_server = deployment.managed_fields().iter().any(|entry| {
        entry.operation.as_deref() == Some("Apply")
            && entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer("/f:spec/f:replicas").is_some())
    });
    (by_client || by_server).then(|| {
        Finding::advice(
            "Deployment",
            "its manifest names a number of replicas, and each `kubectl apply` sets it back to that",
            "leave `replicas` out of the manifest",
        )
    })
}

/// The Deployment's selector must select its own pods and no others: what it selects counts as TaskManagers.
async fn pods(client: &Client, namespace: &str, deployment: &Deployment) -> Option<Finding> {
    let name = deployment.name_any();
    let selector = deployment.spec.as_ref()?.selector.clone();
    let selector = Selector::try_from(selector).ok()?.to_string();
    let listed = Api::<Pod>::namespaced(client.clone(), namespace).list(&ListParams::default().labels(&selector)).await;
    let pods = listed.ok()?.items;
    let stranger = pods.iter().find(|pod| !is_of(pod, &name));
    let asked_for = deployment.status.as_ref().and_then(|status| status.replicas).unwrap_or_default();
    Some(if let Some(stranger) = stranger {
        Finding::problem(
            "selector",
            format!(
                "`{selector}` of Deployment {name} also selects pod {}, which is none of its own",
                stranger.name_any()
            ),
            "give the TaskManagers' pods a label that no other pod has, such as component: taskmanager, and select it \
             (a selector cannot be changed: make the Deployment anew)",
        )
    } else if pods.is_empty() && asked_for > 0 {
        Finding::problem(
            "selector",
            format!("`{selector}` of Deployment {name} selects no pod, and it should have {asked_for}"),
            "look at `kubectl describe replicaset`: quota or an admission plugin may forbid the pods",
        )
    } else {
        Finding::ok("selector", format!("`{selector}` selects only pods of Deployment {name} ({})", pods.len()))
    })
}

/// A Deployment's pods belong to its `ReplicaSet`s, which are called after it.
fn is_of(pod: &Pod, deployment: &str) -> bool {
    pod.owner_references().iter().any(|owner| {
        let hash = owner.name.strip_prefix(deployment).and_then(|rest| rest.strip_prefix('-'));
        owner.kind == "ReplicaSet" && hash.is_some_and(|hash| !hash.contains('-'))
    })
}

async fn lease_finding(client: &Client, namespace: &str, name: &str) -> Option<Finding> {
    match Api::<Lease>::namespaced(client.clone(), namespace).get(name).await {
        Ok(lease) => {
            let holder = lease.spec.and_then(|spec| spec.holder_identity).filter(|holder| !holder.is_empty());
            let found = holder.map_or_else(|| "nobody holds it".to_owned(), |holder| format!("held by {holder}"));
            Some(Finding::ok("Lease", format!("{name}: {found}")))
        }
        Err(kube::Error::Api(status)) if status.code == 404 => Some(Finding::problem(
            "Lease",
            format!("there is no Lease {name} in namespace {namespace}, and the agent may not make one"),
            format!(
                "kubectl apply the Lease that ships with the manifests, or: kubectl create -n {namespace} -f - <<< \
                     '{{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{{\"name\":\"{name}\"}}}}'"
            ),
        )),
        // That it may not be read is told by the permissions.
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(metadata: &serde_json::Value) -> Deployment {
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    #[test]
    fn a_manifest_that_names_replicas_is_found_however_it_was_applied() {
        let by_client = json!({ "annotations": { LAST_APPLIED: r#"{"spec":{"replicas":2}}"# } });
        assert!(manifest(&deployment(&by_client)).is_some());
        let entry = |operation, fields| json!({ "managedFields": [{ "operation": operation, "fieldsV1": fields }] });
        let replicas = || json!({ "f:spec": { "f:replicas": {} } });
        assert!(manifest(&deployment(&entry("Apply", replicas()))).is_some());
        assert!(manifest(&deployment(&entry("Update", replicas()))).is_none(), "that is a scale");
        assert!(manifest(&deployment(&entry("Apply", json!({ "f:spec": {} })))).is_none());
        let without = json!({ "annotations": { LAST_APPLIED: r#"{"spec":{}}"# } });
        assert!(manifest(&deployment(&without)).is_none());
        let broken = json!({ "annotations": { LAST_APPLIED: "{" } });
        assert!(manifest(&deployment(&broken)).is_none());
    }

    #[test]
    fn pods_of_other_owners_are_strangers() {
        let owned_by = |kind: &str, name: &str| -> Pod {
            let owner = json!({ "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "1" });
            serde_json::from_value(json!({ "metadata": { "name": "p", "ownerReferences": [owner] } })).unwrap()
        };
        assert!(is_of(&owned_by("ReplicaSet", "flink-taskmanager-6d8c"), "flink-taskmanager"));
        assert!(!is_of(&owned_by("ReplicaSet", "flink-taskmanager-two-6d8c"), "flink-taskmanager"));
        assert!(!is_of(&owned_by("Job", "flink-jobmanager"), "flink-taskmanager"));
        assert!(!is_of(&serde_json::from_value(json!({ "metadata": { "name": "p" } })).unwrap(), "flink-taskmanager"));
    }
}
