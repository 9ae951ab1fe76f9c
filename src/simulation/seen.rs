//! What an agent sees of the world: as old as the real answers are, and with their gaps.

use super::{World, at, count, id};
use crate::{
    Bounds, Checkpoint, Checkpoints, Flink, Job, JobState, Member, Memory, Observation, Operation, Parallelism, Pool,
    Reading, Registered, Scheduler, Segments, Slots, Stream, StreamName, StreamShape, TaskManagers, Vertex,
};

impl World {
    /// One look. What is away now is seen as it was last time.
    pub fn observe(&mut self, memory: &Memory) -> Observation {
        let now = self.now();
        if !self.faults.controller_away {
            let shape = StreamShape { segments: Segments(self.segments), epoch: None };
            self.last_shape = Some(Reading { at: now, value: shape });
        }
        self.ask_flink();
        if !self.faults.flink_away {
            let job = self.cached_job.as_ref().map(|(_, job)| job.clone()).filter(|_| !self.faults.job_gone);
            let flink = Flink {
                version: self.version,
                scheduler: self.scheduler,
                jobs: job.into_iter().collect(),
                task_managers: self.registered().map(|n| Registered { id: id(n), slots: Slots(self.slots) }).collect(),
            };
            self.last_flink = Some(Reading { at: now, value: flink });
        }
        if !self.faults.pool_away {
            self.last_pool = Some(Reading { at: now, value: self.seen_pool() });
            self.names_known = true;
        }
        Observation {
            streams: vec![Stream {
                name: StreamName { scope: "dna".into(), stream: "reads".into() },
                shape: self.last_shape.clone(),
            }],
            flink: self.last_flink.clone(),
            pool: self.last_pool.clone(),
            checkpoint: self.seen_checkpoint(memory),
            savepoint: self.seen_savepoint(memory),
            ..Observation::default()
        }
    }

    /// Flink's cache of the job is filled again by the first request after it has expired. An agent that
    /// leaves out a look, where the real one would have asked, calls this.
    pub fn ask_flink(&mut self) {
        let fresh = self.cached_job.as_ref().is_some_and(|(at, _)| self.second < at + self.pace.rest_cache);
        if !fresh {
            self.cached_job = Some((self.second, self.job()));
        }
    }

    fn seen_pool(&self) -> Pool {
        let members = self.pool.iter().map(|tm| Member {
            id: if self.faults.other_ids { format!("pod-{}", tm.id()) } else { tm.id() },
            started_at: at(tm.started),
            ready: true,
            marked: tm.marked,
        });
        Pool {
            replicas: TaskManagers(self.replicas()),
            ready: TaskManagers(self.replicas()),
            members: self.names_known.then(|| members.collect()),
            choice: self.choice,
            replacing: false,
            other_autoscaler: None,
            ..Pool::default()
        }
    }

    fn seen_checkpoint(&self, memory: &Memory) -> Option<Operation> {
        let change = memory.change.as_ref().filter(|_| !self.faults.flink_away)?;
        let asked = change.asked?;
        Some(match self.operations.get(&change.trigger_id(asked.attempt)) {
            None => Operation::NotTriggered,
            Some((due, _)) if *due > self.second => Operation::InProgress,
            Some((_, true)) => Operation::Completed { checkpoint: self.last_checkpoint.map_or(0, |c| c.0) },
            Some((_, false)) => Operation::Failed { cause: "simulated".into() },
        })
    }

    fn seen_savepoint(&self, memory: &Memory) -> Option<Operation> {
        let change = memory.change.as_ref().filter(|change| change.awaits_savepoint() && !self.faults.flink_away)?;
        Some(match self.operations.get(&change.savepoint_trigger_id()) {
            None => Operation::NotTriggered,
            Some((due, _)) if *due > self.second => Operation::InProgress,
            Some(_) if self.faults.savepoints_fail => Operation::Failed { cause: "simulated".into() },
            Some(_) => Operation::Stored { location: "file:/savepoint-1".into() },
        })
    }

    fn job(&self) -> Job {
        let mut job = self.job_of_flink();
        if self.scheduler == Scheduler::NoFlink {
            // Whatever runs reads; there is nothing else to know.
            job.parallelism = Parallelism(count(self.registered().count()));
            (job.state, job.all_subtasks_run) = (JobState::Running, true);
            (job.checkpoints, job.pending_records, job.busy) = (None, None, None);
            job.vertices.clear();
        }
        job
    }

    fn job_of_flink(&self) -> Job {
        let state = match (self.running_since, self.parallelism) {
            (Some(_), _) => JobState::Running,
            (None, 0) => JobState::Created,
            (None, _) => JobState::Restarting,
        };
        let most = self.max_parallelism;
        Job {
            id: self.job_id.clone(),
            name: "busy-reader".into(),
            state,
            running_since: self.running_since.map(at),
            stopped: self.stopped.map(at),
            whole_since: self.running_since.map(at),
            parallelism: Parallelism(self.parallelism),
            max_parallelism: Parallelism(most),
            all_subtasks_run: self.running_since.is_some(),
            vertices: vec![vertex("source", self.parallelism, most, self.upper_bound), vertex("count", 1, 1, 1)],
            slot_sharing_groups: 1,
            // As the client asks: only where one may be idle.
            busy: (self.running_since.is_some() && self.parallelism < self.last_slots)
                .then(|| self.busy.iter().map(|number| id(*number)).collect()),
            rescale: None,
            checkpoints: Some(Checkpoints {
                last_completed: self.last_checkpoint.map(|(id, s)| Checkpoint { id, triggered_at: at(s) }),
                restored: self.restarts,
                restored_from: self.restored_from.map(|(id, s)| Checkpoint { id, triggered_at: at(s) }),
            }),
            pending_records: self.pending,
            records_per_second: None,
        }
    }
}

fn vertex(id: &str, parallelism: u32, max_parallelism: u32, upper: u32) -> Vertex {
    Vertex {
        id: id.into(),
        parallelism: Parallelism(parallelism),
        max_parallelism: Parallelism(max_parallelism),
        bounds: Some(Bounds { lower: Parallelism(1), upper: Parallelism(upper) }),
    }
}
