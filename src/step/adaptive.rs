//! The adaptive scheduler without reactive mode: the job is as wide as its resource requirements
//! say, and TaskManagers beyond that stand by idle.
//!
//! Up: TaskManagers first, which disturbs nothing, then a checkpoint, then the new upper bound: one
//! restart, however unevenly they arrive. Down: a checkpoint, the lower bound, and once Flink shows
//! which TaskManagers are left without work, exactly those are stopped: no restart at all.
//!
//! From 2.0 on Flink itself waits for a checkpoint before it rescales, so the one that counts is
//! taken after the request.

use super::{CHECKPOINT_FRESH, Need, Step, View, Waiting};
use crate::{
    change::{Change, Direction, Failure, Outcome},
    decide::wanted_by_streams,
    observation::Choice,
    units::{Parallelism, TaskManagers},
    width::Wanted,
};

impl View<'_> {
    pub(super) fn adaptive(&self) -> Result<Step, Failure> {
        match self.change.direction {
            Direction::Up => self.widen(),
            Direction::Down => self.narrow(),
        }
    }

    fn widen(&self) -> Result<Step, Failure> {
        let to = self.change.to;
        let short = self.flink.slots().0 < to.parallelism.0;
        if short && self.change.requirements.is_none() && self.pool.replicas != to.task_managers {
            return self.more_task_managers();
        }
        let Some(reach) = self.reach() else {
            return Ok(Step::Wait(Waiting::TaskManagers));
        };
        let Some(upper_bound) = self.job.upper_bound() else {
            return self.wait_for(Waiting::Readings);
        };
        if reach == Parallelism(0) {
            return Err(Failure::NotRunning);
        }
        if reach < to.parallelism && reach <= upper_bound && self.change.requirements.is_none() {
            return Ok(Step::End(Outcome::Limited { task_managers: self.flink.registered() }));
        }
        if upper_bound != reach {
            return self.request(reach, Need::BestEffort);
        }
        let running = match self.released(Need::BestEffort)? {
            Ok(running) => running,
            Err(step) => return Ok(step),
        };
        if self.pool.replicas != to.task_managers {
            // Spares that were used up: refilled only now, so that starting them does not slow the
            // job's own start.
            return self.more_task_managers();
        }
        if self.change.requirements.is_some()
            && let Some(step) = self.proof(running)?
        {
            return Ok(step);
        }
        let all = reach >= to.parallelism;
        Ok(Step::End(if all { Outcome::Done } else { Outcome::Limited { task_managers: self.flink.registered() } }))
    }

    fn more_task_managers(&self) -> Result<Step, Failure> {
        self.may_set_replicas()?;
        Ok(Step::SetReplicas { replicas: self.change.to.task_managers, stop: Vec::new() })
    }

    /// How wide the job can be made now: as wide as it is to be, or at the deadline as wide as there
    /// are slots. `None` while TaskManagers may still come.
    fn reach(&self) -> Option<Parallelism> {
        if let Some(requirements) = self.change.requirements {
            return Some(requirements.parallelism);
        }
        let (to, slots) = (self.change.to.parallelism, Parallelism(self.flink.slots().0));
        (slots >= to || self.is_overdue(1)).then_some(slots.min(to))
    }

    fn narrow(&self) -> Result<Step, Failure> {
        let to = self.change.to;
        let Some(upper_bound) = self.job.upper_bound() else {
            return self.wait_for(Waiting::Readings);
        };
        if upper_bound != to.parallelism {
            return self.request(to.parallelism, Need::Must);
        }
        let running = match self.released(Need::BestEffort)? {
            Ok(running) => running,
            Err(step) => return Ok(step),
        };
        if self.change.requirements.is_some()
            && let Some(step) = self.proof(running)?
        {
            return Ok(step);
        }
        self.stop_the_idle(running)
    }

    /// Asks Flink for another width, with all that must come before.
    fn request(&self, parallelism: Parallelism, need: Need) -> Result<Step, Failure> {
        let requirements = self.change.requirements;
        if requirements.is_some_and(|requirements| requirements.seen.is_some()) {
            return Err(Failure::Contested);
        }
        if self.is_overdue(2) {
            return Err(Failure::RequirementsNotSet);
        }
        if !self.job_runs() {
            return Ok(Step::Wait(Waiting::Job));
        }
        if let Some(step) = self.savepoint(need)? {
            return Ok(step);
        }
        // Flink that waits for a checkpoint by itself needs none before, except to show that one
        // can be taken at all, without which a job is not narrowed.
        let waits = self.flink.version.rescales_on_checkpoints();
        if !(waits && need == Need::BestEffort)
            && let Some(step) = self.checkpoint_since(self.since(), Some(CHECKPOINT_FRESH), need)?
        {
            return Ok(step);
        }
        if need == Need::Must
            && let Err(wait) = self.may_still_narrow()
        {
            return Ok(wait);
        }
        Ok(Step::SetRequirements { parallelism, bounds: self.job.bounds_for(parallelism) })
    }

    /// From when on a checkpoint serves the request: on the way up all that time before the slots
    /// were there would be replayed.
    fn since(&self) -> jiff::Timestamp {
        match self.change.direction {
            Direction::Up => self.change.slots_there.unwrap_or(self.change.started),
            Direction::Down => self.change.started,
        }
    }

    /// Since when the job runs at its new width, or what is to be done until it does.
    fn released(&self, need: Need) -> Result<Result<jiff::Timestamp, Step>, Failure> {
        if let Some(running) = self.change.running {
            return Ok(Ok(running));
        }
        let Some(requirements) = self.change.requirements else {
            return self.wait_for(Waiting::Job).map(Err);
        };
        let restarted = self.job.parallelism == self.change.reached();
        if self.flink.version.rescales_on_checkpoints()
            && !restarted
            && self.job_runs()
            && let Some(step) = self.checkpoint_since(requirements.at, Some(CHECKPOINT_FRESH), need)?
        {
            return Ok(Err(step));
        }
        let deadline = requirements.at + self.policy.slots_deadline();
        if self.now > deadline { Err(Failure::NotRunning) } else { Ok(Err(Step::Wait(Waiting::Job))) }
    }

    /// The job runs narrower and has proven it: stop the TaskManagers that are left without work.
    fn stop_the_idle(&self, running: jiff::Timestamp) -> Result<Step, Failure> {
        let to = self.change.to.task_managers;
        if self.pool.replicas <= to {
            return self.check_the_stopped();
        }
        if self.change.replicas_set.is_some() {
            return Err(Failure::Contested);
        }
        let until = running + self.policy.slots_deadline();
        let still_surplus = self.surplus();
        if still_surplus == 0 || self.pool.choice == Choice::None || self.now > until {
            // They stay, idle: the stream has widened again, or nobody can tell which they are.
            return Ok(Step::End(Outcome::Done));
        }
        if !self.all_is_known() || self.pool.other_autoscaler.is_some() {
            return Ok(Step::Wait(Waiting::Readings));
        }
        let Some(idle) = Change::idle_members(self.pool, self.flink, self.job) else {
            return Ok(Step::Wait(Waiting::Idle));
        };
        // Members that are wanted and not there go before any that is named.
        let missing = self.pool.replicas.0.saturating_sub(u32::try_from(self.pool.members.len()).unwrap_or(u32::MAX));
        let named = still_surplus.saturating_sub(missing);
        let stop: Vec<_> = idle.into_iter().take(named as usize).map(str::to_owned).collect();
        let fewer = u32::try_from(stop.len()).unwrap_or(u32::MAX).saturating_add(missing.min(still_surplus));
        if fewer == 0 {
            // The subtasks are spread over all of them: removing any would restart the job.
            return Ok(Step::End(Outcome::Done));
        }
        if self.pool.choice == Choice::ByMark {
            let unmarked = |id: &&String| self.pool.members.iter().any(|member| member.id == **id && !member.marked);
            let members: Vec<_> = stop.iter().filter(unmarked).cloned().collect();
            if !members.is_empty() {
                return Ok(Step::MarkIdle { members });
            }
        }
        Ok(Step::SetReplicas { replicas: TaskManagers(self.pool.replicas.0.saturating_sub(fewer)), stop })
    }

    /// How many TaskManagers are too many for the change's target and for what is wanted by now.
    fn surplus(&self) -> u32 {
        let needed = wanted_by_streams(self.now, self.seen, self.policy).map_or(TaskManagers(0), |demand| {
            Wanted::new(demand.parallelism, self.policy, self.job.max_parallelism, None).width.task_managers
        });
        self.pool.replicas.0.saturating_sub(needed.max(self.change.to.task_managers).0)
    }

    /// The owner was asked to stop the idle TaskManagers: see that these went, and no others.
    fn check_the_stopped(&self) -> Result<Step, Failure> {
        let there = |id: &&String| self.pool.members.iter().any(|member| member.id == **id);
        let left: Vec<_> = self.change.stopped.iter().filter(there).cloned().collect();
        if left.is_empty() {
            return Ok(Step::End(Outcome::Done));
        }
        let surplus_is_gone = self.pool.members.len() <= self.pool.replicas.0 as usize;
        let since = self.change.replicas_set.unwrap_or(self.change.started);
        if !surplus_is_gone && self.now <= since + self.policy.slots_deadline() {
            return Ok(Step::Wait(Waiting::Removal));
        }
        let is_marked = |id: &&String| self.pool.members.iter().any(|member| member.id == **id && member.marked);
        let marked: Vec<_> = left.iter().filter(is_marked).cloned().collect();
        if !marked.is_empty() {
            return Ok(Step::Unmark { members: marked });
        }
        Err(Failure::WrongTaskManagersStopped { left })
    }

    /// Waits, but not for ever.
    fn wait_for(&self, what: Waiting) -> Result<Step, Failure> {
        if self.is_overdue(2) { Err(Failure::NotRunning) } else { Ok(Step::Wait(what)) }
    }

    /// The target has stood for longer than `times` the deadline for slots.
    fn is_overdue(&self, times: u32) -> bool {
        self.now > self.change.target_since + self.policy.slots_deadline() * times
    }
}
