//! The pods of the Deployment, for the adaptive strategy: which there are, and which of them the
//! `ReplicaSet` is to stop first.
//!
//! A `ReplicaSet` that is scaled down stops pods that are not yet scheduled or not Ready first, and
//! among the others those of the lowest `controller.kubernetes.io/pod-deletion-cost`
//! (<https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost>).

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use sluice_core::Member;

use crate::kubernetes::{
    KubernetesError,
    api::{Api, Resource},
};

pub(super) const PODS: Resource = Resource { group: "", version: "v1", plural: "pods" };

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The lowest cost there is, so that a cost that somebody else set is never lower.
const LOWEST: &str = "-2147483648";

/// The pods that are there to stay, by name. Their names must be the `taskmanager.resource-id` of the
/// TaskManagers in them.
pub(super) fn members(pods: &[Arc<Pod>]) -> Vec<Member> {
    let mut members: Vec<_> = pods.iter().filter(|pod| stays(pod)).filter_map(|pod| member(pod)).collect();
    members.sort_by(|one, other| one.id.cmp(&other.id));
    members
}

/// Whether the pod has neither ended nor been told to.
pub(super) fn stays(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed")) && pod.metadata.deletion_timestamp.is_none()
}

fn member(pod: &Pod) -> Option<Member> {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let cost = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(DELETION_COST));
    Some(Member {
        id: pod.metadata.name.clone()?,
        started_at: pod.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |at| at.0),
        ready: conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        marked: cost.is_some_and(|cost| cost == LOWEST),
    })
}

/// Gives the pods the lowest deletion cost, or takes it back. A pod that is gone needs neither.
pub(super) async fn mark(api: &Api, names: &[String], marked: bool, what: &str) -> Result<(), KubernetesError> {
    let cost = if marked { Value::from(LOWEST) } else { Value::Null };
    let patch = json!({ "metadata": { "annotations": { DELETION_COST: cost } } });
    for name in names {
        match api.patch(PODS, name, None, &patch, what).await {
            Ok(()) | Err(KubernetesError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
