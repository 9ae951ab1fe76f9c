//! Flink's replies, of each only what is needed, and what they mean in the core's words.

mod checkpoints;
mod widths;

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, de::IgnoredAny};
use sluice_core::{FlinkVersion, Job, JobState, Parallelism, Registered, Slots};

pub(super) use self::{
    checkpoints::{CheckpointStatistics, Trigger, TriggerSavepoint, Triggered},
    widths::{Requirements, Rescales, TaskManagersOfVertex},
};
use super::{failure_cause, freshness::Run};

/// The max parallelism of a job that does not tell it: nothing that is known bounds it.
pub(super) const UNBOUNDED: Parallelism = Parallelism(u32::MAX);

/// Body of every answer that is no success.
#[derive(Debug, Deserialize)]
pub(super) struct Errors {
    errors: Vec<String>,
}

impl Errors {
    /// The line that says most: the first is often no more than "Internal server error."
    pub(super) fn message(&self) -> String {
        let mut meaningful = self.errors.iter().map(|error| failure_cause::summary(error));
        meaningful.next_back().unwrap_or_default()
    }

    /// Says that a job or an operation is unknown, or that the job takes no checkpoints; not that
    /// the path is.
    pub(super) fn name_a_missing_entity(&self) -> bool {
        self.errors.iter().any(|error| {
            let first = error.lines().next().unwrap_or_default();
            first.contains("NotFoundException")
                || first.contains("There is no checkpoint operation")
                || first.contains("Operation not found")
                || first.contains("Checkpointing was not enabled")
        })
    }
}

/// `GET /config`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Config {
    pub flink_version: String,
    /// Milliseconds.
    #[serde(default)]
    refresh_interval: Option<u64>,
}

impl Config {
    /// For as long as this, Flink repeats an answer about a job.
    pub(super) fn cached_for(&self) -> Duration {
        Duration::from_millis(self.refresh_interval.unwrap_or(3_000))
    }

    /// Major and minor; what follows, as in `2.3-SNAPSHOT`, does not count.
    pub(super) fn version(&self) -> Option<FlinkVersion> {
        let mut parts = self.flink_version.split(['.', '-']).map(str::parse);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Some(FlinkVersion(major, minor)),
            _ => None,
        }
    }
}

/// `GET /jobs/overview`. It is not cached, unlike the details of a job.
#[derive(Debug, Deserialize)]
pub(super) struct Jobs {
    jobs: Vec<Overview>,
}

/// One job of the overview.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Overview {
    pub jid: String,
    #[serde(deserialize_with = "job_state")]
    pub state: JobState,
    name: String,
    start_time: i64,
    /// When a subtask last changed its state.
    pub last_modification: i64,
    #[serde(rename = "schedulerType")]
    scheduler_type: Option<String>,
    tasks: AllTasks,
}

#[derive(Debug, Deserialize)]
struct AllTasks {
    total: u64,
    running: u64,
    #[serde(default)]
    finished: u64,
}

impl Jobs {
    /// The jobs that are not over, or the newest if all are.
    pub(super) fn current(&self) -> Vec<&Overview> {
        let current: Vec<_> = self.jobs.iter().filter(|job| !job.state.is_over()).collect();
        if current.is_empty() {
            self.jobs.iter().max_by_key(|job| job.start_time).into_iter().collect()
        } else {
            current
        }
    }
}

impl Overview {
    pub(super) fn runs_without_adaptive_scheduler(&self) -> bool {
        self.scheduler_type.as_ref().is_some_and(|scheduler| !scheduler.eq_ignore_ascii_case("adaptive"))
    }
}

/// `GET /jobs/:id`, which Flink caches for `web.refresh-interval`.
#[derive(Debug, Deserialize)]
pub(super) struct Details {
    now: i64,
    timestamps: Timestamps,
    vertices: Vec<Vertex>,
    #[serde(default)]
    plan: Plan,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Timestamps {
    #[serde(default)]
    running: i64,
    /// Shown only while the job restarts: the graph that comes after is a new one.
    #[serde(default)]
    cancelling: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vertex {
    id: String,
    parallelism: i64,
    max_parallelism: i64,
    tasks: Tasks,
    /// Not told by every version.
    slot_sharing_group_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Tasks {
    #[serde(default)]
    running: i64,
    #[serde(default)]
    finished: i64,
}

#[derive(Debug, Default, Deserialize)]
struct Plan {
    #[serde(default)]
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    #[serde(default)]
    inputs: Vec<IgnoredAny>,
}

impl Vertex {
    fn in_the_core(&self) -> sluice_core::Vertex {
        let max_parallelism = Some(count(self.max_parallelism)).filter(|bound| *bound > 0);
        sluice_core::Vertex {
            id: self.id.clone(),
            parallelism: Parallelism(count(self.parallelism)),
            max_parallelism: max_parallelism.map_or(UNBOUNDED, Parallelism),
            bounds: None,
        }
    }

    /// A subtask that has read its bounded input to the end counts: it has nothing left to do.
    fn is_at_work(&self) -> bool {
        self.tasks.running.saturating_add(self.tasks.finished) == self.parallelism
    }
}

impl Details {
    /// The job, without its checkpoints and pending records.
    pub(super) fn job(&self, overview: &Overview) -> Job {
        let vertices: Vec<_> = self.vertices.iter().map(Vertex::in_the_core).collect();
        let counted = || sluice_core::Vertex::that_count(&vertices);
        let widest = counted().map(|vertex| vertex.parallelism).max().unwrap_or_default();
        let bound = counted().map(|vertex| vertex.max_parallelism).filter(|bound| *bound != UNBOUNDED).max();
        let running_since = moment(self.timestamps.running);
        let subtasks: u64 = vertices.iter().map(|vertex| u64::from(vertex.parallelism.0)).sum();
        // The overview is of now, the details may be some seconds old: a restart in between shows
        // in the numbers that differ.
        let agree = subtasks == overview.tasks.total;
        let at_work = overview.tasks.running.saturating_add(overview.tasks.finished) == overview.tasks.total;
        Job {
            id: overview.jid.clone(),
            name: overview.name.clone(),
            state: overview.state,
            running_since,
            stopped: moment(self.timestamps.cancelling),
            whole_since: moment(overview.last_modification).filter(|_| at_work),
            // Before slots are found the vertices show what they would like to have, or nothing.
            parallelism: if running_since.is_some() { widest } else { Parallelism(0) },
            max_parallelism: bound.unwrap_or(UNBOUNDED),
            all_subtasks_run: overview.state == JobState::Running
                && agree
                && at_work
                && !self.vertices.is_empty()
                && self.vertices.iter().all(Vertex::is_at_work),
            vertices,
            slot_sharing_groups: self.slot_sharing_groups(),
            busy: None,
            rescale: None,
            checkpoints: None,
            pending_records: None,
            records_per_second: None,
        }
    }

    /// 1 where Flink does not tell.
    fn slot_sharing_groups(&self) -> u32 {
        let groups: HashSet<_> = self.vertices.iter().map(|vertex| &vertex.slot_sharing_group_id).collect();
        u32::try_from(groups.len().max(1)).unwrap_or(u32::MAX)
    }

    /// What tells this run of the job from the next.
    pub(super) fn run(&self) -> Run {
        let running = self.vertices.iter().map(|vertex| vertex.tasks.running).collect();
        Run { since: moment(self.timestamps.running), running }
    }

    /// How long the job has been running, by Flink's own clock.
    pub(super) fn running_for(&self) -> Option<Duration> {
        moment(self.timestamps.running)?;
        u64::try_from(self.now.saturating_sub(self.timestamps.running)).ok().map(Duration::from_millis)
    }

    /// The vertices that read from outside and have not reached the end of it.
    pub(super) fn reading_sources(&self) -> impl Iterator<Item = &str> {
        let reads = |id: &str| self.vertices.iter().any(|vertex| vertex.id == id && vertex.tasks.running > 0);
        self.plan
            .nodes
            .iter()
            .filter(move |node| node.inputs.is_empty() && reads(&node.id))
            .map(|node| node.id.as_str())
    }
}

/// `GET /taskmanagers`.
#[derive(Debug, Deserialize)]
pub(super) struct TaskManagers {
    taskmanagers: Vec<TaskManager>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskManager {
    id: String,
    slots_number: i64,
}

impl TaskManagers {
    pub(super) fn registered(self) -> Vec<Registered> {
        let registered = |t: TaskManager| Registered { id: t.id, slots: Slots(count(t.slots_number)) };
        self.taskmanagers.into_iter().map(registered).collect()
    }
}

/// One metric of `GET …/subtasks/metrics`: without a query only names, with one the aggregates.
#[derive(Debug, Deserialize)]
pub(super) struct Metric {
    pub id: String,
    pub sum: Option<f64>,
}

/// Flink writes -1 where it has no number.
fn count(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

/// Milliseconds since the epoch; 0 and -1 stand for never.
fn moment(milliseconds: i64) -> Option<Timestamp> {
    if milliseconds > 0 { Timestamp::from_millisecond(milliseconds).ok() } else { None }
}

/// A state that a later Flink adds must not make the whole answer unreadable.
fn job_state<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<JobState, D::Error> {
    use serde::de::{IntoDeserializer, value::StrDeserializer};
    let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
    let known: StrDeserializer<serde::de::value::Error> = name.as_ref().into_deserializer();
    Ok(JobState::deserialize(known).unwrap_or(JobState::Unknown))
}
