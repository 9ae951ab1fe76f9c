//! What the agent must remember between two looks, and across its own death.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Direction},
    decide::wanted_by_streams,
    history::History,
    observation::{Job, Observation},
    outcome::{Cost, Ended, Failure, Outcome},
    policy::Policy,
    units::{Parallelism, TaskManagers},
};

pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// So few records wait at the source of any job that keeps up.
const CAUGHT_UP: u64 = 1_000;

/// Everything that a decision depends on and that cannot be observed again. Saved as JSON before
/// each step that needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What was wanted lately.
    pub history: History,
    /// The change in flight.
    pub change: Option<Change>,
    /// The change that ended last.
    pub last: Option<Ended>,
    /// When changes restarted the job within the last hour.
    pub restarts: Vec<Timestamp>,
    /// What an earlier change learned about the cluster.
    pub capacity: Option<Capacity>,
    /// The number of TaskManagers that Sluice last set or accepted.
    pub set: Option<TaskManagers>,
    /// The number that Sluice last asked for, though the answer may have been lost.
    pub asked_for: Option<TaskManagers>,
    /// The upper bound of the job's parallelism that Sluice last set or accepted.
    pub upper_bound: Option<Parallelism>,
    /// The upper bound that Sluice last asked for, though Flink may not have taken it.
    pub asked_for_bound: Option<Parallelism>,
    /// Somebody else changed one of the two.
    pub contest: Option<Contest>,
    /// How long TaskManagers took to register at Flink, of late.
    pub start_time: Option<Duration>,
    /// The job that the rest of the memory is about.
    pub job: Option<String>,
    /// The job before that one, if there was another.
    pub replaced: Option<Replaced>,
    /// How many changes there have been.
    pub changes: u64,
}

/// A job that another has taken the place of: a JobManager without high availability came back, or a
/// person started the job anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Its id.
    pub job: String,
    /// When the other one was first seen.
    pub at: Timestamp,
}

/// How many TaskManagers came when more were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// How many came.
    pub task_managers: TaskManagers,
    /// Until when that is believed.
    pub until: Timestamp,
}

/// What somebody else changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// The number of TaskManagers, to this.
    TaskManagers(TaskManagers),
    /// The upper bound of the job's parallelism, to this.
    UpperBound(Parallelism),
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TaskManagers(found) => write!(f, "the TaskManagers to {found}"),
            Self::UpperBound(found) => write!(f, "the upper bound of the job's parallelism to {found}"),
        }
    }
}

/// Somebody else changed the width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contest {
    /// What they changed last.
    pub found: Edit,
    /// How often: the first time Sluice sets its number again, the second time it stands back.
    pub times: u32,
    /// When this is forgotten.
    pub until: Timestamp,
}

impl Memory {
    /// Goes on from what another agent, or this one before it was restarted, has saved. What was wanted
    /// lately this agent may have watched itself; that is newer than what was saved.
    pub fn take_over(&mut self, saved: Self) {
        let own = std::mem::take(&mut self.history);
        let history = if own == History::default() { saved.history } else { own };
        *self = Self { history, ..saved };
    }

    /// Another agent leads: all but what is wanted is that agent's to know.
    pub fn stand_back(&mut self) {
        *self = Self { history: std::mem::take(&mut self.history), ..Self::default() };
    }

    /// Takes in one observation: the only way in which the memory learns from the outside.
    pub fn note(&mut self, now: Timestamp, seen: &Observation, policy: &Policy) {
        self.forget_the_future(now, policy);
        self.restarts.retain(|at| now < *at + HOUR);
        let registered = seen.flink.as_ref().map(|flink| flink.value.registered());
        // More have come than were thought to be there: the shortage is over.
        self.capacity.take_if(|capacity| capacity.until <= now || registered > Some(capacity.task_managers));
        self.contest.take_if(|contest| contest.until <= now);

        let job = seen.flink.as_ref().and_then(|flink| flink.value.job());
        if let Some(job) = job {
            if let Some(known) = self.job.take_if(|known| *known != job.id) {
                self.replaced = Some(Replaced { job: known, at: now });
                // A job that lost its memory must not be narrowed on the memory of the old one.
                self.history.clear();
                self.upper_bound = None;
            }
            self.job = Some(job.id.clone());
        }
        if let Ok(wanted) = wanted_by_streams(now, seen, policy) {
            self.history.note(now, wanted.parallelism, policy.scale_down_window(), policy.staleness());
        }
        if let Some(change) = &mut self.change {
            change.note(now, seen);
            if change.replicas_set.is_some() {
                self.set = Some(change.to.task_managers);
            }
            if let Some(requirements) = change.requirements.filter(|requirements| requirements.seen.is_some()) {
                self.upper_bound = Some(requirements.parallelism);
            }
            return;
        }
        self.note_recovery(now, job);
        if let Some(pool) = &seen.pool {
            let found = pool.value.replicas;
            if self.set.is_some_and(|set| set != found) && self.asked_for != Some(found) {
                self.note_contest(now, Edit::TaskManagers(found), policy);
            }
            self.set = Some(found);
            self.asked_for = None;
        }
        if let Some(found) = job.and_then(Job::upper_bound) {
            if self.upper_bound.is_some_and(|set| set != found) && self.asked_for_bound != Some(found) {
                self.note_contest(now, Edit::UpperBound(found), policy);
            }
            self.upper_bound = Some(found);
            self.asked_for_bound = None;
        }
    }

    /// The job has no more to catch up with than before the last change.
    fn note_recovery(&mut self, now: Timestamp, job: Option<&Job>) {
        let Some(last) = self.last.as_mut().filter(|last| last.recovered.is_none()) else { return };
        let pending = job.filter(|job| job.id == last.change.job).and_then(|job| job.pending_records);
        if let (Some(before), Some(pending)) = (last.change.pending_before, pending)
            && pending <= before.max(CAUGHT_UP)
        {
            last.recovered = Some(now);
        }
    }

    /// A clock that was set back must not make the past last for ever.
    fn forget_the_future(&mut self, now: Timestamp, policy: &Policy) {
        for at in self.last.iter_mut().map(|last| &mut last.at).chain(&mut self.restarts) {
            *at = (*at).min(now);
        }
        if let Some(capacity) = &mut self.capacity {
            capacity.until = capacity.until.min(now + policy.capacity_expiry());
        }
        if let Some(contest) = &mut self.contest {
            contest.until = contest.until.min(now + policy.contest_expiry());
        }
    }

    /// Begins a change, or gives the one in flight a new target.
    pub(crate) fn begin(&mut self, change: Change) {
        self.changes = change.id;
        self.change = Some(change);
    }

    /// Ends the change in flight, if there is one, and learns from how it ended.
    pub(crate) fn end(&mut self, now: Timestamp, outcome: Outcome, seen: &Observation, policy: &Policy) {
        let Some(change) = self.change.take() else { return };
        if outcome == Outcome::Failed(Failure::NoLongerWanted) {
            return; // Nothing was touched, so nothing has to cool down.
        }
        match &outcome {
            Outcome::Limited { task_managers } if change.direction == Direction::Up => {
                let until = now + policy.capacity_expiry();
                self.capacity = Some(Capacity { task_managers: *task_managers, until });
            }
            Outcome::Failed(Failure::Contested) => self.note_contested_change(now, &change, seen, policy),
            Outcome::Done | Outcome::Limited { .. } | Outcome::Failed(_) => {}
        }
        if let Some(took) = change.replicas_set.zip(change.first_arrival).map(|(set, came)| came.duration_since(set)) {
            let took = Duration::try_from(took).unwrap_or_default();
            self.start_time = Some(self.start_time.map_or(took, |known| (known + took) / 2));
        }
        let job = seen.flink.as_ref().and_then(|flink| flink.value.job());
        let cost = Cost::of(&change, job);
        if change.has_triggered_a_restart() {
            // Flink may restart a job once for each TaskManager that arrives apart. What it was asked for
            // and did not take restarted nothing.
            let least = usize::from(change.strategy.disturbs_always());
            let count = cost.restarts.map_or(1, |restarts| usize::try_from(restarts).unwrap_or(1).max(least));
            self.restarts.extend(std::iter::repeat_n(now, count));
        }
        self.last = Some(Ended { change, at: now, outcome, cost, recovered: None });
    }

    fn note_contested_change(&mut self, now: Timestamp, change: &Change, seen: &Observation, policy: &Policy) {
        let upper_bound = seen.flink.as_ref().and_then(|flink| flink.value.job()).and_then(Job::upper_bound);
        let edited = upper_bound.filter(|found| change.requirements.is_some_and(|asked| asked.parallelism != *found));
        if let Some(found) = edited {
            self.note_contest(now, Edit::UpperBound(found), policy);
            self.upper_bound = Some(found);
        } else if let Some(pool) = &seen.pool {
            self.note_contest(now, Edit::TaskManagers(pool.value.replicas), policy);
            self.set = Some(pool.value.replicas);
        }
    }

    fn note_contest(&mut self, now: Timestamp, found: Edit, policy: &Policy) {
        let times = self.contest.map_or(1, |contest| contest.times + 1);
        self.contest = Some(Contest { found, times, until: now + policy.contest_expiry() });
    }
}
