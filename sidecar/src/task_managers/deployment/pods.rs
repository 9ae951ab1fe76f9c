//! The pods of the Deployment, for the adaptive strategy: which there are, and which of them the
//! `ReplicaSet` is to stop first.
//!
//! A `ReplicaSet` that is scaled down stops pods that are not yet scheduled or not Ready first, and
//! among the others those of the lowest `controller.kubernetes.io/pod-deletion-cost`
//! (<https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost>).

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use serde::Deserialize;
use serde_json::{Value, json};
use sluice_core::Member;

use super::{
    DeploymentError,
    api::{Api, Resource},
};

const PODS: Resource = Resource { group: "", version: "v1", plural: "pods" };

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The lowest cost there is, so that a cost that somebody else set is never lower.
const LOWEST: &str = "-2147483648";

/// The pods that are there to stay, by name. Their names must be the `taskmanager.resource-id` of the
/// TaskManagers in them.
pub(super) async fn members(api: &Api, selector: LabelSelector, what: &str) -> Result<Vec<Member>, DeploymentError> {
    let selector = Selector::try_from(selector).map_err(|error| DeploymentError::config(&error))?;
    let pods = api.list_selected::<Pods>(PODS, &selector.to_string(), what).await?;
    Ok(pods.items.into_iter().filter_map(Pod::member).collect())
}

/// Gives the pods the lowest deletion cost, or takes it back. A pod that is gone needs neither.
pub(super) async fn mark(api: &Api, names: &[String], marked: bool, what: &str) -> Result<(), DeploymentError> {
    let cost = if marked { Value::from(LOWEST) } else { Value::Null };
    let patch = json!({ "metadata": { "annotations": { DELETION_COST: cost } } });
    for name in names {
        match api.patch(PODS, name, None, &patch, what).await {
            Ok(()) | Err(DeploymentError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// As much of a list of pods as is looked at.
#[derive(Deserialize)]
struct Pods {
    items: Vec<Pod>,
}

#[derive(Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    creation_timestamp: Option<Timestamp>,
    deletion_timestamp: Option<Timestamp>,
    #[serde(default)]
    annotations: std::collections::HashMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    phase: String,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

impl Pod {
    fn member(self) -> Option<Member> {
        let has_ended = matches!(self.status.phase.as_str(), "Succeeded" | "Failed");
        if has_ended || self.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let ready =
            self.status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True");
        Some(Member {
            marked: self.metadata.annotations.get(DELETION_COST).is_some_and(|cost| cost == LOWEST),
            id: self.metadata.name,
            started_at: self.metadata.creation_timestamp.unwrap_or(Timestamp::UNIX_EPOCH),
            ready,
        })
    }
}
