//! DO: carries out exactly one step. No choice is made here.

use sluice_core::{Change, Step};

use crate::observe::{Peers, Trouble};

/// The name of a step that calls a peer; `None` for one that does not.
#[must_use]
pub fn action(step: &Step) -> Option<&'static str> {
    match step {
        Step::TriggerCheckpoint { .. } => Some("trigger_checkpoint"),
        Step::SetReplicas { .. } => Some("set_replicas"),
        Step::Wait(_) | Step::End(_) => None,
    }
}

/// Every action there is: the closed set of labels.
pub const ACTIONS: [&str; 2] = ["trigger_checkpoint", "set_replicas"];

/// Makes the one call that `step` names. A failure changes nothing: the next look derives the next
/// step anew.
pub async fn carry_out(step: &Step, change: &Change, peers: &Peers) -> Result<(), Trouble> {
    match step {
        Step::TriggerCheckpoint { attempt, .. } => {
            let trigger = change.trigger_id(*attempt);
            let asked = peers.flink.trigger_checkpoint(&change.job, &trigger).await;
            asked.map_err(|error| Trouble::new("flink", error.kind(), &error))
        }
        Step::SetReplicas { replicas, stop } => {
            let set = peers.owner.set_replicas(*replicas, stop).await;
            set.map_err(|error| Trouble::new("task_managers", error.kind(), &error))
        }
        Step::Wait(_) | Step::End(_) => Ok(()),
    }
}
