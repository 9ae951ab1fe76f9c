//! How a change is carried out: one step at a time, each derived anew from what is observed.
//!
//! A step is at most one call. Which one comes next is told by the strategy ([`reactive`],
//! [`adaptive`], [`readers`]); what they share is here: the readings that must be there, savepoints and
//! checkpoints, and the proof. Whatever the strategy, a change has ended only when the job runs on what it was
//! given and, if it was restarted, has completed a checkpoint there.

mod adaptive;
mod reactive;
mod readers;

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Direction, Strategy},
    decide::wanted_by_streams,
    observation::{Bounds, Flink, Job, JobState, Member, Observation, Operation, Pool},
    outcome::{Failure, Outcome},
    policy::Policy,
    units::{Parallelism, TaskManagers},
};

/// The one next thing to do for a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Nothing now: look again.
    Wait(Waiting),
    /// Ask Flink for a savepoint under [`Change::savepoint_trigger_id`].
    TriggerSavepoint,
    /// Ask Flink for a checkpoint under [`Change::trigger_id`] of this attempt.
    TriggerCheckpoint {
        /// Counts the checkpoints of one change, from 1.
        attempt: u32,
        /// Counts those of the purpose at hand.
        tries: u32,
    },
    /// Ask Flink to run the job at another width.
    SetRequirements {
        /// The upper bound of its data-parallel vertices.
        parallelism: Parallelism,
        /// It is the present width, so that nothing restarts the job for now.
        pin: bool,
        /// All vertices of the job, by id: Flink refuses a request that leaves one out.
        bounds: BTreeMap<String, Bounds>,
    },
    /// Ask the owner of the TaskManagers to stop these first when it next stops any.
    MarkIdle {
        /// By name.
        members: Vec<String>,
    },
    /// Take that back from those that are still there.
    Unmark {
        /// By name.
        members: Vec<String>,
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
    /// Something that must be known cannot be read.
    Readings,
    /// TaskManagers that register.
    TaskManagers,
    /// A savepoint.
    Savepoint,
    /// A checkpoint.
    Checkpoint,
    /// The job, to run at the new width.
    Job,
    /// Flink, to tell which TaskManagers are idle; or their owner, to be able to stop just these.
    Idle,
    /// The idle TaskManagers, to go.
    Removal,
}

/// A completed checkpoint is waited for once; if the agent only comes to use it this much later
/// (it was killed in between), another is taken, since all input since then would be replayed.
const CHECKPOINT_FRESH: Duration = Duration::from_secs(5);

/// The next step of `change`. Steps may be repeated: each asks for a state, not for a difference.
#[must_use]
pub fn next_step(now: Timestamp, seen: &Observation, change: &Change, policy: &Policy) -> Step {
    let step = next_step_or_end(now, seen, change, policy).unwrap_or_else(|f| Step::End(Outcome::Failed(f)));
    clean_up_before(&step, now, seen, change, policy).unwrap_or(step)
}

/// Marks are taken back from those that are not to go, before any number is lowered and before the
/// change ends: whoever keeps one would be stopped first by a later change, at work or not.
fn clean_up_before(step: &Step, now: Timestamp, seen: &Observation, change: &Change, policy: &Policy) -> Option<Step> {
    let keep = match step {
        Step::SetReplicas { stop, .. } => stop.as_slice(),
        Step::End(_) => &[],
        _ => return None,
    };
    // An owner that does not let them be taken back must not keep the change from ending.
    let overdue = now > change.target_since + policy.slots_deadline() * 4;
    let members = seen.pool.as_ref()?.value.members.as_ref()?;
    let stale = |member: &&Member| member.marked && !keep.contains(&member.id);
    let members: Vec<_> = members.iter().filter(stale).map(|member| member.id.clone()).collect();
    (!members.is_empty() && !overdue).then_some(Step::Unmark { members })
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
    match change.strategy {
        Strategy::Reactive => view.reactive(),
        Strategy::Readers => view.readers(),
        Strategy::Adaptive => view.adaptive(),
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

/// What becomes of a change whose checkpoint or savepoint fails or takes too long.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// It ends: nothing is narrowed, and nothing is called proven, without.
    Must,
    /// It goes on: a job that needs to be wider is not kept waiting.
    BestEffort,
}

impl View<'_> {
    /// The owner is about to be asked for the target, as has been due since `since`, unless somebody
    /// else has been there.
    fn may_set_replicas(&self, since: Timestamp) -> Result<(), Failure> {
        let past = match self.change.direction {
            Direction::Up => self.pool.replicas > self.change.to.task_managers,
            Direction::Down => self.pool.replicas < self.change.to.task_managers,
        };
        if past || self.change.replicas_set.is_some() {
            return Err(Failure::Contested);
        }
        let overdue = self.now > since + self.policy.slots_deadline();
        if overdue { Err(Failure::ReplicasNotSet) } else { Ok(()) }
    }

    /// Which members to stop where all work alike. Those that are not registered do no work and go
    /// first, then the newest, as a ReplicaSet would choose.
    fn newest(&self) -> Vec<String> {
        let surplus = self.pool.replicas.0.saturating_sub(self.change.to.task_managers.0);
        let mut members: Vec<_> = self.pool.members.iter().flatten().collect();
        let known = |member: &Member| self.flink.task_managers.iter().any(|known| known.id == member.id);
        members.sort_by_key(|member| (known(member), Reverse(member.started_at), Reverse(&member.id)));
        members.iter().take(surplus as usize).map(|member| member.id.clone()).collect()
    }

    fn job_runs(&self) -> bool {
        self.job.state == JobState::Running && self.job.all_subtasks_run
    }

    /// Waiting for a checkpoint took its time: what was known when the change began may not be any
    /// more, and nothing is stopped on a guess. What to wait for, if anything.
    fn not_to_be_narrowed_now(&self) -> Option<Step> {
        let other_autoscaler = self.pool.other_autoscaler.is_some();
        if wanted_by_streams(self.now, self.seen, self.policy).is_err() || other_autoscaler {
            return Some(Step::Wait(Waiting::Readings));
        }
        (!self.job_runs()).then_some(Step::Wait(Waiting::Job))
    }

    /// A checkpoint before the job is narrowed, and the savepoint before that if one is wanted: taken
    /// only once a checkpoint has shown that the change can go on at all.
    fn backups(&self, since: Timestamp, need: Need) -> Result<Option<Step>, Failure> {
        if need == Need::Must
            && self.policy.savepoint_before_change()
            && let Some(step) = self.checkpoint_since(since, None, need)?
        {
            return Ok(Some(step));
        }
        if let Some(step) = self.savepoint(need)? {
            return Ok(Some(step));
        }
        let since = self.change.savepoint.as_ref().map_or(since, |savepoint| savepoint.at.max(since));
        self.checkpoint_since(since, Some(CHECKPOINT_FRESH), need)
    }

    /// What is still to do for the savepoint before the change; `None` if nothing is.
    fn savepoint(&self, need: Need) -> Result<Option<Step>, Failure> {
        if !self.policy.savepoint_before_change() {
            return Ok(None);
        }
        let Some(savepoint) = &self.change.savepoint else {
            return Ok(self.job_runs().then_some(Step::TriggerSavepoint));
        };
        let deadline = match need {
            Need::Must => self.policy.savepoint_deadline(),
            Need::BestEffort => self.policy.savepoint_deadline().min(self.policy.checkpoint_deadline_up()),
        };
        let too_late = self.now > savepoint.at + deadline;
        let failed = savepoint.failed.clone().or_else(|| too_late.then(|| "it took too long".to_owned()));
        match (&savepoint.location, failed, need) {
            (Some(_), _, _) | (None, Some(_), Need::BestEffort) => Ok(None),
            (None, Some(cause), Need::Must) => Err(Failure::SavepointFailed { cause }),
            (None, None, _) if self.seen.savepoint == Some(Operation::NotTriggered) => Ok(Some(Step::TriggerSavepoint)),
            (None, None, _) => Ok(Some(Step::Wait(Waiting::Savepoint))),
        }
    }

    /// What is still to do until a checkpoint that began at or after `since` has completed; `None`
    /// when it has (not longer ago than `fresh`, where that matters), or when it is no longer waited
    /// for.
    fn checkpoint_since(&self, since: Timestamp, fresh: Option<Duration>, need: Need) -> Result<Option<Step>, Failure> {
        let deadline = match need {
            Need::Must => self.policy.checkpoint_deadline(),
            Need::BestEffort => self.policy.checkpoint_deadline_up(),
        };
        // A best effort is one attempt, and no longer than its deadline in all.
        let give_up = |failure: Failure| if need == Need::Must { Err(failure) } else { Ok(None) };
        if !self.flink.version.has_rest_checkpoints() {
            let last = self.job.checkpoints.as_ref().and_then(|checkpoints| checkpoints.last_completed);
            // The next periodic one has to do.
            return if last.is_some_and(|checkpoint| checkpoint.triggered_at >= since) {
                Ok(None)
            } else if self.now > since + deadline {
                give_up(Failure::CheckpointTimedOut)
            } else {
                Ok(Some(Step::Wait(Waiting::Checkpoint)))
            };
        }
        let Some(asked) = self.change.asked.filter(|asked| asked.at >= since) else {
            return Ok(Some(self.ask_for_checkpoint(1)));
        };
        let again = self.ask_for_checkpoint(asked.tries + 1);
        if let Some(completed) = asked.completed {
            let spoiled = fresh.is_some_and(|fresh| self.now > completed + fresh);
            return Ok(spoiled.then_some(again));
        }
        let in_time = self.now <= asked.at + deadline;
        match &self.seen.checkpoint {
            Some(Operation::Completed { .. }) => Ok(None),
            Some(Operation::Failed { cause })
                if need == Need::BestEffort || asked.tries >= self.policy.checkpoint_attempts() =>
            {
                give_up(Failure::CheckpointFailed { cause: cause.clone() })
            }
            Some(Operation::Failed { .. }) => Ok(Some(again)),
            _ if !in_time => give_up(Failure::CheckpointTimedOut),
            Some(Operation::NotTriggered) => {
                Ok(Some(Step::TriggerCheckpoint { attempt: asked.attempt, tries: asked.tries }))
            }
            Some(Operation::InProgress | Operation::Stored { .. }) | None => Ok(Some(Step::Wait(Waiting::Checkpoint))),
        }
    }

    fn ask_for_checkpoint(&self, tries: u32) -> Step {
        Step::TriggerCheckpoint { attempt: self.change.asked.map_or(1, |asked| asked.attempt + 1), tries }
    }

    /// The job runs at its new width since `running`: what is still to do until it has completed a
    /// checkpoint there; `None` when it has.
    fn proof(&self, running: Timestamp) -> Result<Option<Step>, Failure> {
        if self.job.checkpoints.is_none() {
            // A job without checkpoints has nothing to show; but right after a restart Flink does not
            // say whether it takes any.
            let settled = self.now >= running + self.policy.staleness();
            return Ok((!settled).then_some(Step::Wait(Waiting::Checkpoint)));
        }
        self.checkpoint_since(running, None, Need::Must)
    }
}
