//! OBSERVE, second half, and the one thing that is asked of Flink: its REST API.
//!
//! One look is few and small requests, because it is taken twice a second: what changes only with a
//! new JobManager (version, scheduler) is asked once, pending records every few seconds. Everything
//! that depends on the shape of Flink's replies is in this folder.

mod error;
mod exchange;
mod failure_cause;
mod freshness;
mod pending;
mod replies;
mod settings;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sluice_core::{Bounds, Flink, FlinkVersion, Job, Operation, Parallelism, Rescale, Scheduler, Vertex};
use tokio::time::Instant;

pub use self::{
    error::{ConfigError, FlinkError},
    settings::Settings,
};
use self::{exchange::Rest, freshness::Freshness, pending::Pending, replies::Overview};

/// How to reach Flink.
#[derive(Clone, Debug)]
pub struct FlinkOptions {
    /// The JobManager's REST address, `http://host:port` or `https://host:port`, with a path if a proxy
    /// stands before it.
    pub url: String,
    /// What an encrypted connection is made with.
    pub tls: Option<FlinkTls>,
    /// The longest that one request may take. A look waits for several in a row.
    pub timeout: Duration,
}

/// The files of an encrypted connection to Flink, all in PEM form and read again when they change.
#[derive(Clone, Debug)]
pub struct FlinkTls {
    /// The certificates that sign Flink's own.
    pub ca: PathBuf,
    /// The agent's certificate and key, for `security.ssl.rest.authentication-enabled`.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that Flink's certificate bears, where it is not the host of the URL.
    pub server_name: Option<String>,
}

/// The REST API of one Flink cluster.
#[derive(Debug)]
pub struct Client {
    rest: Rest,
    learned: Mutex<Learned>,
}

/// What holds for as long as the JobManager lives.
#[derive(Clone, Copy, Debug)]
struct Cluster {
    version: FlinkVersion,
    scheduler: Scheduler,
    /// For as long as this, Flink repeats an answer about a job.
    cached_for: Duration,
}

/// What need not be asked at every look.
#[derive(Debug, Default)]
struct Learned {
    /// Holds until a look fails: the JobManager may be another one afterwards.
    cluster: Option<Cluster>,
    /// By job id.
    jobs: HashMap<String, LearnedOfJob>,
}

#[derive(Debug, Default)]
struct LearnedOfJob {
    freshness: Freshness,
    /// While a job waits for slots some versions do not tell it.
    max_parallelism: Option<Parallelism>,
    /// Seen in passing, while the job restarted.
    stopped: Option<Timestamp>,
    pending: Pending,
}

impl Client {
    /// Checks the options. Connects to nothing yet.
    pub fn new(options: &FlinkOptions) -> Result<Self, ConfigError> {
        Ok(Self { rest: Rest::new(options)?, learned: Mutex::default() })
    }

    /// One look at the cluster: all of it, or an error. While a change is in flight also what tells
    /// how it goes.
    pub async fn observe(&self, change_in_flight: bool) -> Result<Flink, FlinkError> {
        let looked = self.look(change_in_flight).await;
        if looked.is_err() {
            self.learned(|learned| learned.cluster = None);
        }
        looked
    }

    async fn look(&self, change_in_flight: bool) -> Result<Flink, FlinkError> {
        let (cluster, overview, task_managers) = tokio::try_join!(
            self.cluster(),
            self.rest.get::<replies::Jobs>(&["jobs", "overview"]),
            self.rest.get::<replies::TaskManagers>(&["taskmanagers"]),
        )?;
        let Cluster { version, mut scheduler, cached_for } = cluster;
        let current = overview.current();
        // From 2.x on the overview says what each job really runs under, which for a batch job is
        // not what the configuration says.
        if current.iter().any(|job| job.runs_without_adaptive_scheduler()) {
            scheduler = Scheduler::Fixed;
        }
        self.learned(|learned| learned.jobs.retain(|id, _| current.iter().any(|job| job.jid == *id)));
        let mut jobs = Vec::with_capacity(current.len());
        for job in current {
            jobs.extend(self.job(job, cached_for).await?);
        }
        let mut flink = Flink { version, scheduler, jobs, task_managers: task_managers.registered() };
        if scheduler == Scheduler::Adaptive && version.has_resource_requirements() {
            self.widths(&mut flink).await?;
        }
        if change_in_flight && version.tells_its_rescales() {
            for job in &mut flink.jobs {
                job.rescale = self.rescale(&job.id).await;
            }
        }
        Ok(flink)
    }

    /// What may be asked of the job, and which TaskManagers it leaves idle where there can be any.
    async fn widths(&self, flink: &mut Flink) -> Result<(), FlinkError> {
        let slots = flink.slots().0;
        for job in &mut flink.jobs {
            let (requirements, busy) = tokio::try_join!(
                self.find_of_job::<replies::Requirements>(&job.id, "resource-requirements"),
                self.busy(job, slots)
            )?;
            if let Some(requirements) = requirements {
                requirements.tell(&mut job.vertices);
            }
            job.busy = busy;
        }
        Ok(())
    }

    /// The TaskManagers that run a subtask; `None` unless every answer agrees with the details, and
    /// where none of so many slots can be idle.
    async fn busy(&self, job: &Job, slots: u32) -> Result<Option<Vec<String>>, FlinkError> {
        if !job.all_subtasks_run || job.parallelism.0 >= slots {
            return Ok(None);
        }
        let of_vertex = async |vertex: &Vertex| {
            let path = ["jobs", &job.id, "vertices", &vertex.id, "taskmanagers"];
            let placed = self.rest.find::<replies::TaskManagersOfVertex>(&path).await?;
            Ok::<_, FlinkError>(placed.and_then(|placed| placed.busy(vertex.parallelism)))
        };
        let all = try_join_all(job.vertices.iter().map(of_vertex)).await?;
        let Some(all) = all.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
        let mut busy = all.concat();
        busy.sort_unstable();
        busy.dedup();
        Ok(Some(busy))
    }

    /// Worth less than the rest of a look, so nothing that goes wrong here fails it.
    async fn rescale(&self, job: &str) -> Option<Rescale> {
        let rescales = self.rest.find::<replies::Rescales>(&["jobs", job, "rescales", "overview"]).await;
        rescales.ok().flatten().and_then(|rescales| rescales.last())
    }

    async fn cluster(&self) -> Result<Cluster, FlinkError> {
        if let Some(known) = self.learned(|learned| learned.cluster) {
            return Ok(known);
        }
        let (config, settings) = tokio::try_join!(self.rest.get::<replies::Config>(&["config"]), self.settings())?;
        let version = config.version().ok_or_else(|| {
            self.rest.bad_answer("config", &format!("the version `{}` cannot be read", config.flink_version))
        })?;
        let known = Cluster { version, scheduler: settings.scheduler(), cached_for: config.cached_for() };
        self.learned(|learned| learned.cluster = Some(known));
        Ok(known)
    }

    /// The JobManager's configuration, as far as it was given and not left to defaults. Flink blots
    /// out secrets by itself.
    pub async fn settings(&self) -> Result<Settings, FlinkError> {
        self.rest.get(&["jobmanager", "config"]).await
    }

    /// One job in full; `None` if it went away between two requests.
    async fn job(&self, overview: &Overview, cached_for: Duration) -> Result<Option<Job>, FlinkError> {
        let path = ["jobs", &overview.jid];
        let (details, statistics) = tokio::try_join!(
            self.rest.find::<replies::Details>(&path),
            self.find_of_job::<replies::CheckpointStatistics>(&overview.jid, "checkpoints")
        )?;
        let Some(details) = details else { return Ok(None) };
        let now = Instant::now();
        let mut job = details.job(overview);
        self.learned(|learned| {
            let known = learned.jobs.entry(job.id.clone()).or_default();
            job.all_subtasks_run &=
                known.freshness.confirms(overview.last_modification, &details.run(), cached_for, now);
            if job.max_parallelism == replies::UNBOUNDED {
                job.max_parallelism = known.max_parallelism.unwrap_or(job.max_parallelism);
            } else {
                known.max_parallelism = Some(job.max_parallelism);
            }
            if job.stopped.is_some() {
                known.stopped = job.stopped;
            }
            // One that was too short to be seen began before the checkpoint was restored.
            let restored_at = statistics.as_ref().and_then(replies::CheckpointStatistics::restored_at);
            job.stopped = known.stopped.filter(|stopped| restored_at.is_none_or(|at| was_for(*stopped, at)));
            job.stopped = job.stopped.or(restored_at);
        });
        let has_settled = job.all_subtasks_run && details.running_for().is_some_and(|running| running > cached_for);
        job.checkpoints = statistics.and_then(|statistics| statistics.checkpoints(has_settled));
        (job.pending_records, job.records_per_second) = self.waiting_and_read(&job, &details, now).await;
        Ok(Some(job))
    }

    /// What a job that is starting, or that takes no checkpoints, answers with an error: no reason to know
    /// nothing else.
    async fn find_of_job<T: DeserializeOwned>(&self, job: &str, what: &str) -> Result<Option<T>, FlinkError> {
        match self.rest.find(&["jobs", job, what]).await {
            Err(FlinkError::Status { status: 500, .. }) => Ok(None),
            outcome => outcome,
        }
    }

    /// Records that wait at the source, and those that it reads in a second. Worth less than the rest of a
    /// look, so nothing that goes wrong here fails it.
    async fn waiting_and_read(
        &self,
        job: &Job,
        details: &replies::Details,
        now: Instant,
    ) -> (Option<u64>, Option<u64>) {
        let known = |pending: Option<Pending>| {
            self.learned(|learned| {
                let known = learned.jobs.entry(job.id.clone()).or_default();
                known.pending = pending.unwrap_or_else(|| known.pending.clone());
                known.pending.clone()
            })
        };
        if !pending::has_settled(job, details) {
            known(Some(Pending::default()));
            return (None, None);
        }
        let mut pending = known(None);
        if pending.is_due(job, now) {
            pending = known(Some(pending.read(&self.rest, job, details, now).await));
        }
        (pending.records(), pending.rate())
    }

    /// Asks for other resource requirements: all vertices of the job must be in it.
    pub async fn set_requirements(&self, job: &str, bounds: &BTreeMap<String, Bounds>) -> Result<(), FlinkError> {
        self.rest.put(&["jobs", job, "resource-requirements"], &replies::Requirements::from(bounds)).await
    }

    /// Asks for a savepoint, into Flink's own folder for them if none is given. As with a checkpoint,
    /// a repeated `trigger_id` starts nothing new.
    pub async fn trigger_savepoint(&self, job: &str, trigger_id: &str, into: Option<&str>) -> Result<(), FlinkError> {
        let body = replies::TriggerSavepoint { trigger_id, cancel_job: false, target_directory: into };
        self.rest.post(&["jobs", job, "savepoints"], &body).await
    }

    /// How the savepoint that was asked for stands.
    pub async fn savepoint(&self, job: &str, trigger_id: &str) -> Result<Operation, FlinkError> {
        self.operation(&["jobs", job, "savepoints", trigger_id]).await
    }

    /// Asks for a checkpoint. `trigger_id` is 32 hexadecimal digits; a repeated one starts nothing
    /// new. That this returns says nothing about the checkpoint: ask [`Self::checkpoint`].
    pub async fn trigger_checkpoint(&self, job: &str, trigger_id: &str) -> Result<(), FlinkError> {
        self.rest.post(&["jobs", job, "checkpoints"], &replies::Trigger { trigger_id }).await
    }

    /// How the checkpoint that was asked for stands.
    pub async fn checkpoint(&self, job: &str, trigger_id: &str) -> Result<Operation, FlinkError> {
        self.operation(&["jobs", job, "checkpoints", trigger_id]).await
    }

    async fn operation(&self, path: &[&str]) -> Result<Operation, FlinkError> {
        let Some(reply) = self.rest.find::<replies::Triggered>(path).await? else {
            return Ok(Operation::NotTriggered);
        };
        reply.operation().ok_or_else(|| {
            self.rest.bad_answer(&path.join("/"), "it is complete, with neither a result nor a cause of failure")
        })
    }

    fn learned<T>(&self, with: impl FnOnce(&mut Learned) -> T) -> T {
        with(&mut self.learned.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether a stop that was seen led to the restore at `restored_at`, and not to an earlier one.
fn was_for(stopped: Timestamp, restored_at: Timestamp) -> bool {
    const LONGEST: Duration = Duration::from_mins(2);
    stopped <= restored_at && restored_at <= stopped + LONGEST
}
