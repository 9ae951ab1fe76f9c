//! How a change is carried out: one step at a time, each derived anew from what is observed.
//!
//! The reactive strategy. Flink itself restarts the job whenever a TaskManager registers or goes,
//! so a step is at most one call: on the way up, ask for more TaskManagers; on the way down, take a
//! checkpoint first, because Flink replays everything since the last one, and stop all surplus
//! TaskManagers at once. Either way a change has ended only when the job runs on what it was given
//! and has completed a checkpoint there.

use std::{cmp::Reverse, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Direction, Failure, Outcome},
    decide::wanted_by_streams,
    observation::{Flink, Job, JobState, Member, Observation, Operation, Pool},
    policy::Policy,
    units::TaskManagers,
};

/// The one next thing to do for a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Nothing now: look again.
    Wait(Waiting),
    /// Ask Flink for a checkpoint under [`Change::trigger_id`] of this attempt.
    TriggerCheckpoint {
        /// Counts the checkpoints of one change, from 1.
        attempt: u32,
        /// Counts those of the purpose at hand.
        tries: u32,
    },
    /// Ask the owner of the TaskManagers for this many.
    SetReplicas {
        /// How many.
        replicas: TaskManagers,
        /// Which to stop, by name, where the owner lets Sluice choose; empty on the way up.
        stop: Vec<String>,
    },
    /// The change has ended.
    End(Outcome),
}

/// What a change waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// Flink or the owner of the TaskManagers cannot be read.
    Readings,
    /// A checkpoint.
    Checkpoint,
    /// TaskManagers that come or go, and the job on top of them.
    Job,
}

/// A completed checkpoint is waited for once; if the agent only comes to use it this much later
/// (it was killed in between), another is taken, since all input since then would be replayed.
const CHECKPOINT_FRESH: Duration = Duration::from_secs(10);

/// The next step of `change`. Steps may be repeated: each asks for a state, not for a difference.
#[must_use]
pub fn next_step(now: Timestamp, seen: &Observation, change: &Change, policy: &Policy) -> Step {
    match next_step_or_end(now, seen, change, policy) {
        Ok(step) => step,
        Err(failure) => Step::End(Outcome::Failed(failure)),
    }
}

fn next_step_or_end(now: Timestamp, seen: &Observation, change: &Change, policy: &Policy) -> Result<Step, Failure> {
    let (Some(flink), Some(pool)) = (&seen.flink, &seen.pool) else {
        return Ok(Step::Wait(Waiting::Readings));
    };
    if flink.age(now).max(pool.age(now)) > policy.staleness() {
        return Ok(Step::Wait(Waiting::Readings));
    }
    let (flink, pool) = (&flink.value, &pool.value);
    let Some(job) = flink.job() else {
        // Long enough for the replicas and for the job: it will not come back as it was.
        let gone = now > change.target_since + policy.slots_deadline() * 2;
        return if gone { Err(Failure::NotRunning) } else { Ok(Step::Wait(Waiting::Job)) };
    };
    if job.id != change.job {
        return Err(Failure::JobReplaced);
    }
    if job.state.is_over() {
        return Err(Failure::JobOver);
    }
    let view = View { now, seen, change, policy, flink, pool, job };
    if pool.replicas == change.to.task_managers {
        return view.prove();
    }
    if change.replicas_set.is_some() {
        return Err(Failure::Contested);
    }
    match change.direction {
        Direction::Up => view.grow(),
        Direction::Down => view.shrink(),
    }
}

/// The readable part of one observation, beside the change it is judged for.
struct View<'a> {
    now: Timestamp,
    seen: &'a Observation,
    change: &'a Change,
    policy: &'a Policy,
    flink: &'a Flink,
    pool: &'a Pool,
    job: &'a Job,
}

impl View<'_> {
    fn grow(&self) -> Result<Step, Failure> {
        let to = self.change.to.task_managers;
        if self.pool.replicas > to {
            return Err(Failure::Contested);
        }
        if self.now > self.change.target_since + self.policy.slots_deadline() {
            return Err(Failure::ReplicasNotSet);
        }
        Ok(Step::SetReplicas { replicas: to, stop: Vec::new() })
    }

    fn shrink(&self) -> Result<Step, Failure> {
        let to = self.change.to.task_managers;
        if self.pool.replicas < to {
            return Err(Failure::Contested);
        }
        if self.now > self.change.target_since + self.policy.slots_deadline() {
            return Err(Failure::ReplicasNotSet);
        }
        if let Some(step) = self.checkpoint_since(self.change.started, Some(CHECKPOINT_FRESH))? {
            return Ok(step);
        }
        // The checkpoint took its time: what was known when the change began may not be any more.
        if wanted_by_streams(self.now, self.seen, self.policy).is_err() || self.pool.other_autoscaler.is_some() {
            return Ok(Step::Wait(Waiting::Readings));
        }
        if self.job.state != JobState::Running || !self.job.all_subtasks_run {
            return Ok(Step::Wait(Waiting::Job));
        }
        Ok(Step::SetReplicas { replicas: to, stop: self.victims() })
    }

    /// Members that are not registered do no work and go first. The others work alike in reactive
    /// mode, so the newest go, as a ReplicaSet would choose.
    fn victims(&self) -> Vec<String> {
        let surplus = self.pool.replicas.0.saturating_sub(self.change.to.task_managers.0);
        let mut members: Vec<_> = self.pool.members.iter().collect();
        let registered = |member: &Member| self.flink.task_managers.iter().any(|known| known.id == member.id);
        members.sort_by_key(|member| (registered(member), Reverse(member.started_at), Reverse(&member.id)));
        members.iter().take(surplus as usize).map(|member| member.id.clone()).collect()
    }

    /// The right number is asked for: wait until the job runs on it, then for one checkpoint there.
    fn prove(&self) -> Result<Step, Failure> {
        let Some(running) = self.change.running else {
            let set = self.change.replicas_set.unwrap_or(self.change.started);
            if self.now <= set + self.policy.slots_deadline() {
                return Ok(Step::Wait(Waiting::Job));
            }
            let came = self.flink.registered();
            let runs = came > TaskManagers(0) && self.job.runs_on(self.flink.slots());
            return if runs && came < self.change.to.task_managers {
                Ok(Step::End(Outcome::Limited { task_managers: came }))
            } else {
                Err(Failure::NotRunning)
            };
        };
        if self.job.checkpoints.is_none() {
            // A job without checkpoints has nothing to show; but right after a restart Flink does not
            // say whether it takes any.
            let settled = self.now >= running + self.policy.staleness();
            return Ok(if settled { Step::End(Outcome::Done) } else { Step::Wait(Waiting::Checkpoint) });
        }
        Ok(self.checkpoint_since(running, None)?.unwrap_or(Step::End(Outcome::Done)))
    }

    /// What is still to do until a checkpoint that began at or after `since` has completed; `None`
    /// when it has (not longer ago than `fresh`, where that matters).
    fn checkpoint_since(&self, since: Timestamp, fresh: Option<Duration>) -> Result<Option<Step>, Failure> {
        let asked = self.change.asked.filter(|asked| asked.at >= since);
        if !self.flink.version.has_rest_checkpoints() {
            return self.periodic_checkpoint_since(since);
        }
        let Some(asked) = asked else {
            return Ok(Some(self.ask(1)));
        };
        let again = self.ask(asked.tries + 1);
        if let Some(completed) = asked.completed {
            let spoiled = fresh.is_some_and(|fresh| self.now > completed + fresh);
            return Ok(spoiled.then_some(again));
        }
        let in_time = self.now <= asked.at + self.policy.checkpoint_deadline();
        match &self.seen.checkpoint {
            Some(Operation::Completed { .. }) => Ok(None),
            Some(Operation::Failed { cause }) if asked.tries >= self.policy.checkpoint_attempts() => {
                Err(Failure::CheckpointFailed { cause: cause.clone() })
            }
            Some(Operation::Failed { .. }) => Ok(Some(again)),
            _ if !in_time => Err(Failure::CheckpointTimedOut),
            Some(Operation::NotTriggered) => {
                Ok(Some(Step::TriggerCheckpoint { attempt: asked.attempt, tries: asked.tries }))
            }
            Some(Operation::InProgress) | None => Ok(Some(Step::Wait(Waiting::Checkpoint))),
        }
    }

    fn ask(&self, tries: u32) -> Step {
        Step::TriggerCheckpoint { attempt: self.change.asked.map_or(1, |asked| asked.attempt + 1), tries }
    }

    /// Flink before 1.17 cannot be asked for a checkpoint: the next periodic one has to do.
    fn periodic_checkpoint_since(&self, since: Timestamp) -> Result<Option<Step>, Failure> {
        let last = self.job.checkpoints.as_ref().and_then(|checkpoints| checkpoints.last_completed);
        if last.is_some_and(|checkpoint| checkpoint.triggered_at >= since) {
            return Ok(None);
        }
        if self.now > since + self.policy.checkpoint_deadline() {
            return Err(Failure::CheckpointTimedOut);
        }
        Ok(Some(Step::Wait(Waiting::Checkpoint)))
    }
}
