//! A world in which time is a number: a stream, a Flink cluster and a pool of TaskManagers, as
//! measured on the real ones.
//!
//! Flink before 2.0 restarts a job at once when slots come or its requirements change, so once for
//! each TaskManager that arrives apart in reactive mode; from 2.0 on it waits until the slots have
//! been stable for a while and a checkpoint completes. A TaskManager that goes restarts the job if a
//! subtask ran on it. REST answers are up to 3 s old; checkpoints complete or fail later.

#![allow(dead_code, reason = "each test uses the part of the world that it needs")]

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use sluice_core::{
    Bounds, Checkpoint, Checkpoints, Choice, Flink, FlinkVersion, Job, JobState, Member, Memory, Observation,
    Operation, Parallelism, Policy, PolicyOptions, Pool, Reading, Registered, Scheduler, Segments, Slots, Step, Stream,
    StreamName, StreamShape, TaskManagers, Turn, Vertex, invariants, turn,
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
    /// From 2.0 on: how long the slots must not have changed.
    pub stabilization: u64,
    /// How long a TaskManager that was stopped stays registered.
    pub leave: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { start: 8, apart: 0, restart: 2, checkpoint: 1, rest_cache: 3, stabilization: 1, leave: 0 }
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
    pub savepoints_fail: bool,
    pub job_gone: bool,
    /// The owner stops whichever it likes.
    pub ignores_marks: bool,
    /// `taskmanager.resource-id` was left to Flink.
    pub other_ids: bool,
    pub requirements_refused: bool,
    /// TaskManagers beyond this number never come.
    pub capacity: Option<u32>,
}

#[derive(Clone, Debug)]
struct TaskManager {
    id: String,
    started: u64,
    registers: u64,
    marked: bool,
}

#[derive(Clone, Debug)]
pub struct World {
    pub second: u64,
    pub segments: u32,
    pub pace: Pace,
    pub faults: Faults,
    pub version: FlinkVersion,
    pub scheduler: Scheduler,
    pub choice: Choice,
    pub pending: Option<u64>,
    pub restarts: u64,
    pub checkpoints_triggered: u64,
    pub savepoints_triggered: u64,
    pub requirements_set: u64,
    /// Seconds between a restart and the last completed checkpoint before it.
    pub replayed: Vec<u64>,
    pool: Vec<TaskManager>,
    leaving: Vec<(TaskManager, u64)>,
    /// Not at the first look of an agent.
    names_known: bool,
    started_ever: u64,
    job_id: String,
    upper_bound: u32,
    parallelism: u32,
    /// The TaskManagers that hold a subtask.
    busy: Vec<String>,
    /// Turns with each start: which slots Flink takes is arbitrary.
    assignments: usize,
    running_since: Option<u64>,
    stopped: Option<u64>,
    restart_until: Option<u64>,
    /// From 2.0 on: since when another width could be had, and whether a checkpoint has released it.
    rescale_since: Option<u64>,
    released: bool,
    slots_changed: u64,
    last_slots: u32,
    last_checkpoint: Option<(u64, u64)>,
    restored_from: Option<(u64, u64)>,
    next_checkpoint: u64,
    operations: BTreeMap<String, (u64, bool)>,
    cached_job: Option<(u64, Job)>,
    last_shape: Option<Reading<StreamShape>>,
    last_flink: Option<Reading<Flink>>,
    last_pool: Option<Reading<Pool>>,
}

const PERIODIC_CHECKPOINT: u64 = 30;

/// From 2.0 on Flink rescales without a checkpoint after three intervals.
const MAX_DELAY: u64 = 3 * PERIODIC_CHECKPOINT;

impl World {
    /// Flink 1.20 in reactive mode.
    pub fn new(segments: u32, task_managers: u32) -> Self {
        Self::with(segments, task_managers, FlinkVersion(1, 20), Scheduler::Reactive)
    }

    /// A job that starts as wide as there are TaskManagers.
    pub fn with(segments: u32, task_managers: u32, version: FlinkVersion, scheduler: Scheduler) -> Self {
        let mut world = Self {
            second: 1_000_000,
            segments,
            pace: Pace::default(),
            faults: Faults::default(),
            version,
            scheduler,
            choice: Choice::ByName,
            pending: Some(0),
            restarts: 0,
            checkpoints_triggered: 0,
            savepoints_triggered: 0,
            requirements_set: 0,
            replayed: Vec::new(),
            pool: Vec::new(),
            leaving: Vec::new(),
            names_known: true,
            started_ever: 0,
            job_id: "a".repeat(32),
            upper_bound: task_managers.max(1),
            parallelism: 0,
            busy: Vec::new(),
            assignments: 0,
            running_since: None,
            stopped: None,
            restart_until: None,
            rescale_since: None,
            released: false,
            slots_changed: 0,
            last_slots: 0,
            last_checkpoint: None,
            restored_from: None,
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

    pub fn upper_bound(&self) -> u32 {
        self.upper_bound
    }

    /// A TaskManager dies, and its owner starts another.
    pub fn kill(&mut self, n: usize) {
        if !self.pool.is_empty() {
            let n = n % self.pool.len();
            self.started_ever += 1;
            self.pool[n] = TaskManager {
                id: format!("tm-{}", self.started_ever),
                started: self.second,
                registers: self.second + self.pace.start,
                marked: false,
            };
        }
    }

    /// An agent that has just started has not asked for the names yet.
    pub fn forget_names(&mut self) {
        self.names_known = false;
    }

    pub fn marked(&self) -> usize {
        self.pool.iter().filter(|tm| tm.marked).count()
    }

    /// A JobManager without HA comes back: a new job that knows nothing.
    pub fn replace_job(&mut self) {
        self.job_id = format!("{:032x}", self.second);
        self.upper_bound = 1;
        self.last_checkpoint = None;
        self.operations.clear();
        self.cached_job = None;
    }

    /// Somebody sends Flink other requirements.
    pub fn set_requirements(&mut self, upper_bound: u32) {
        self.upper_bound = upper_bound;
        self.requirements_set += 1;
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
        match self.choice {
            Choice::ByMark if !self.faults.ignores_marks => self.pool.sort_by_key(|tm| tm.marked),
            Choice::ByName => self.pool.sort_by_key(|tm| stop.contains(&tm.id)),
            Choice::ByMark => {}
        }
        let gone = self.pool.split_off(self.pool.len().min(replicas as usize));
        self.leaving.extend(gone.into_iter().map(|tm| (tm, self.second + self.pace.leave)));
        let mut position = 0;
        while self.pool.len() < replicas as usize {
            self.started_ever += 1;
            let registers = self.second + self.pace.start + position * self.pace.apart;
            let id = format!("tm-{}", self.started_ever);
            self.pool.push(TaskManager { id, started: self.second, registers, marked: false });
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
        let leaving = self.leaving.iter().filter(|(_, at)| self.second < *at).map(|(tm, _)| tm);
        let here = self.pool.iter().chain(leaving).filter(|tm| tm.registers <= self.second);
        here.take(self.faults.capacity.unwrap_or(u32::MAX) as usize).collect()
    }

    fn tick(&mut self) {
        let registered: Vec<_> = self.registered().iter().map(|tm| tm.id.clone()).collect();
        let slots = u32::try_from(registered.len()).unwrap();
        if slots != self.last_slots {
            (self.last_slots, self.slots_changed) = (slots, self.second);
        }
        let target = match self.scheduler {
            Scheduler::Adaptive => slots.min(self.upper_bound),
            _ => slots,
        };
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
            self.busy = arbitrary.take(target as usize).cloned().collect();
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

    fn may_rescale(&mut self, target: u32) -> bool {
        if self.version < FlinkVersion(2, 0) || self.running_since.is_none() || target == 0 {
            return true;
        }
        let since = *self.rescale_since.get_or_insert(self.second);
        self.released || self.second > since + MAX_DELAY
    }

    fn stop_the_job(&mut self) {
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
                scheduler: self.scheduler,
                jobs: job.into_iter().collect(),
                task_managers,
            };
            self.last_flink = Some(Reading { at: now, value: flink });
        }
        if !self.faults.pool_away {
            let member = |tm: &TaskManager| Member {
                id: if self.faults.other_ids { format!("pod-{}", tm.id) } else { tm.id.clone() },
                started_at: at(tm.started),
                ready: true,
                marked: tm.marked,
            };
            let members = self.pool.iter().map(member);
            let pool = Pool {
                replicas: TaskManagers(self.replicas()),
                ready: TaskManagers(self.replicas()),
                members: Some(members.collect()).filter(|_| self.names_known),
                choice: self.choice,
                replacing: false,
                other_autoscaler: None,
            };
            self.last_pool = Some(Reading { at: now, value: pool });
            self.names_known = true;
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
        let savepoint = memory.change.as_ref().filter(|change| change.awaits_savepoint() && !self.faults.flink_away);
        let savepoint = savepoint.map(|change| match self.operations.get(&change.savepoint_trigger_id()) {
            None => Operation::NotTriggered,
            Some((due, _)) if *due > self.second => Operation::InProgress,
            Some(_) if self.faults.savepoints_fail => Operation::Failed { cause: "simulated".into() },
            Some(_) => Operation::Stored { location: "file:/savepoint-1".into() },
        });
        Observation {
            streams: vec![Stream {
                name: StreamName { scope: "dna".into(), stream: "reads".into() },
                shape: self.last_shape.clone(),
            }],
            flink: self.last_flink.clone(),
            pool: self.last_pool.clone(),
            checkpoint,
            savepoint,
            ..Observation::default()
        }
    }

    fn job(&self) -> Job {
        let mut job = self.job_of_flink();
        if self.scheduler == Scheduler::NoFlink {
            // Whatever runs reads; there is nothing else to know.
            job.parallelism = Parallelism(u32::try_from(self.registered().len()).unwrap());
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
        Job {
            id: self.job_id.clone(),
            name: "busy-reader".into(),
            state,
            running_since: self.running_since.map(at),
            stopped: self.stopped.map(at),
            whole_since: self.running_since.map(at),
            parallelism: Parallelism(self.parallelism),
            max_parallelism: Parallelism(128),
            all_subtasks_run: self.running_since.is_some(),
            vertices: vec![vertex("source", self.parallelism, 128, self.upper_bound), vertex("count", 1, 1, 1)],
            slot_sharing_groups: 1,
            // As the client asks: only where one may be idle.
            busy: Some(self.busy.clone())
                .filter(|_| self.running_since.is_some() && self.parallelism < self.last_slots),
            rescale: None,
            checkpoints: Some(Checkpoints {
                last_completed: self.last_checkpoint.map(|(id, s)| Checkpoint { id, triggered_at: at(s) }),
                restored: self.restarts,
                restored_from: self.restored_from.map(|(id, s)| Checkpoint { id, triggered_at: at(s) }),
            }),
            pending_records: self.pending,
        }
    }

    fn mark(&mut self, members: &[String], marked: bool) {
        for tm in self.pool.iter_mut().filter(|tm| members.contains(&tm.id)) {
            tm.marked = marked;
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
            Step::TriggerSavepoint if !self.faults.flink_away => {
                let change = memory.change.as_ref().unwrap();
                self.savepoints_triggered += 1;
                // Not a checkpoint: it completes without being one to go back to.
                self.operations.entry(change.savepoint_trigger_id()).or_insert((self.second + 1, false));
            }
            Step::SetRequirements { bounds, .. } if !self.faults.flink_away && !self.faults.requirements_refused => {
                assert_eq!(bounds["count"], Bounds { lower: Parallelism(1), upper: Parallelism(1) });
                self.set_requirements(bounds["source"].upper.0);
            }
            Step::MarkIdle { members } if !self.faults.pool_away => self.mark(members, true),
            Step::Unmark { members } if !self.faults.pool_away => self.mark(members, false),
            Step::SetReplicas { replicas, stop } if !self.faults.pool_away => self.set_replicas(replicas.0, stop),
            _ => {}
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
        if let (Some(step), Some(change)) = (&turn.step, &self.memory.change)
            && let Err(broken) = invariants::check_step(&seen, change, step)
        {
            panic!("{broken}: {step:?} at {}\n{seen:#?}\n{change:#?}", world.now());
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
