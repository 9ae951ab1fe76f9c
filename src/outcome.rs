//! How a change ended, and what it cost the job.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{change::Change, observation::Job, units::TaskManagers};

/// How a change ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The change.
    pub change: Change,
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
    /// What it cost the job.
    pub cost: Cost,
    /// When the job had no more records to catch up with than before; `None` until then, or if that
    /// cannot be read.
    pub recovered: Option<Timestamp>,
}

/// What a change cost the job, by Flink's own data. What Flink did not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// How often the job went back to a checkpoint.
    pub restarts: Option<u64>,
    /// How long the job did not run in its last restart.
    pub downtime: Option<Duration>,
    /// How much input was read twice: from the trigger of the checkpoint that the job went back to
    /// until it stopped running.
    pub replayed: Option<Duration>,
    /// About how many records that was, by the rate at which the job read when the change was decided.
    pub replayed_records: Option<u64>,
    /// How long Flink says it took, from the request or the first new slot on (from 2.3 on).
    pub rescale: Option<Duration>,
}

impl Cost {
    pub(crate) fn of(change: &Change, job: Option<&Job>) -> Self {
        let checkpoints = job.and_then(|job| job.checkpoints.as_ref());
        let restored = checkpoints.map(|checkpoints| checkpoints.restored);
        let restarts = restored.zip(change.restored_before).map(|(now, before)| now.saturating_sub(before));
        let between = |from: Timestamp, to: Timestamp| Duration::try_from(to.duration_since(from)).ok();
        let restarted = job
            .filter(|_| restarts.is_some_and(|restarts| restarts > 0))
            .and_then(|job| job.stopped.zip(job.whole_since))
            .filter(|(stopped, _)| *stopped >= change.started);
        let from = checkpoints.and_then(|checkpoints| checkpoints.restored_from);
        let replayed = restarted.zip(from).and_then(|((stopped, _), from)| between(from.triggered_at, stopped));
        let records = |(replayed, rate): (Duration, u64)| {
            u64::try_from(replayed.as_millis()).unwrap_or(u64::MAX).saturating_mul(rate) / 1000
        };
        Self {
            restarts,
            downtime: restarted.and_then(|(stopped, ran)| between(stopped, ran)),
            replayed,
            replayed_records: replayed.zip(change.rate_before).map(records),
            rescale: job
                .and_then(|job| job.rescale)
                .filter(|rescale| rescale.started >= change.started)
                .and_then(|rescale| between(rescale.started, rescale.ended)),
        }
    }
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The job runs at the new width and has completed a checkpoint there.
    Done,
    /// The job runs as wide as the TaskManagers that came allow: the others did not come in time.
    Limited {
        /// How many came.
        task_managers: TaskManagers,
    },
    /// The job is not where it should be, or may not be moved there.
    Failed(Failure),
}

impl Outcome {
    /// Every name that [`Outcome::as_str`] can give.
    pub const LABELS: [&str; 13] = [
        "done",
        "limited",
        "savepoint_failed",
        "checkpoint_failed",
        "checkpoint_timed_out",
        "replicas_not_set",
        "requirements_not_set",
        "idle_not_stopped",
        "wrong_task_managers_stopped",
        "not_running",
        "job_replaced",
        "job_over",
        "contested",
    ];

    /// The name in logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Limited { .. } => "limited",
            Self::Failed(failure) => failure.as_str(),
        }
    }
}

/// Why a change was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The savepoint that must come before a job is narrowed failed, or took longer than
    /// `--savepoint-deadline`.
    SavepointFailed {
        /// Flink's first line, or that it took too long.
        cause: String,
    },
    /// Flink could not take the checkpoint that must come before TaskManagers are stopped, or the
    /// one that proves the new width.
    CheckpointFailed {
        /// Flink's first line.
        cause: String,
    },
    /// That checkpoint took longer than `--checkpoint-deadline`.
    CheckpointTimedOut,
    /// The owner of the TaskManagers did not take the new number in time.
    ReplicasNotSet,
    /// Flink did not take the new resource requirements in time.
    RequirementsNotSet,
    /// TaskManagers without work could not be told apart from the others, or were not to be stopped just
    /// then, for too long.
    IdleNotStopped,
    /// The owner stopped others than the idle TaskManagers that were named.
    WrongTaskManagersStopped {
        /// The idle ones that are still there.
        left: Vec<String>,
    },
    /// The job did not run again in time.
    NotRunning,
    /// Another job id: the JobManager came back without its memory.
    JobReplaced,
    /// The job ended.
    JobOver,
    /// Somebody else changed the number of TaskManagers, or the resource requirements, meanwhile.
    Contested,
    /// The stream widened again before anything was touched.
    NoLongerWanted,
}

impl Failure {
    /// The name in logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::SavepointFailed { .. } => "savepoint_failed",
            Self::CheckpointFailed { .. } => "checkpoint_failed",
            Self::CheckpointTimedOut => "checkpoint_timed_out",
            Self::ReplicasNotSet => "replicas_not_set",
            Self::RequirementsNotSet => "requirements_not_set",
            Self::IdleNotStopped => "idle_not_stopped",
            Self::WrongTaskManagersStopped { .. } => "wrong_task_managers_stopped",
            Self::NotRunning => "not_running",
            Self::JobReplaced => "job_replaced",
            Self::JobOver => "job_over",
            Self::Contested => "contested",
            Self::NoLongerWanted => "no_longer_wanted",
        }
    }
}
