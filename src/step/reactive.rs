//! Reactive mode: Flink itself restarts the job whenever a TaskManager registers or goes.
//!
//! On the way up all TaskManagers are asked for at once, and a checkpoint is taken when they are
//! about to come; on the way down a checkpoint is taken first, because Flink replays everything
//! since the last one, and all surplus TaskManagers are stopped at once.

use std::time::Duration;

use jiff::Timestamp;

use super::{Need, Step, View, Waiting};
use crate::{
    change::Direction,
    outcome::{Failure, Outcome},
    units::TaskManagers,
};

/// TaskManagers come up to this much earlier than the last time.
const EARLY: Duration = Duration::from_secs(2);

/// A checkpoint that was taken for an arrival is worth another after this long.
const SPENT: Duration = Duration::from_secs(3);

/// So many checkpoints are taken for one arrival.
const FOR_ONE_ARRIVAL: u32 = 2;

impl View<'_> {
    pub(super) fn reactive(&self) -> Result<Step, Failure> {
        if self.pool.replicas == self.change.to.task_managers {
            return self.await_and_prove();
        }
        self.may_set_replicas(self.change.target_since)?;
        match self.change.direction {
            Direction::Up => self.ask_for_all(),
            Direction::Down => self.stop_surplus(),
        }
    }

    fn ask_for_all(&self) -> Result<Step, Failure> {
        let all = Step::SetReplicas { replicas: self.change.to.task_managers, stop: Vec::new() };
        Ok(self.savepoint(Need::BestEffort)?.unwrap_or(all))
    }

    fn stop_surplus(&self) -> Result<Step, Failure> {
        if let Some(step) = self.backups(self.change.started, Need::Must)? {
            return Ok(step);
        }
        if let Some(wait) = self.not_to_be_narrowed_now() {
            return Ok(wait);
        }
        Ok(Step::SetReplicas { replicas: self.change.to.task_managers, stop: self.newest() })
    }

    /// The right number is asked for: wait until the job runs on it, then for one checkpoint there.
    fn await_and_prove(&self) -> Result<Step, Failure> {
        if let Some(running) = self.change.running {
            return Ok(self.proof(running)?.unwrap_or(Step::End(Outcome::Done)));
        }
        let set = self.change.replicas_set.unwrap_or(self.change.started);
        if self.now <= set + self.policy.slots_deadline() {
            let checkpoint = if self.change.direction == Direction::Up { self.for_the_arrival(set)? } else { None };
            return Ok(checkpoint.unwrap_or(Step::Wait(Waiting::Job)));
        }
        let came = self.flink.registered();
        let runs = came > TaskManagers(0) && self.job.runs_on(self.flink.slots());
        if runs && came < self.change.to.task_managers {
            Ok(Step::End(Outcome::Limited { task_managers: came }))
        } else {
            Err(Failure::NotRunning)
        }
    }

    /// The checkpoint that the restart will go back to, so that little is replayed. From 2.0 on Flink
    /// waits for one once the TaskManagers are there; before that it restarts the job as soon as the
    /// first has come, so the checkpoint is timed by how long they took the last time.
    fn for_the_arrival(&self, set: Timestamp) -> Result<Option<Step>, Failure> {
        if !self.job_runs() || self.change.registered_before == TaskManagers(0) {
            return Ok(None);
        }
        let waits = self.flink.version.rescales_on_checkpoints();
        let due = if waits {
            self.change.slots_there
        } else if self.change.first_arrival.is_some() {
            None
        } else {
            self.change.expected_start.map(|start| set + start.saturating_sub(EARLY)).filter(|due| *due <= self.now)
        };
        let Some(due) = due else { return Ok(None) };
        let taken = self.change.asked.filter(|asked| asked.at >= due && asked.tries >= FOR_ONE_ARRIVAL);
        // Flink that waits may do so longer than the first takes (its stabilization timeout).
        if !waits && taken.is_some_and(|asked| asked.completed.is_some()) {
            return Ok(None);
        }
        self.checkpoint_since(due, Some(SPENT), Need::BestEffort)
    }
}
