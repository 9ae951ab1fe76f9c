//! A change of width in flight: saved before the first step, so that an agent that is killed
//! between any two steps goes on from what it observes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    observation::{Observation, Operation},
    units::{Segments, TaskManagers},
    width::Width,
};

/// Which way a change goes, told by the TaskManagers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More TaskManagers.
    Up,
    /// Fewer TaskManagers.
    Down,
}

impl Direction {
    /// The name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// One change of width, from its decision to its proof.
///
/// Only what cannot be observed again is kept here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Counts the changes of this agent's memory, from 1.
    pub id: u64,
    /// Up or down.
    pub direction: Direction,
    /// The job that is changed; another job id later means that this change has lost its object.
    pub job: String,
    /// The segments that asked for it.
    pub segments: Segments,
    /// The width before.
    pub from: Width,
    /// The width after.
    pub to: Width,
    /// When it was decided.
    pub started: Timestamp,
    /// When the present target was decided: later than `started` if it was changed on the way.
    pub target_since: Timestamp,
    /// TaskManagers registered at Flink when it was decided.
    pub registered_before: TaskManagers,
    /// How often the job had gone back to a checkpoint by then.
    pub restored_before: Option<u64>,
    /// The checkpoint that this change asked for last.
    pub asked: Option<Asked>,
    /// When the owner of the TaskManagers was first seen to ask for the new number.
    pub replicas_set: Option<Timestamp>,
    /// When the job was first seen to run at the new width.
    pub running: Option<Timestamp>,
}

/// A checkpoint asked for over REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Counts the checkpoints of one change, from 1.
    pub attempt: u32,
    /// Counts those of one purpose (before TaskManagers are stopped, or to prove the new width).
    pub tries: u32,
    /// When it was asked for.
    pub at: Timestamp,
    /// When it was first seen completed.
    pub completed: Option<Timestamp>,
}

impl Change {
    /// The trigger id of a checkpoint of this change: 32 hexadecimal digits that depend on nothing
    /// but the change and the attempt. Flink answers a repeated id with the same operation, so an
    /// agent that was killed after asking does not ask twice.
    #[must_use]
    pub fn trigger_id(&self, attempt: u32) -> String {
        format!("{:016x}{:08x}{:08x}", self.started.as_millisecond(), self.id & 0xffff_ffff, attempt)
    }

    /// Marks what can be seen of the change's progress.
    pub(crate) fn note(&mut self, now: Timestamp, seen: &Observation) {
        if let Some(pool) = &seen.pool
            && pool.value.replicas == self.to.task_managers
        {
            self.replicas_set.get_or_insert(now);
        }
        if let (Some(asked), Some(Operation::Completed { .. })) = (&mut self.asked, &seen.checkpoint) {
            asked.completed.get_or_insert(now);
        }
        let runs_as_set = seen.flink.as_ref().is_some_and(|flink| {
            flink.value.registered() == self.to.task_managers
                && flink.value.job().is_some_and(|job| job.runs_on(flink.value.slots()))
        });
        if self.replicas_set.is_some() && runs_as_set {
            self.running.get_or_insert(now);
        } else {
            self.running = None;
        }
    }
}

/// How a change ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The change.
    pub change: Change,
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
    /// How often the job went back to a checkpoint meanwhile; `None` if that could not be read.
    pub restarts: Option<u64>,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The job runs at the new width and has completed a checkpoint there.
    Done,
    /// The job runs as wide as the TaskManagers that came allow.
    Limited {
        /// How many came.
        task_managers: TaskManagers,
    },
    /// The job is not where it should be, or may not be moved there.
    Failed(Failure),
}

impl Outcome {
    /// Every name that [`Outcome::as_str`] can give.
    pub const LABELS: [&str; 9] = [
        "done",
        "limited",
        "checkpoint_failed",
        "checkpoint_timed_out",
        "replicas_not_set",
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
    /// The job did not run again in time.
    NotRunning,
    /// Another job id: the JobManager came back without its memory.
    JobReplaced,
    /// The job ended.
    JobOver,
    /// Somebody else changed the number of TaskManagers meanwhile.
    Contested,
    /// The stream widened again before anything was stopped.
    NoLongerWanted,
}

impl Failure {
    /// The name in logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::CheckpointFailed { .. } => "checkpoint_failed",
            Self::CheckpointTimedOut => "checkpoint_timed_out",
            Self::ReplicasNotSet => "replicas_not_set",
            Self::NotRunning => "not_running",
            Self::JobReplaced => "job_replaced",
            Self::JobOver => "job_over",
            Self::Contested => "contested",
            Self::NoLongerWanted => "no_longer_wanted",
        }
    }
}
