//! What is seen of Flink.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Pool;
use crate::units::{Parallelism, Slots, TaskManagers};

/// What Flink's REST API says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flink {
    /// The version of the cluster.
    pub version: FlinkVersion,
    /// How the JobManager gives slots to the job.
    pub scheduler: Scheduler,
    /// The jobs on the cluster that have not ended, or the last one if all have.
    pub jobs: Vec<Job>,
    /// The TaskManagers that are registered at the JobManager.
    pub task_managers: Vec<Registered>,
}

impl Flink {
    /// The one job of the cluster; `None` if there is none yet or more than one.
    #[must_use]
    pub fn job(&self) -> Option<&Job> {
        match self.jobs.as_slice() {
            [job] => Some(job),
            _ => None,
        }
    }

    /// How many TaskManagers are registered.
    #[must_use]
    pub fn registered(&self) -> TaskManagers {
        TaskManagers(u32::try_from(self.task_managers.len()).unwrap_or(u32::MAX))
    }

    /// The slots of those that are there to stay: one on its way out is registered for a while yet.
    #[must_use]
    pub fn lasting_slots(&self, pool: &Pool) -> Slots {
        let stays = |id: &str| pool.members.as_ref().is_none_or(|members| members.iter().any(|member| member.id == id));
        Slots(self.task_managers.iter().filter(|registered| stays(&registered.id)).map(|t| t.slots.0).sum())
    }

    /// How many of them run no subtask of the job; `None` if that is not known.
    #[must_use]
    pub fn idle(&self) -> Option<TaskManagers> {
        let busy = u32::try_from(self.busy()?.len()).unwrap_or(u32::MAX);
        Some(TaskManagers(self.registered().0.saturating_sub(busy)))
    }

    /// The registered TaskManagers that run a subtask; `None` if that is not known.
    #[must_use]
    pub fn busy(&self) -> Option<Vec<&str>> {
        let job = self.job()?;
        if job.parallelism.0 >= self.slots().0 {
            return Some(self.task_managers.iter().map(|registered| registered.id.as_str()).collect());
        }
        Some(job.busy.as_ref()?.iter().map(String::as_str).collect())
    }

    /// All slots of the registered TaskManagers, used or not.
    #[must_use]
    pub fn slots(&self) -> Slots {
        Slots(self.task_managers.iter().map(|t| t.slots.0).sum())
    }
}

/// Major and minor version of Flink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FlinkVersion(pub u32, pub u32);

impl FlinkVersion {
    /// Whether `POST /jobs/:id/checkpoints` exists (FLINK-27101, from 1.17 on).
    #[must_use]
    pub fn has_rest_checkpoints(self) -> bool {
        self >= Self(1, 17)
    }

    /// Whether `PUT /jobs/:id/resource-requirements` exists (FLIP-291, from 1.18 on).
    #[must_use]
    pub fn has_resource_requirements(self) -> bool {
        self >= Self(1, 18)
    }

    /// Whether `/jobs/:id/rescales` exists (from 2.3 on).
    #[must_use]
    pub fn tells_its_rescales(self) -> bool {
        self >= Self(2, 3)
    }

    /// Whether a job under the adaptive scheduler waits for a completed checkpoint before it
    /// rescales (FLIP-461, from 2.0 on), instead of restarting at once.
    #[must_use]
    pub fn rescales_on_checkpoints(self) -> bool {
        self >= Self(2, 0)
    }
}

impl fmt::Display for FlinkVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Who decides the job's parallelism inside Flink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheduler {
    /// `scheduler-mode: reactive`: the job takes every slot there is, by itself.
    Reactive,
    /// `jobmanager.scheduler: adaptive`: the job takes what its resource requirements say.
    Adaptive,
    /// Any other: the parallelism is fixed when the job starts.
    Fixed,
    /// There is no Flink (`--no-flink`).
    NoFlink,
}

/// One Flink job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The job id, 32 hexadecimal digits.
    pub id: String,
    /// The job's name.
    pub name: String,
    /// Where it is in its life.
    pub state: JobState,
    /// When it last came to be `RUNNING`.
    pub running_since: Option<Timestamp>,
    /// When it last stopped running in order to restart.
    pub stopped: Option<Timestamp>,
    /// Since when all its subtasks run, while they do. A restart that is over lasted from `stopped` to
    /// here.
    pub whole_since: Option<Timestamp>,
    /// The widest data-parallel vertex. Vertices that can only ever run as one subtask do not count.
    pub parallelism: Parallelism,
    /// The most of the data-parallel vertices' max parallelism: wider than this, slots stay empty. A
    /// vertex with less is held back by Flink itself.
    pub max_parallelism: Parallelism,
    /// Every subtask of every vertex runs.
    pub all_subtasks_run: bool,
    /// The operators, chained together as Flink runs them; empty where nobody asks for widths.
    pub vertices: Vec<Vertex>,
    /// Each of them takes slots of its own; 1 unless the job says otherwise.
    pub slot_sharing_groups: u32,
    /// The TaskManagers that run at least one subtask, by `taskmanager.resource-id`, out of an answer
    /// that agrees with `parallelism`. `None` if that was not asked or not answered so.
    pub busy: Option<Vec<String>>,
    /// The last rescale that Flink completed, if it keeps account.
    pub rescale: Option<Rescale>,
    /// Checkpoints, if the job takes any and they could be read.
    pub checkpoints: Option<Checkpoints>,
    /// Records that the source has not read yet (FLIP-33 `pendingRecords`); `None` if unknown.
    pub pending_records: Option<u64>,
    /// Records that the source reads in a second, as Flink's meter says; `None` if unknown.
    pub records_per_second: Option<u64>,
}

impl Job {
    /// How wide the job may become by its resource requirements: the most of the data-parallel
    /// vertices' upper bounds. `None` if they are not all known.
    #[must_use]
    pub fn upper_bound(&self) -> Option<Parallelism> {
        let bounds: Option<Vec<_>> =
            Vertex::that_count(&self.vertices).map(|vertex| Some(vertex.bounds?.upper)).collect();
        bounds?.into_iter().max()
    }

    /// The resource requirements of a job that is to be `parallelism` wide: no vertex above its own
    /// max parallelism, no lower bound raised, and vertices that are not data-parallel as they are.
    #[must_use]
    pub fn bounds_for(&self, parallelism: Parallelism) -> BTreeMap<String, Bounds> {
        let bounds = |vertex: &Vertex| {
            let bounds = vertex.bounds.unwrap_or(Bounds { lower: Parallelism(1), upper: vertex.parallelism });
            if !vertex.is_data_parallel() {
                return bounds;
            }
            let upper = parallelism.min(vertex.max_parallelism).max(Parallelism(1));
            Bounds { lower: bounds.lower.min(upper), upper }
        };
        self.vertices.iter().map(|vertex| (vertex.id.clone(), bounds(vertex))).collect()
    }
}

/// One vertex of the job graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vertex {
    /// Flink's id for it, 32 hexadecimal digits.
    pub id: String,
    /// The subtasks that it runs as.
    pub parallelism: Parallelism,
    /// The most subtasks that it can ever run as.
    pub max_parallelism: Parallelism,
    /// What its resource requirements say, if they are known.
    pub bounds: Option<Bounds>,
}

impl Vertex {
    /// Those that make the width of a job: the data-parallel ones, or all if none is.
    pub fn that_count(vertices: &[Self]) -> impl Iterator<Item = &Self> {
        let any_data_parallel = vertices.iter().any(Self::is_data_parallel);
        vertices.iter().filter(move |vertex| vertex.is_data_parallel() || !any_data_parallel)
    }

    /// Can run as more than one subtask.
    #[must_use]
    pub fn is_data_parallel(&self) -> bool {
        self.max_parallelism != Parallelism(1)
    }
}

/// The parallelism that a vertex may have (`JobResourceRequirements`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// With fewer slots than this the job does not start. Sluice never raises it.
    pub lower: Parallelism,
    /// More slots than this are left idle.
    pub upper: Parallelism,
}

/// Flink's `JobStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum JobState {
    Initializing,
    Created,
    Running,
    Failing,
    Failed,
    Cancelling,
    Canceled,
    Finished,
    Restarting,
    Suspended,
    Reconciling,
    /// A state that this version of Sluice does not know.
    Unknown,
}

impl JobState {
    /// The job has ended, or is about to, and takes no more TaskManagers.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Failed | Self::Cancelling | Self::Canceled | Self::Finished | Self::Suspended)
    }

    /// The name that Flink gives the state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Failing => "FAILING",
            Self::Failed => "FAILED",
            Self::Cancelling => "CANCELLING",
            Self::Canceled => "CANCELED",
            Self::Finished => "FINISHED",
            Self::Restarting => "RESTARTING",
            Self::Suspended => "SUSPENDED",
            Self::Reconciling => "RECONCILING",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// A job's checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoints {
    /// The newest one that completed. Savepoints do not count: they are not restored from after a
    /// failure.
    pub last_completed: Option<Checkpoint>,
    /// How often the job went back to a checkpoint since it was submitted.
    pub restored: u64,
    /// The one that it went back to last.
    pub restored_from: Option<Checkpoint>,
}

/// How Flink rescaled the job last, by its own account (`/jobs/:id/rescales`, from 2.3 on).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rescale {
    /// When it began: with the request, or with the slots that came.
    pub started: Timestamp,
    /// When the job had its new slots.
    pub ended: Timestamp,
}

/// A completed checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Flink's number for it.
    pub id: u64,
    /// When Flink triggered it.
    pub triggered_at: Timestamp,
}

impl Job {
    /// The job runs, whole, on all of these slots or as wide as it can ever be: what reactive mode
    /// makes of the slots it has.
    #[must_use]
    pub fn runs_on(&self, slots: Slots) -> bool {
        self.state == JobState::Running
            && self.all_subtasks_run
            && self.parallelism == Parallelism(slots.0).min(self.max_parallelism)
    }

    /// The job runs, whole, at this parallelism or as wide as it can ever be.
    #[must_use]
    pub fn runs_at(&self, parallelism: Parallelism) -> bool {
        self.runs_on(Slots(parallelism.0))
    }
}

/// A TaskManager as the JobManager knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// `taskmanager.resource-id`.
    pub id: String,
    /// Its slots, used or not.
    pub slots: Slots,
}
