//! A world in which time is a number: a stream, a Flink cluster and a pool of TaskManagers, as
//! measured on the real ones. The closed-loop tests and `sluice simulate` let the core run in it.
//!
//! Flink before 2.0 restarts a job at once when slots come or its requirements change, so once for
//! each TaskManager that arrives apart in reactive mode; from 2.0 on it waits until the slots have
//! been stable for a while and a checkpoint completes. A TaskManager that goes restarts the job if a
//! subtask ran on it. REST answers are up to 3 s old; checkpoints complete or fail later.
//!
//! [`World::observe`] is what an agent sees (`seen`), [`World::act`] what its steps do (`act`), and
//! between them [`World::advance`] lets time pass (`flink`).

mod act;
mod flink;
mod seen;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{Choice, Flink, FlinkVersion, Job, Pool, Reading, Scheduler, StreamShape};

/// How long the world's things take, in seconds.
#[derive(Clone, Debug)]
pub struct Pace {
    /// From a TaskManager's start to its registration; the n-th of a batch takes `apart` longer.
    pub start: u64,
    /// See `start`.
    pub apart: u64,
    /// How long the job does not run when it is restarted.
    pub restart: u64,
    /// How long a checkpoint takes.
    pub checkpoint: u64,
    /// Time between two periodic checkpoints.
    pub checkpoint_interval: u64,
    /// Flink's `web.refresh-interval`.
    pub rest_cache: u64,
    /// From 2.0 on: how long the slots must not have changed.
    pub stabilization: u64,
    /// How long a TaskManager that was stopped stays registered.
    pub leave: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            start: 8,
            apart: 0,
            restart: 2,
            checkpoint: 1,
            checkpoint_interval: 30,
            rest_cache: 3,
            stabilization: 1,
            leave: 0,
        }
    }
}

/// What is broken at the moment.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each fault is on or off by itself")]
pub struct Faults {
    /// The controller does not answer.
    pub controller_away: bool,
    /// Flink's REST API does not answer.
    pub flink_away: bool,
    /// The owner of the TaskManagers does not answer.
    pub pool_away: bool,
    /// No checkpoint completes.
    pub checkpoints_fail: bool,
    /// No savepoint completes.
    pub savepoints_fail: bool,
    /// There is no job.
    pub job_gone: bool,
    /// The owner stops whichever it likes.
    pub ignores_marks: bool,
    /// `taskmanager.resource-id` was left to Flink.
    pub other_ids: bool,
    /// Flink takes no resource requirements.
    pub requirements_refused: bool,
    /// TaskManagers beyond this number never come.
    pub capacity: Option<u32>,
}

/// What a world begins with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Open segments of the stream.
    pub segments: u32,
    /// TaskManagers that run; the job starts as wide as their slots.
    pub task_managers: u32,
    /// Slots of each TaskManager.
    pub slots: u32,
    /// The version of Flink.
    pub version: FlinkVersion,
    /// How slots are given to the job.
    pub scheduler: Scheduler,
    /// The job's max parallelism.
    pub max_parallelism: u32,
    /// How long things take.
    pub pace: Pace,
}

#[derive(Clone, Debug)]
struct TaskManager {
    number: u64,
    started: u64,
    registers: u64,
    marked: bool,
}

impl TaskManager {
    fn id(&self) -> String {
        id(self.number)
    }
}

fn id(number: u64) -> String {
    format!("tm-{number}")
}

/// The world.
#[derive(Clone, Debug)]
pub struct World {
    /// What the clock says, in seconds since the epoch.
    pub second: u64,
    /// Open segments of the stream.
    pub segments: u32,
    /// How long things take.
    pub pace: Pace,
    /// What is broken.
    pub faults: Faults,
    /// The version of Flink.
    pub version: FlinkVersion,
    /// How slots are given to the job.
    pub scheduler: Scheduler,
    /// How the owner of the TaskManagers is told which to stop.
    pub choice: Choice,
    /// Records that wait at the source, if that is known.
    pub pending: Option<u64>,
    /// How often the job was restarted.
    pub restarts: u64,
    /// Checkpoints that were asked for over REST.
    pub checkpoints_triggered: u64,
    /// Savepoints that were asked for over REST.
    pub savepoints_triggered: u64,
    /// How often resource requirements were set.
    pub requirements_set: u64,
    /// Seconds between a restart and the last completed checkpoint before it.
    pub replayed: Vec<u64>,
    slots: u32,
    max_parallelism: u32,
    pool: Vec<TaskManager>,
    leaving: Vec<(TaskManager, u64)>,
    /// Not at the first look of an agent.
    names_known: bool,
    started_ever: u64,
    job_id: String,
    upper_bound: u32,
    parallelism: u32,
    /// The TaskManagers that hold a subtask.
    busy: Vec<u64>,
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

impl World {
    /// Flink 1.20 in reactive mode.
    #[must_use]
    pub fn new(segments: u32, task_managers: u32) -> Self {
        Self::with(segments, task_managers, FlinkVersion(1, 20), Scheduler::Reactive)
    }

    /// A job on TaskManagers of one slot, in the pace of the tests.
    #[must_use]
    pub fn with(segments: u32, task_managers: u32, version: FlinkVersion, scheduler: Scheduler) -> Self {
        let pace = Pace::default();
        Self::start(Setup { segments, task_managers, slots: 1, version, scheduler, max_parallelism: 128, pace })
    }

    /// A job that starts as wide as there are slots, and has run for a while.
    #[must_use]
    pub fn start(setup: Setup) -> Self {
        let Setup { segments, task_managers, slots, version, scheduler, max_parallelism, pace } = setup;
        let a_while = 60 + pace.start + pace.restart + pace.apart * u64::from(task_managers);
        let mut world = Self {
            second: 1_000_000,
            segments,
            pace,
            faults: Faults::default(),
            version,
            scheduler,
            slots,
            max_parallelism,
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
            upper_bound: task_managers.saturating_mul(slots).max(1),
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
        world.advance(a_while);
        world.restarts = 0;
        world.replayed.clear();
        world
    }

    /// What the clock says.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        at(self.second)
    }

    /// How many TaskManagers are asked for.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        count(self.pool.len())
    }

    /// How wide the job is, or will be when it runs again.
    #[must_use]
    pub fn parallelism(&self) -> u32 {
        self.parallelism
    }

    /// Whether the job runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running_since.is_some()
    }

    /// The upper bound of the job's parallelism.
    #[must_use]
    pub fn upper_bound(&self) -> u32 {
        self.upper_bound
    }

    /// How many TaskManagers are marked to be stopped first.
    #[must_use]
    pub fn marked(&self) -> usize {
        self.pool.iter().filter(|tm| tm.marked).count()
    }

    /// A TaskManager dies, and its owner starts another.
    pub fn kill(&mut self, n: usize) {
        if !self.pool.is_empty() {
            let n = n % self.pool.len();
            self.started_ever += 1;
            self.pool[n] = TaskManager {
                number: self.started_ever,
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

    /// A JobManager without HA comes back: a new job that knows nothing.
    pub fn replace_job(&mut self) {
        self.job_id = format!("{:032x}", self.second);
        self.upper_bound = 1;
        self.last_checkpoint = None;
        self.operations.clear();
        self.cached_job = None;
    }

    /// The JobManager goes away and comes back: with high availability it carries the job on, without
    /// there is a new one that knows nothing. The TaskManagers register again, one after the other.
    pub fn kill_job_manager(&mut self, away: u64, high_availability: bool) {
        self.stop_the_job();
        self.restart_until = Some(self.second + away + self.pace.restart);
        let mut registers = self.second + away + self.pace.restart;
        for tm in self.pool.iter_mut().filter(|tm| tm.registers <= self.second) {
            registers += 2;
            tm.registers = registers;
        }
        if !high_availability {
            self.replace_job();
        }
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
}

fn at(second: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(second)
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
