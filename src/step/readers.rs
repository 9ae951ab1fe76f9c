//! Without Flink: whoever runs reads, and members of a reader group share the segments among
//! themselves. Their owner is asked for another number, and that is all.

use super::{Step, View, Waiting};
use crate::{
    change::Direction,
    outcome::{Failure, Outcome},
};

impl View<'_> {
    pub(super) fn readers(&self) -> Result<Step, Failure> {
        let to = self.change.to.task_managers;
        if self.pool.replicas != to {
            self.may_set_replicas(self.change.target_since)?;
            let stop = if self.change.direction == Direction::Down { self.newest() } else { Vec::new() };
            return Ok(Step::SetReplicas { replicas: to, stop });
        }
        if self.change.running.is_some() {
            return Ok(Step::End(Outcome::Done));
        }
        let set = self.change.replicas_set.unwrap_or(self.change.started);
        if self.now <= set + self.policy.slots_deadline() {
            return Ok(Step::Wait(Waiting::TaskManagers));
        }
        let came = self.flink.registered();
        if came < to { Ok(Step::End(Outcome::Limited { task_managers: came })) } else { Err(Failure::NotRunning) }
    }
}
