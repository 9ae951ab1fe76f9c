//! A change of width in flight: saved before the first step, so that an agent that is killed
//! between any two steps goes on from what it observes.

use std::{cmp::Reverse, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    observation::{Flink, Job, Observation, Operation, Pool, Scheduler},
    units::{Parallelism, Segments, TaskManagers},
    width::Width,
};

/// How a job is rescaled: what Flink's scheduler allows (docs/rescaling.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Flink gives the job every slot there is: TaskManagers that come or go restart it.
    Reactive,
    /// The job is as wide as its resource requirements say: TaskManagers come and go idle.
    Adaptive,
    /// There is no Flink: what would be TaskManagers are readers of a reader group.
    Readers,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 3] = [Self::Reactive, Self::Adaptive, Self::Readers];

    /// The strategy for jobs of this scheduler; `None` if it cannot rescale them.
    #[must_use]
    pub fn of(scheduler: Scheduler) -> Option<Self> {
        match scheduler {
            Scheduler::Reactive => Some(Self::Reactive),
            Scheduler::Adaptive => Some(Self::Adaptive),
            Scheduler::NoFlink => Some(Self::Readers),
            Scheduler::Fixed => None,
        }
    }

    /// What tells a wider job from a narrower one: in reactive mode the TaskManagers alone, since the
    /// job runs on all of their slots.
    pub(crate) fn rank(self, width: Width) -> (Parallelism, TaskManagers) {
        match self {
            Self::Reactive | Self::Readers => (Parallelism(0), width.task_managers),
            Self::Adaptive => (width.parallelism, width.task_managers),
        }
    }

    /// The name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reactive => "reactive",
            Self::Adaptive => "adaptive",
            Self::Readers => "readers",
        }
    }

    /// Whatever comes or goes disturbs those that work.
    pub(crate) fn disturbs_always(self) -> bool {
        self != Self::Adaptive
    }
}

/// Which way a change goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Wider.
    Up,
    /// Narrower.
    Down,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Up, Self::Down];

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
    /// How the job is rescaled.
    pub strategy: Strategy,
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
    /// Records that waited to be read by then.
    pub pending_before: Option<u64>,
    /// How long TaskManagers took to come the last time.
    pub expected_start: Option<Duration>,
    /// The savepoint that this change asked for.
    pub savepoint: Option<Savepoint>,
    /// The checkpoint that this change asked for last.
    pub asked: Option<Asked>,
    /// The resource requirements that this change asked for.
    pub requirements: Option<Requirements>,
    /// When the owner of the TaskManagers was first seen to ask for the new number.
    pub replicas_set: Option<Timestamp>,
    /// When the first new TaskManager was seen registered.
    pub first_arrival: Option<Timestamp>,
    /// When all slots of the new width were first seen registered.
    pub slots_there: Option<Timestamp>,
    /// The TaskManagers that were seen idle, the same at each look.
    pub idle: Option<Idle>,
    /// The idle TaskManagers that were chosen to be stopped.
    pub stopped: Vec<String>,
    /// When they were chosen.
    pub chosen: Option<Timestamp>,
    /// When the present width was first asked for, so that new TaskManagers do not restart the job
    /// before all have come.
    pub pinned: Option<Timestamp>,
    /// When the job was first seen to run at the new width.
    pub running: Option<Timestamp>,
}

/// TaskManagers without work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    /// Since when each look has shown just these.
    pub since: Timestamp,
    /// By name, those first that are to go first.
    pub members: Vec<String>,
}

/// A savepoint asked for over REST before a change. It is a backup for people: after a failure Flink
/// goes back to checkpoints, never to this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Savepoint {
    /// When it was asked for.
    pub at: Timestamp,
    /// Where it is, once it is complete.
    pub location: Option<String>,
    /// Why there is none.
    pub failed: Option<String>,
}

/// Resource requirements asked for over REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirements {
    /// The upper bound of the data-parallel vertices.
    pub parallelism: Parallelism,
    /// When they were first asked for.
    pub at: Timestamp,
    /// When Flink was first seen to have them.
    pub seen: Option<Timestamp>,
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

    /// The trigger id of the savepoint of this change.
    #[must_use]
    pub fn savepoint_trigger_id(&self) -> String {
        // No checkpoint is ever attempted so often.
        self.trigger_id(u32::MAX)
    }

    /// These idle TaskManagers are to go.
    pub(crate) fn choose(&mut self, now: Timestamp, stop: &[String]) {
        self.chosen.get_or_insert(now);
        let new: Vec<_> = stop.iter().filter(|id| !self.stopped.contains(id)).cloned().collect();
        self.stopped.extend(new);
    }

    /// The checkpoint that must be asked about.
    #[must_use]
    pub fn awaits_checkpoint(&self) -> Option<u32> {
        self.asked.filter(|asked| asked.completed.is_none()).map(|asked| asked.attempt)
    }

    /// Whether the savepoint must be asked about.
    #[must_use]
    pub fn awaits_savepoint(&self) -> bool {
        self.savepoint.as_ref().is_some_and(|savepoint| savepoint.location.is_none() && savepoint.failed.is_none())
    }

    /// Whether this change restarts, or has restarted, the job that was running.
    #[must_use]
    pub fn has_triggered_a_restart(&self) -> bool {
        match self.strategy {
            Strategy::Reactive | Strategy::Readers => self.replicas_set.is_some(),
            Strategy::Adaptive => self.requirements.is_some(),
        }
    }

    /// The parallelism that the change has come to ask for: less than its target if TaskManagers did
    /// not come.
    #[must_use]
    pub fn reached(&self) -> Parallelism {
        self.requirements.map_or(self.to.parallelism, |requirements| requirements.parallelism)
    }

    /// Marks what can be seen of the change's progress.
    pub(crate) fn note(&mut self, now: Timestamp, seen: &Observation) {
        let pool = seen.pool.as_ref().map(|pool| &pool.value);
        let flink = seen.flink.as_ref().map(|flink| &flink.value);
        let job = flink.and_then(Flink::job);
        if pool.is_some_and(|pool| pool.replicas == self.to.task_managers) {
            self.replicas_set.get_or_insert(now);
        }
        if let (Some(asked), Some(Operation::Completed { .. })) = (&mut self.asked, &seen.checkpoint) {
            asked.completed.get_or_insert(now);
        }
        self.note_savepoint(seen.savepoint.as_ref());
        let upper_bound = job.and_then(Job::upper_bound);
        if let Some(requirements) = &mut self.requirements
            && upper_bound == Some(requirements.parallelism)
        {
            requirements.seen.get_or_insert(now);
        }
        if self.direction == Direction::Up
            && let Some(flink) = flink
        {
            if flink.registered() > self.registered_before {
                self.first_arrival.get_or_insert(now);
            }
            let all = match self.strategy {
                Strategy::Reactive | Strategy::Readers => flink.registered() >= self.to.task_managers,
                Strategy::Adaptive => pool.is_some_and(|pool| flink.lasting_slots(pool).0 >= self.to.parallelism.0),
            };
            if all {
                self.slots_there.get_or_insert(now);
            }
        }
        let runs = flink.zip(job).is_some_and(|(flink, job)| self.has_its_width(flink, job));
        self.running = if runs { self.running.or(Some(now)) } else { None };
        let idle = flink.zip(pool).filter(|_| runs).and_then(|(flink, pool)| Self::idle_members(pool, flink));
        self.idle = idle.map(|members| match self.idle.take() {
            Some(known) if known.members == members => known,
            _ => Idle { since: now, members },
        });
    }

    fn note_savepoint(&mut self, seen: Option<&Operation>) {
        let Some(savepoint) = &mut self.savepoint else { return };
        match seen {
            Some(Operation::Stored { location }) => savepoint.location = Some(location.clone()),
            Some(Operation::Failed { cause }) => savepoint.failed = Some(cause.clone()),
            _ => {}
        }
    }

    fn has_its_width(&self, flink: &Flink, job: &Job) -> bool {
        match self.strategy {
            Strategy::Reactive | Strategy::Readers => {
                let as_set = flink.registered() == self.to.task_managers;
                self.replicas_set.is_some() && as_set && job.runs_on(flink.slots())
            }
            Strategy::Adaptive => job.upper_bound() == Some(self.reached()) && job.runs_at(self.reached()),
        }
    }

    /// The members that no subtask runs on, those first that are not registered; `None` while that is
    /// not known for certain. The answer is worth something only when it shows the new width.
    pub(crate) fn idle_members(pool: &Pool, flink: &Flink) -> Option<Vec<String>> {
        let (members, busy) = (pool.members.as_ref()?, flink.busy()?);
        if pool.replacing {
            return None;
        }
        let is_member = |id: &str| members.iter().any(|member| member.id == id);
        let is_busy = |id: &str| busy.contains(&id);
        // Whoever works is a member, or members are not called as their TaskManagers are. And a pod
        // that is not Ready is stopped before any that is marked.
        if !busy.iter().all(|id| is_member(id)) || members.iter().any(|member| is_busy(&member.id) && !member.ready) {
            return None;
        }
        let registered = |id: &str| flink.task_managers.iter().any(|known| known.id == id);
        let mut idle: Vec<_> = members.iter().filter(|member| !is_busy(&member.id)).collect();
        idle.sort_by_key(|member| {
            (member.ready, registered(&member.id), Reverse(member.started_at), Reverse(&member.id))
        });
        Some(idle.into_iter().map(|member| member.id.clone()).collect())
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
        Self {
            restarts,
            downtime: restarted.and_then(|(stopped, ran)| between(stopped, ran)),
            replayed: restarted.zip(from).and_then(|((stopped, _), from)| between(from.triggered_at, stopped)),
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
