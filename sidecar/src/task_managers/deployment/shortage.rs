//! Why pods do not come, or do not stay: what the Deployment and its pods say themselves.
//!
//! A quota that is used up shows only on the Deployment, since the pods do not even exist; a node that
//! is full, an image that cannot be pulled and a container that ends at once show on the pods.

use std::sync::Arc;

use k8s_openapi::api::{
    apps::v1::DeploymentStatus,
    core::v1::{ContainerStatus, Pod},
};
use sluice_core::{Shortage, ShortageCause};

use super::pods::stays;

/// What Kubernetes says is shortened to this many characters.
const LONGEST: usize = 300;

/// A container that has ended so often has not merely been unlucky.
const OFTEN: i32 = 2;

/// The first of the causes that apply, in the order of [`ShortageCause::ALL`].
pub(super) fn shortage(status: &DeploymentStatus, pods: &[Arc<Pod>]) -> Option<Shortage> {
    let of_pods = pods.iter().filter(|pod| stays(pod)).flat_map(|pod| of_pod(pod));
    let (cause, message) = refused(status).into_iter().chain(of_pods).min_by_key(|(cause, _)| *cause)?;
    Some(Shortage { cause, message: message.chars().take(LONGEST).collect() })
}

fn refused(status: &DeploymentStatus) -> Option<(ShortageCause, String)> {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let refused = conditions.iter().find(|known| known.type_ == "ReplicaFailure" && known.status == "True")?;
    let message = refused.message.clone().unwrap_or_default();
    let cause =
        if message.contains("exceeded quota") { ShortageCause::QuotaExceeded } else { ShortageCause::PodsRefused };
    Some((cause, message))
}

fn of_pod(pod: &Pod) -> Vec<(ShortageCause, String)> {
    let Some(status) = &pod.status else { return Vec::new() };
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let unschedulable = conditions.iter().find(|known| {
        known.type_ == "PodScheduled" && known.status == "False" && known.reason.as_deref() == Some("Unschedulable")
    });
    let unschedulable =
        unschedulable.map(|known| (ShortageCause::Unschedulable, known.message.clone().unwrap_or_default()));
    let containers = [&status.init_container_statuses, &status.container_statuses];
    let containers = containers.into_iter().flatten().flatten();
    unschedulable.into_iter().chain(containers.filter_map(of_container)).collect()
}

fn of_container(container: &ContainerStatus) -> Option<(ShortageCause, String)> {
    let state = container.state.as_ref()?;
    let in_container = |text: &str| format!("container {}: {text}", container.name);
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref()?;
        let cause = match reason {
            "CrashLoopBackOff" => ShortageCause::CrashLooping,
            "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "InvalidImageName"
            | "ImageInspectError"
            | "RegistryUnavailable" => ShortageCause::ImageNotPulled,
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                ShortageCause::ContainerNotCreated
            }
            _ => return None,
        };
        let message = waiting.message.as_deref().unwrap_or_default();
        // Why it ended is the more useful half: OOMKilled, or the exit code.
        let last = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
        let last = last.filter(|_| cause == ShortageCause::CrashLooping).map_or_else(String::new, |last| {
            format!("; it ended with {} ({})", last.exit_code, last.reason.as_deref().unwrap_or("no reason"))
        });
        return Some((cause, in_container(&format!("{reason} {message}{last}"))));
    }
    let ended = state.terminated.as_ref().filter(|_| container.restart_count >= OFTEN)?;
    let reason = ended.reason.as_deref().unwrap_or("no reason");
    Some((ShortageCause::CrashLooping, in_container(&format!("ended with {} ({reason})", ended.exit_code))))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> Arc<Pod> {
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "tm-1" }, "status": status });
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn waiting(reason: &str, message: &str) -> Arc<Pod> {
        let state = json!({ "waiting": { "reason": reason, "message": message } });
        let last = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } });
        pod(&json!({ "phase": "Pending", "containerStatuses": [{
            "name": "taskmanager", "ready": false, "restartCount": 3, "image": "x", "imageID": "", "state": state,
            "lastState": last,
        }] }))
    }

    fn unschedulable() -> Arc<Pod> {
        pod(&json!({ "phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"
        }] }))
    }

    fn failing(message: &str) -> DeploymentStatus {
        let condition =
            json!({ "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message });
        serde_json::from_value(json!({ "conditions": [condition] })).unwrap()
    }

    #[test]
    fn each_cause_is_told_by_its_own_sign() {
        let healthy = DeploymentStatus::default;
        let cases = [
            (healthy(), unschedulable(), Some((ShortageCause::Unschedulable, "0/1 nodes are available"))),
            (
                healthy(),
                waiting("ImagePullBackOff", "no such image"),
                Some((ShortageCause::ImageNotPulled, "no such image")),
            ),
            (healthy(), waiting("ErrImageNeverPull", ""), Some((ShortageCause::ImageNotPulled, "taskmanager"))),
            (
                healthy(),
                waiting("CreateContainerConfigError", "configmap \"x\" not found"),
                Some((ShortageCause::ContainerNotCreated, "configmap")),
            ),
            (
                healthy(),
                waiting("CrashLoopBackOff", "back-off"),
                Some((ShortageCause::CrashLooping, "137 (OOMKilled)")),
            ),
            (healthy(), waiting("ContainerCreating", ""), None),
            (healthy(), pod(&json!({ "phase": "Running" })), None),
            (failing("exceeded quota: q"), unschedulable(), Some((ShortageCause::QuotaExceeded, "exceeded quota: q"))),
            (failing("denied by policy"), waiting("PodInitializing", ""), Some((ShortageCause::PodsRefused, "denied"))),
        ];
        for (status, pod, expected) in cases {
            let found = shortage(&status, &[pod]);
            assert_eq!(found.as_ref().map(|found| found.cause), expected.map(|(cause, _)| cause), "{found:?}");
            let words = expected.map_or("", |(_, words)| words);
            assert!(found.is_none_or(|found| found.message.contains(words)), "{words}");
        }
    }

    #[test]
    fn a_container_that_ended_once_is_not_a_crash_loop() {
        let ended = |restarts: i32| {
            let state = json!({ "terminated": { "exitCode": 1, "reason": "Error" } });
            pod(&json!({ "containerStatuses": [{
                "name": "taskmanager", "ready": false, "restartCount": restarts, "image": "", "imageID": "", "state": state
            }] }))
        };
        assert_eq!(shortage(&DeploymentStatus::default(), &[ended(0)]), None);
        let found = shortage(&DeploymentStatus::default(), &[ended(4)]).map(|found| found.cause);
        assert_eq!(found, Some(ShortageCause::CrashLooping));
    }

    #[test]
    fn a_pod_on_its_way_out_lacks_nothing_and_long_words_are_cut() {
        let mut leaving = (*unschedulable()).clone();
        leaving.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        assert_eq!(shortage(&DeploymentStatus::default(), &[Arc::new(leaving)]), None);
        let found = shortage(&failing(&"é".repeat(1000)), &[]).unwrap();
        assert_eq!(found.message.chars().count(), LONGEST);
    }
}
