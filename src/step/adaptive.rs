//! The adaptive scheduler without reactive mode: the job is as wide as its resource requirements
//! say, and TaskManagers beyond that stand by idle.
//!
//! Up: TaskManagers first, which disturbs nothing, then a checkpoint, then the new upper bound: one
//! restart, however unevenly they arrive. Down: a checkpoint, the lower bound, and once Flink shows
//! which TaskManagers are left without work, exactly those are stopped: no restart at all.
//!
//! From 2.0 on Flink itself waits for a checkpoint before it rescales, so the one that counts is
//! taken after the request.

use std::time::Duration;

use jiff::Timestamp;

use super::{CHECKPOINT_FRESH, Need, Step, View, Waiting};
use crate::{
    change::Direction,
    decide::wanted_by_streams,
    observation::Choice,
    outcome::{Failure, Outcome},
    units::{Parallelism, TaskManagers},
    width::Wanted,
};

/// TaskManagers are idle if every look for this long has shown just these.
const SEEN_IDLE: Duration = Duration::from_secs(1);

/// What stops the pods learns of a mark on its own way, and not before this.
const MARK_KNOWN: Duration = Duration::from_secs(1);

impl View<'_> {
    pub(super) fn adaptive(&self) -> Result<Step, Failure> {
        match self.change.direction {
            Direction::Up => self.widen(),
            Direction::Down => self.narrow(),
        }
    }

    fn widen(&self) -> Result<Step, Failure> {
        let to = self.change.to;
        let Some(upper_bound) = self.job.upper_bound() else {
            return self.wait_for(Waiting::Readings);
        };
        let short = self.slots() < to.parallelism;
        if short && let Some(pin) = self.pin(upper_bound) {
            return Ok(pin);
        }
        if short && self.pool.replicas != to.task_managers {
            return self.more_task_managers(self.change.target_since);
        }
        let Some(reach) = self.reach() else {
            return Ok(Step::Wait(Waiting::TaskManagers));
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
        let Some(running) = self.change.running else {
            return self.await_the_width();
        };
        if self.pool.replicas != to.task_managers {
            // Spares that were used up: refilled only now, so that starting them does not slow the
            // job's own start.
            return self.more_task_managers(running);
        }
        if let Some(step) = self.proof_if_restarted(running)? {
            return Ok(step);
        }
        let all = reach >= to.parallelism;
        Ok(Step::End(if all { Outcome::Done } else { Outcome::Limited { task_managers: self.flink.registered() } }))
    }

    /// As wide as the job can be on the TaskManagers that are there to stay.
    fn slots(&self) -> Parallelism {
        Parallelism(self.flink.lasting_slots(self.pool).0)
    }

    /// A job that may become wider than it is (its starting width was left open, or a TaskManager has
    /// gone) would restart for each TaskManager that comes. Asking first for the width that it has
    /// restarts nothing.
    fn pin(&self, upper_bound: Parallelism) -> Option<Step> {
        let present = self.job.parallelism;
        let due = self.change.requirements.is_none() && self.job_runs() && upper_bound > present;
        let given_up = self.change.pinned.is_some_and(|since| self.now > since + self.policy.staleness());
        (due && !given_up).then(|| self.set_requirements(present, true))
    }

    fn set_requirements(&self, parallelism: Parallelism, pin: bool) -> Step {
        Step::SetRequirements { parallelism, pin, bounds: self.job.bounds_for(parallelism) }
    }

    fn more_task_managers(&self, since: Timestamp) -> Result<Step, Failure> {
        self.may_set_replicas(since)?;
        Ok(Step::SetReplicas { replicas: self.change.to.task_managers, stop: Vec::new() })
    }

    /// How wide the job can be made now: as wide as it is to be, or at the deadline as wide as there
    /// are slots. `None` while TaskManagers may still come.
    fn reach(&self) -> Option<Parallelism> {
        if let Some(requirements) = self.change.requirements {
            return Some(requirements.parallelism);
        }
        let (to, slots) = (self.change.to.parallelism, self.slots());
        let asked = self.change.replicas_set.unwrap_or(self.change.target_since);
        let overdue = self.now > asked + self.policy.slots_deadline();
        (slots >= to || overdue).then_some(slots.min(to))
    }

    fn narrow(&self) -> Result<Step, Failure> {
        let to = self.change.to;
        let Some(upper_bound) = self.job.upper_bound() else {
            return self.wait_for(Waiting::Readings);
        };
        if upper_bound != to.parallelism {
            return self.request(to.parallelism, Need::Must);
        }
        let Some(running) = self.change.running else {
            return self.await_the_width();
        };
        if let Some(step) = self.proof_if_restarted(running)? {
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
        if self.now > self.since() + self.longest_request() {
            return Err(Failure::RequirementsNotSet);
        }
        if !self.job_runs() {
            return Ok(Step::Wait(Waiting::Job));
        }
        // Flink would place subtasks on TaskManagers that are on their way out as on any.
        let leaving = self.flink.lasting_slots(self.pool) < self.flink.slots();
        if leaving && self.now <= self.since() + self.policy.slots_deadline() {
            return Ok(Step::Wait(Waiting::Removal));
        }
        // Flink that waits for a checkpoint by itself needs none before, except to show that one
        // can be taken at all, without which a job is not narrowed.
        let waits = self.flink.version.rescales_on_checkpoints();
        let before =
            if waits && need == Need::BestEffort { self.savepoint(need)? } else { self.backups(self.since(), need)? };
        if let Some(step) = before {
            return Ok(step);
        }
        if need == Need::Must
            && let Some(wait) = self.not_to_be_narrowed_now()
        {
            return Ok(wait);
        }
        Ok(self.set_requirements(parallelism, false))
    }

    /// A request takes no longer than all that may come before it.
    fn longest_request(&self) -> Duration {
        let checkpoints = self.policy.checkpoint_deadline() * self.policy.checkpoint_attempts();
        self.policy.slots_deadline() + checkpoints * 2 + self.policy.savepoint_deadline()
    }

    /// From when on a checkpoint serves the request: on the way up all that time before the slots
    /// were there would be replayed.
    fn since(&self) -> Timestamp {
        match self.change.direction {
            Direction::Up => self.change.slots_there.unwrap_or(self.change.target_since),
            Direction::Down => self.change.started,
        }
    }

    /// What is to be done until the job runs at its new width.
    fn await_the_width(&self) -> Result<Step, Failure> {
        let Some(requirements) = self.change.requirements else {
            return self.wait_for(Waiting::Job);
        };
        let restarted = self.job.parallelism == self.change.reached();
        if self.flink.version.rescales_on_checkpoints()
            && !restarted
            && self.job_runs()
            && let Some(step) = self.checkpoint_since(requirements.at, Some(CHECKPOINT_FRESH), Need::BestEffort)?
        {
            return Ok(step);
        }
        let deadline = requirements.at + self.policy.slots_deadline();
        if self.now > deadline { Err(Failure::NotRunning) } else { Ok(Step::Wait(Waiting::Job)) }
    }

    /// A change that asked for no other width has restarted nothing, and has nothing to prove.
    fn proof_if_restarted(&self, running: Timestamp) -> Result<Option<Step>, Failure> {
        if self.change.requirements.is_some() { self.proof(running) } else { Ok(None) }
    }

    /// The job runs narrower and has proven it: stop the TaskManagers that are left without work.
    fn stop_the_idle(&self, running: Timestamp) -> Result<Step, Failure> {
        let surplus = self.surplus();
        if surplus == 0 {
            return self.check_the_stopped();
        }
        if self.change.replicas_set.is_some() {
            return Err(Failure::Contested);
        }
        if self.now > running + self.policy.slots_deadline() {
            return Err(Failure::IdleNotStopped);
        }
        if let Some(wait) = self.not_to_be_narrowed_now() {
            return Ok(wait);
        }
        let (Some(idle), Some(members)) = (&self.change.idle, &self.pool.members) else {
            return Ok(Step::Wait(Waiting::Idle));
        };
        if self.now < idle.since + SEEN_IDLE {
            return Ok(Step::Wait(Waiting::Idle));
        }
        // Members that are wanted and not there go before any that is named.
        let missing =
            self.pool.replicas.0.saturating_sub(u32::try_from(members.len()).unwrap_or(u32::MAX)).min(surplus);
        let stop: Vec<_> = idle.members.iter().take((surplus - missing) as usize).cloned().collect();
        if stop.is_empty() && missing == 0 {
            // The subtasks are spread over all of them: removing any would restart the job.
            return self.check_the_stopped();
        }
        if self.pool.choice == Choice::ByMark && !stop.is_empty() {
            let is_marked = |id: &String| members.iter().any(|member| member.id == *id && member.marked);
            let unmarked: Vec<_> = stop.iter().filter(|id| !is_marked(id)).cloned().collect();
            if !unmarked.is_empty() {
                return Ok(Step::MarkIdle { members: unmarked });
            }
            if self.change.chosen.is_some_and(|chosen| self.now < chosen + MARK_KNOWN) {
                return Ok(Step::Wait(Waiting::Idle));
            }
        }
        let fewer = missing + u32::try_from(stop.len()).unwrap_or(u32::MAX);
        Ok(Step::SetReplicas { replicas: TaskManagers(self.pool.replicas.0.saturating_sub(fewer)), stop })
    }

    /// How many TaskManagers are too many for the change's target and for what is wanted by now.
    fn surplus(&self) -> u32 {
        let needed = wanted_by_streams(self.now, self.seen, self.policy).map_or(TaskManagers(0), |demand| {
            Wanted::new(demand.parallelism, self.policy, self.job.max_parallelism, None).width.task_managers
        });
        self.pool.replicas.0.saturating_sub(needed.max(self.change.to.task_managers).0)
    }

    /// Nothing more is to be stopped: see that those that were chosen have gone, and no others.
    fn check_the_stopped(&self) -> Result<Step, Failure> {
        if self.change.stopped.is_empty() {
            return Ok(Step::End(Outcome::Done));
        }
        let Some(members) = &self.pool.members else {
            return self.wait_for(Waiting::Removal);
        };
        let there = |id: &&String| members.iter().any(|member| member.id == **id);
        let left: Vec<_> = self.change.stopped.iter().filter(there).cloned().collect();
        let asked_to_go = self.pool.replicas < self.change.from.task_managers;
        if left.is_empty() || !asked_to_go {
            return Ok(Step::End(Outcome::Done));
        }
        let since = self.change.chosen.unwrap_or(self.change.started);
        let surplus_is_gone = members.len() <= self.pool.replicas.0 as usize;
        if !surplus_is_gone && self.now <= since + self.policy.slots_deadline() {
            return Ok(Step::Wait(Waiting::Removal));
        }
        Err(Failure::WrongTaskManagersStopped { left })
    }

    /// Waits, but not for ever.
    fn wait_for(&self, what: Waiting) -> Result<Step, Failure> {
        let overdue = self.now > self.change.target_since + self.policy.slots_deadline() * 2;
        if overdue { Err(Failure::NotRunning) } else { Ok(Step::Wait(what)) }
    }
}
