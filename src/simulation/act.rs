//! What an agent's steps, and other people, do to the world. What is away takes nothing.

use super::{TaskManager, World};
use crate::{Choice, Memory, Step};

impl World {
    /// Carries out one step of the change that `memory` holds.
    pub fn act(&mut self, step: &Step, memory: &Memory) {
        let Some(change) = &memory.change else { return };
        match step {
            Step::TriggerCheckpoint { attempt, .. } if !self.faults.flink_away => {
                let works = self.running_since.is_some() && !self.faults.checkpoints_fail;
                let due = self.second + self.pace.checkpoint;
                let known = self.operations.contains_key(&change.trigger_id(*attempt));
                self.checkpoints_triggered += u64::from(!known);
                self.operations.entry(change.trigger_id(*attempt)).or_insert((due, works));
            }
            Step::TriggerSavepoint if !self.faults.flink_away => {
                self.savepoints_triggered += 1;
                // Not a checkpoint: it completes without being one to go back to.
                self.operations.entry(change.savepoint_trigger_id()).or_insert((self.second + 1, false));
            }
            Step::SetRequirements { bounds, .. } if !self.faults.flink_away && !self.faults.requirements_refused => {
                if let Some(source) = bounds.get("source") {
                    self.set_requirements(source.upper.0);
                }
            }
            Step::MarkIdle { members } if !self.faults.pool_away => self.mark(members, true),
            Step::Unmark { members } if !self.faults.pool_away => self.mark(members, false),
            Step::SetReplicas { replicas, stop } if !self.faults.pool_away => self.set_replicas(replicas.0, stop),
            _ => {}
        }
    }

    /// Somebody sends Flink other requirements.
    pub fn set_requirements(&mut self, upper_bound: u32) {
        self.upper_bound = upper_bound;
        self.requirements_set += 1;
    }

    /// Somebody asks for so many TaskManagers, and names those that are to stop first.
    pub fn set_replicas(&mut self, replicas: u32, stop: &[String]) {
        match self.choice {
            Choice::ByMark if !self.faults.ignores_marks => self.pool.sort_by_key(|tm| tm.marked),
            Choice::ByName => self.pool.sort_by_key(|tm| stop.contains(&tm.id())),
            Choice::ByMark => {}
        }
        let gone = self.pool.split_off(self.pool.len().min(replicas as usize));
        self.leaving.extend(gone.into_iter().map(|tm| (tm, self.second + self.pace.leave)));
        let mut position = 0;
        while self.pool.len() < replicas as usize {
            self.started_ever += 1;
            let registers = self.second + self.pace.start + position * self.pace.apart;
            let number = self.started_ever;
            self.pool.push(TaskManager { number, started: self.second, registers, marked: false });
            position += 1;
        }
    }

    fn mark(&mut self, members: &[String], marked: bool) {
        for tm in self.pool.iter_mut().filter(|tm| members.contains(&tm.id())) {
            tm.marked = marked;
        }
    }
}
