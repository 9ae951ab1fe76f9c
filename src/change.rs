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
    /// Records that the job read in a second by then.
    pub rate_before: Option<u64>,
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
        let stops_idle = runs && self.strategy == Strategy::Adaptive && self.direction == Direction::Down;
        let idle = flink.zip(pool).filter(|_| stops_idle);
        let idle = idle.and_then(|(flink, pool)| Self::idle_members(pool, flink));
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
