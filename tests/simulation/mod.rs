//! A world in which time is a number: a stream, a Flink cluster in reactive mode and a pool of
//! TaskManagers, as measured on the real ones (1.20: a restart for each TaskManager that arrives
//! apart, REST answers up to 3 s old, checkpoints that complete or fail later).

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use sluice_core::{
    Checkpoint, Checkpoints, Flink, FlinkVersion, Job, JobState, Member, Memory, Observation, Operation, Parallelism,
    Policy, PolicyOptions, Pool, Reading, Registered, Scheduler, Segments, Slots, Step, Stream, StreamName,
    StreamShape, TaskManagers, Turn, invariants, turn,
};

/// How long the world's things take, in seconds.
#[derive(Clone, Debug)]
pub struct Pace {
    /// From a TaskManager's start to its registration; the n-th of a batch takes `apart` longer.
    pub start: u64,
    pub apart: u64,
    pub restart: u64,
    pub checkpoint: u64,
    /// Flink's `web.refresh-interval`.
    pub rest_cache: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { start: 8, apart: 0, restart: 2, checkpoint: 1, rest_cache: 3 }
    }
}

/// What is broken at the moment.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each fault is on or off by itself")]
pub struct Faults {
    pub controller_away: bool,
    pub flink_away: bool,
    pub pool_away: bool,
    pub checkpoints_fail: bool,
    pub job_gone: bool,
    /// TaskManagers beyond this number never come.
    pub capacity: Option<u32>,
}

#[derive(Clone, Debug)]
struct TaskManager {
    id: String,
    started: u64,
    registers: u64,
}

#[derive(Clone, Debug)]
pub struct World {
    pub second: u64,
    pub segments: u32,
    pub pace: Pace,
    pub faults: Faults,
    pub version: FlinkVersion,
    pub pending: Option<u64>,
    pub restarts: u64,
    pub checkpoints_triggered: u64,
    /// Seconds between a restart and the last completed checkpoint before it.
    pub replayed: Vec<u64>,
    pool: Vec<TaskManager>,
    started_ever: u64,
    job_id: String,
    parallelism: u32,
    running_since: Option<u64>,
    restart_until: Option<u64>,
    last_checkpoint: Option<(u64, u64)>,
    next_checkpoint: u64,
    operations: BTreeMap<String, (u64, bool)>,
    cached_job: Option<(u64, Job)>,
    last_shape: Option<Reading<StreamShape>>,
    last_flink: Option<Reading<Flink>>,
    last_pool: Option<Reading<Pool>>,
}

const PERIODIC_CHECKPOINT: u64 = 30;

impl World {
    pub fn new(segments: u32, task_managers: u32) -> Self {
        let mut world = Self {
            second: 1_000_000,
            segments,
            pace: Pace::default(),
            faults: Faults::default(),
            version: FlinkVersion(1, 20),
            pending: Some(0),
            restarts: 0,
            checkpoints_triggered: 0,
            replayed: Vec::new(),
            pool: Vec::new(),
            started_ever: 0,
            job_id: "a".repeat(32),
            parallelism: 0,
            running_since: None,
            restart_until: None,
            last_checkpoint: None,
            next_checkpoint: 0,
            operations: BTreeMap::new(),
            cached_job: None,
            last_shape: None,
            last_flink: None,
            last_pool: None,
        };
        world.set_replicas(task_managers, &[]);
        world.advance(60);
        world.restarts = 0;
        world.replayed.clear();
        world
    }

    pub fn now(&self) -> Timestamp {
        at(self.second)
    }

    pub fn replicas(&self) -> u32 {
        u32::try_from(self.pool.len()).unwrap()
    }

    pub fn parallelism(&self) -> u32 {
        self.parallelism
    }

    pub fn is_running(&self) -> bool {
        self.running_since.is_some()
    }

    /// A JobManager without HA comes back: a new job that knows nothing.
    pub fn replace_job(&mut self) {
        self.job_id = format!("{:032x}", self.second);
        self.last_checkpoint = None;
        self.operations.clear();
        self.cached_job = None;
    }

    /// After the clock was set back: what the world itself has planned goes on.
    pub fn settle_clock(&mut self) {
        for tm in &mut self.pool {
            (tm.started, tm.registers) = (self.second, self.second);
        }
        self.running_since = Some(self.second);
        self.next_checkpoint = self.second;
        self.last_checkpoint = None;
        self.cached_job = None;
    }

    pub fn set_replicas(&mut self, replicas: u32, stop: &[String]) {
        self.pool.retain(|tm| !stop.contains(&tm.id));
        self.pool.truncate(replicas as usize);
        let mut position = 0;
        while self.pool.len() < replicas as usize {
            self.started_ever += 1;
            let registers = self.second + self.pace.start + position * self.pace.apart;
            self.pool.push(TaskManager { id: format!("tm-{}", self.started_ever), started: self.second, registers });
            position += 1;
        }
    }

    pub fn advance(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second += 1;
            self.tick();
        }
    }

    fn registered(&self) -> Vec<&TaskManager> {
        let here = self.pool.iter().filter(|tm| tm.registers <= self.second);
        here.take(self.faults.capacity.unwrap_or(u32::MAX) as usize).collect()
    }

    fn tick(&mut self) {
        let slots = u32::try_from(self.registered().len()).unwrap();
        if slots != self.parallelism {
            if self.parallelism > 0 && self.restart_until.is_none() {
                self.restarts += 1;
                self.replayed.push(self.second - self.last_checkpoint.map_or(0, |c| c.1));
            }
            self.parallelism = slots;
            self.running_since = None;
            self.restart_until = Some(self.second + self.pace.restart);
        }
        if self.restart_until.is_some_and(|until| until <= self.second) && slots > 0 {
            self.restart_until = None;
            self.running_since = Some(self.second);
            self.next_checkpoint = self.second + PERIODIC_CHECKPOINT;
        }
        if self.running_since.is_some() && self.next_checkpoint <= self.second && !self.faults.checkpoints_fail {
            self.complete_checkpoint(self.second);
            self.next_checkpoint = self.second + PERIODIC_CHECKPOINT;
        }
        let due: Vec<_> = self.operations.values().filter(|op| op.0 == self.second && op.1).map(|op| op.0).collect();
        for _ in due {
            self.complete_checkpoint(self.second - self.pace.checkpoint);
        }
    }

    fn complete_checkpoint(&mut self, triggered: u64) {
        let id = self.last_checkpoint.map_or(1, |c| c.0 + 1);
        self.last_checkpoint = Some((id, triggered));
    }

    pub fn observe(&mut self, memory: &Memory) -> Observation {
        let now = self.now();
        if !self.faults.controller_away {
            let shape = StreamShape { segments: Segments(self.segments), epoch: 0 };
            self.last_shape = Some(Reading { at: now, value: shape });
        }
        let fresh = self.cached_job.as_ref().is_some_and(|(at, _)| self.second < at + self.pace.rest_cache);
        if !fresh {
            self.cached_job = Some((self.second, self.job()));
        }
        if !self.faults.flink_away {
            let job = self.cached_job.as_ref().map(|(_, job)| job.clone()).filter(|_| !self.faults.job_gone);
            let task_managers =
                self.registered().iter().map(|tm| Registered { id: tm.id.clone(), slots: Slots(1) }).collect();
            let flink = Flink {
                version: self.version,
                scheduler: Scheduler::Reactive,
                jobs: job.into_iter().collect(),
                task_managers,
            };
            self.last_flink = Some(Reading { at: now, value: flink });
        }
        if !self.faults.pool_away {
            let members = self.pool.iter().map(|tm| Member { id: tm.id.clone(), started_at: at(tm.started) });
            let pool = Pool {
                replicas: TaskManagers(self.replicas()),
                ready: TaskManagers(self.replicas()),
                members: members.collect(),
                other_autoscaler: None,
            };
            self.last_pool = Some(Reading { at: now, value: pool });
        }
        let asked = memory.change.as_ref().and_then(|change| Some((change, change.asked?)));
        let checkpoint = asked.filter(|_| !self.faults.flink_away).map(|(change, asked)| {
            match self.operations.get(&change.trigger_id(asked.attempt)) {
                None => Operation::NotTriggered,
                Some((due, _)) if *due > self.second => Operation::InProgress,
                Some((_, true)) => Operation::Completed { checkpoint: self.last_checkpoint.map_or(0, |c| c.0) },
                Some((_, false)) => Operation::Failed { cause: "simulated".into() },
            }
        });
        Observation {
            streams: vec![Stream {
                name: StreamName { scope: "dna".into(), stream: "reads".into() },
                shape: self.last_shape.clone(),
            }],
            flink: self.last_flink.clone(),
            pool: self.last_pool.clone(),
            checkpoint,
            ..Observation::default()
        }
    }

    fn job(&self) -> Job {
        let state = match (self.running_since, self.parallelism) {
            (Some(_), _) => JobState::Running,
            (None, 0) => JobState::Created,
            (None, _) => JobState::Restarting,
        };
        Job {
            id: self.job_id.clone(),
            name: "busy-reader".into(),
            state,
            running_since: self.running_since.map(at),
            parallelism: Parallelism(self.parallelism),
            max_parallelism: Parallelism(128),
            all_subtasks_run: self.running_since.is_some(),
            checkpoints: Some(Checkpoints {
                last_completed: self.last_checkpoint.map(|(id, s)| Checkpoint { id, triggered_at: at(s) }),
                restored: self.restarts,
            }),
            pending_records: self.pending,
        }
    }

    pub fn act(&mut self, step: &Step, memory: &Memory) {
        match step {
            Step::TriggerCheckpoint { attempt, .. } if !self.faults.flink_away => {
                let change = memory.change.as_ref().unwrap();
                let works = self.running_since.is_some() && !self.faults.checkpoints_fail;
                let due = self.second + self.pace.checkpoint;
                let known = self.operations.contains_key(&change.trigger_id(*attempt));
                self.checkpoints_triggered += u64::from(!known);
                self.operations.entry(change.trigger_id(*attempt)).or_insert((due, works));
            }
            Step::SetReplicas { replicas, stop } if !self.faults.pool_away => self.set_replicas(replicas.0, stop),
            _ => {}
        }
    }
}

fn at(second: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(second)
}

/// An agent whose clock is the world's, looking once a second.
pub struct Agent {
    pub memory: Memory,
    pub policy: Policy,
    pub turns: Vec<Turn>,
}

impl Agent {
    pub fn new(options: PolicyOptions) -> Self {
        Self { memory: Memory::default(), policy: options.try_into().unwrap(), turns: Vec::new() }
    }

    /// One look, one decision, one step, one second. Every decision is held against the invariants.
    pub fn look(&mut self, world: &mut World) -> Turn {
        let turn = self.decide(world);
        if let Some(step) = &turn.step {
            world.act(step, &self.memory);
        }
        world.advance(1);
        turn
    }

    /// All of a look but the step: what an agent that is killed at the worst moment leaves behind.
    pub fn decide(&mut self, world: &mut World) -> Turn {
        let seen = world.observe(&self.memory);
        let mut noted = self.memory.clone();
        noted.note(world.now(), &seen, &self.policy);
        let turn = turn(world.now(), &seen, &mut self.memory, &self.policy);
        if let Err(broken) = invariants::check(world.now(), &seen, &noted, &self.policy, &turn.decision) {
            panic!("{broken}: {} at {}\n{seen:#?}\n{noted:#?}", turn.decision, world.now());
        }
        self.turns.push(turn.clone());
        turn
    }

    pub fn run(&mut self, world: &mut World, seconds: u64) {
        for _ in 0..seconds {
            self.look(world);
        }
    }

    /// Killed and started again: only what was saved as JSON is left.
    pub fn restart(&mut self) {
        let saved = serde_json::to_string(&self.memory).unwrap();
        self.memory = serde_json::from_str(&saved).unwrap();
    }

    pub fn last_reason(&self) -> &'static str {
        self.turns.last().map_or("", |turn| turn.decision.reason())
    }
}
