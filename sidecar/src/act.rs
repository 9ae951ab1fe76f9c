//! DO: carries out exactly one step. No choice is made here.

use sluice_core::{Change, Step};

use crate::{
    flink::FlinkError,
    observe::{Peers, Trouble},
    task_managers::OwnerError,
};

/// The name of a step that calls a peer; `None` for one that does not.
#[must_use]
pub fn action(step: &Step) -> Option<&'static str> {
    match step {
        Step::TriggerSavepoint => Some("trigger_savepoint"),
        Step::TriggerCheckpoint { .. } => Some("trigger_checkpoint"),
        Step::SetRequirements { .. } => Some("set_requirements"),
        Step::MarkIdle { .. } => Some("mark_idle"),
        Step::Unmark { .. } => Some("unmark"),
        Step::SetReplicas { .. } => Some("set_replicas"),
        Step::Wait(_) | Step::End(_) => None,
    }
}

/// Every action there is: the closed set of labels.
pub const ACTIONS: [&str; 6] =
    ["trigger_savepoint", "trigger_checkpoint", "set_requirements", "mark_idle", "unmark", "set_replicas"];

/// Makes the one call that `step` names. A failure changes nothing: the next look derives the next
/// step anew.
pub async fn carry_out(step: &Step, change: &Change, peers: &Peers) -> Result<(), Trouble> {
    let Peers { flink, owner, savepoint_dir, .. } = peers;
    let of_flink = |error: FlinkError| Trouble::new("flink", error.kind(), &error);
    let of_owner = |error: OwnerError| Trouble::new("task_managers", error.kind(), &error);
    let job = &change.job;
    // What asks Flink for something is decided only where there is one.
    match (step, flink) {
        (Step::TriggerSavepoint, Some(flink)) => {
            let trigger = change.savepoint_trigger_id();
            flink.trigger_savepoint(job, &trigger, savepoint_dir.as_deref()).await.map_err(of_flink)
        }
        (Step::TriggerCheckpoint { attempt, .. }, Some(flink)) => {
            flink.trigger_checkpoint(job, &change.trigger_id(*attempt)).await.map_err(of_flink)
        }
        (Step::SetRequirements { bounds, .. }, Some(flink)) => {
            flink.set_requirements(job, bounds).await.map_err(of_flink)
        }
        (Step::MarkIdle { members }, _) => owner.mark(members, true).await.map_err(of_owner),
        (Step::Unmark { members }, _) => owner.mark(members, false).await.map_err(of_owner),
        (Step::SetReplicas { replicas, stop }, _) => owner.set_replicas(*replicas, stop).await.map_err(of_owner),
        (
            Step::Wait(_)
            | Step::End(_)
            | Step::TriggerSavepoint
            | Step::TriggerCheckpoint { .. }
            | Step::SetRequirements { .. },
            _,
        ) => Ok(()),
    }
}
