//! What happens by itself: TaskManagers come and go, Flink restarts the job, checkpoints complete.

use super::{World, count};
use crate::{FlinkVersion, Scheduler};

/// From 2.0 on Flink rescales without a checkpoint after so many intervals.
const MAX_DELAY: u64 = 3;

impl World {
    /// Lets time pass.
    pub fn advance(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second += 1;
            self.tick();
        }
    }

    pub(super) fn registered(&self) -> impl Iterator<Item = u64> {
        let leaving = self.leaving.iter().filter(|(_, at)| self.second < *at).map(|(tm, _)| tm);
        let here = self.pool.iter().chain(leaving).filter(|tm| tm.registers <= self.second);
        here.take(self.faults.capacity.unwrap_or(u32::MAX) as usize).map(|tm| tm.number)
    }

    fn tick(&mut self) {
        let registered: Vec<_> = self.registered().collect();
        let slots = count(registered.len()).saturating_mul(self.slots);
        if slots != self.last_slots {
            (self.last_slots, self.slots_changed) = (slots, self.second);
            self.leaving.retain(|(_, at)| self.second < *at);
        }
        let target = match self.scheduler {
            Scheduler::Adaptive => slots.min(self.upper_bound),
            _ => slots,
        };
        let target = target.min(self.max_parallelism);
        let lost = self.busy.iter().any(|busy| !registered.contains(busy));
        if lost || (target != self.parallelism && self.may_rescale(target)) {
            self.stop_the_job();
            self.parallelism = target;
        }
        if target == self.parallelism {
            (self.rescale_since, self.released) = (None, false);
        }
        if self.restart_until.is_some_and(|until| until <= self.second) && slots > 0 {
            self.restart_until = None;
            self.parallelism = target;
            self.assignments += 1;
            let arbitrary = registered.iter().cycle().skip(self.assignments);
            self.busy = arbitrary.take(target.div_ceil(self.slots) as usize).copied().collect();
            self.running_since = Some(self.second);
            self.next_checkpoint = self.second + self.pace.checkpoint_interval;
        }
        if self.running_since.is_some() && self.next_checkpoint <= self.second && !self.faults.checkpoints_fail {
            self.complete_checkpoint(self.second);
            self.next_checkpoint = self.second + self.pace.checkpoint_interval;
        }
        let due = self.operations.values().filter(|(due, works)| *due == self.second && *works).count();
        for _ in 0..due {
            self.complete_checkpoint(self.second - self.pace.checkpoint);
        }
    }

    fn may_rescale(&mut self, target: u32) -> bool {
        if self.version < FlinkVersion(2, 0) || self.running_since.is_none() || target == 0 {
            return true;
        }
        let since = *self.rescale_since.get_or_insert(self.second);
        self.released || self.second > since + MAX_DELAY * self.pace.checkpoint_interval
    }

    pub(super) fn stop_the_job(&mut self) {
        if self.parallelism > 0 && self.restart_until.is_none() {
            self.restarts += 1;
            self.replayed.push(self.second - self.last_checkpoint.map_or(0, |c| c.1));
            self.restored_from = self.last_checkpoint;
            self.stopped = Some(self.second);
        }
        self.busy.clear();
        self.running_since = None;
        self.restart_until = Some(self.second + self.pace.restart);
        (self.rescale_since, self.released) = (None, false);
    }

    fn complete_checkpoint(&mut self, triggered: u64) {
        let id = self.last_checkpoint.map_or(1, |c| c.0 + 1);
        self.last_checkpoint = Some((id, triggered));
        // Requirements that ask for what is there need not wait for the slots to be stable.
        let stable =
            self.scheduler == Scheduler::Adaptive || self.second >= self.slots_changed + self.pace.stabilization;
        self.released |= self.rescale_since.is_some() && stable;
    }
}
