//! Checkpoints and savepoints: what has been taken, and what was asked for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sluice_core::{Checkpoint, Checkpoints, Operation};

use super::{super::failure_cause, moment};

/// `GET /jobs/:id/checkpoints`.
#[derive(Debug, Deserialize)]
pub(in crate::flink) struct CheckpointStatistics {
    counts: CheckpointCounts,
    latest: LatestCheckpoints,
    #[serde(default)]
    history: Vec<CompletedCheckpoint>,
}

#[derive(Debug, Deserialize)]
struct CheckpointCounts {
    restored: u64,
    total: u64,
}

#[derive(Debug, Deserialize)]
struct LatestCheckpoints {
    completed: Option<CompletedCheckpoint>,
    restored: Option<RestoredCheckpoint>,
}

#[derive(Debug, Deserialize)]
struct CompletedCheckpoint {
    id: u64,
    #[serde(default)]
    is_savepoint: bool,
    trigger_timestamp: i64,
}

#[derive(Debug, Deserialize)]
struct RestoredCheckpoint {
    id: u64,
    restore_timestamp: i64,
}

impl CompletedCheckpoint {
    fn in_the_core(&self) -> Option<Checkpoint> {
        Some(Checkpoint { id: self.id, triggered_at: moment(self.trigger_timestamp)? })
    }
}

impl CheckpointStatistics {
    /// While the job waits for slots Flink shows empty statistics, whatever they were before, and
    /// goes on to show them for as long as it caches answers. So empty ones count only of a job
    /// that has been running for longer.
    pub(in crate::flink) fn checkpoints(&self, has_settled: bool) -> Option<Checkpoints> {
        if self.counts.total == 0 && self.latest.completed.is_none() && !has_settled {
            return None;
        }
        let latest = self.latest.completed.as_ref().filter(|latest| !latest.is_savepoint);
        let restored = self.latest.restored.as_ref();
        let restored_from = restored.and_then(|restored| self.history.iter().find(|known| known.id == restored.id));
        Some(Checkpoints {
            last_completed: latest.and_then(CompletedCheckpoint::in_the_core),
            restored: self.counts.restored,
            restored_from: restored_from.and_then(CompletedCheckpoint::in_the_core),
        })
    }

    /// When the job last went back to a checkpoint.
    pub(in crate::flink) fn restored_at(&self) -> Option<Timestamp> {
        self.latest.restored.as_ref().and_then(|restored| moment(restored.restore_timestamp))
    }
}

/// Body of `POST /jobs/:id/checkpoints`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::flink) struct Trigger<'a> {
    pub trigger_id: &'a str,
}

/// Body of `POST /jobs/:id/savepoints`.
#[derive(Debug, Serialize)]
pub(in crate::flink) struct TriggerSavepoint<'a> {
    #[serde(rename = "triggerId")]
    pub trigger_id: &'a str,
    #[serde(rename = "cancel-job")]
    pub cancel_job: bool,
    /// Flink's own `state.savepoints.dir` if not given.
    #[serde(rename = "target-directory", skip_serializing_if = "Option::is_none")]
    pub target_directory: Option<&'a str>,
}

/// `GET /jobs/:id/checkpoints/:triggerid` and `GET /jobs/:id/savepoints/:triggerid`.
#[derive(Debug, Deserialize)]
pub(in crate::flink) struct Triggered {
    status: TriggeredStatus,
    operation: Option<TriggeredOperation>,
}

#[derive(Debug, Deserialize)]
struct TriggeredStatus {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TriggeredOperation {
    checkpoint_id: Option<u64>,
    location: Option<String>,
    #[serde(alias = "failure-cause")]
    failure_cause: Option<FailureCause>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct FailureCause {
    class: Option<String>,
    stack_trace: Option<String>,
}

impl Triggered {
    /// How it stands. `COMPLETED` says only that Flink is done with it: a failure arrives so too.
    pub(in crate::flink) fn operation(self) -> Option<Operation> {
        if self.status.id == "IN_PROGRESS" {
            return Some(Operation::InProgress);
        }
        let operation = self.operation?;
        if let Some(failure) = operation.failure_cause {
            let text = failure.stack_trace.or(failure.class).unwrap_or_default();
            return Some(Operation::Failed { cause: failure_cause::summary(&text) });
        }
        let stored = operation.location.map(|location| Operation::Stored { location });
        stored.or_else(|| operation.checkpoint_id.map(|checkpoint| Operation::Completed { checkpoint }))
    }
}
