//! Flink in application mode: a `JobManager` that runs one job, and `TaskManagers`, each a process of
//! its own in as little memory as works.
//!
//! The lab can start `TaskManagers` itself. In Sluice's process-pool target the agent starts them, with
//! the script that [`Flink::task_manager_script`] names.

mod builder;
mod class_archive;
mod conf;
mod distribution;
mod job;
mod rest_api;
mod script;
mod security;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

pub use builder::FlinkBuilder;
pub use conf::{Mode, TaskManagerMemory};
pub use job::{BusyReader, Job};
pub use rest_api::{Checkpoints, JobStatus, TaskManager};
pub use security::RestSecurity;

use crate::cache::{Cache, CacheError, FlinkVersion};
use crate::clock::Deadline;
use crate::ports::PortsError;
use crate::process::{Launch, Process, ProcessError};
use crate::progress::Progress;
use crate::run_dir::RunDir;
use crate::tools::{self, MissingTool};
use rest_api::RestApi;

/// How long processes may take to stop by themselves. Nothing is lost by not waiting longer: state is
/// in checkpoints.
const GRACE: Duration = Duration::from_secs(5);

/// Why Flink does not run, or not as it should.
#[derive(Debug, Error)]
pub enum FlinkError {
    /// Its jars cannot be had.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// No Java.
    #[error(transparent)]
    Tool(#[from] MissingTool),
    /// No port is free.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// One of its processes failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The jar of the job is not there.
    #[error("the job's jar {} is missing: build it with `make jobs`", path.display())]
    NoJar {
        /// Where it should be.
        path: PathBuf,
    },
    /// No job was given to run.
    #[error("no job is given: a JobManager in application mode runs exactly one")]
    NoJob,
    /// The REST API did not answer as expected.
    #[error("GET {path} of the JobManager failed: {why}")]
    Rest {
        /// The path.
        path: String,
        /// The status or the error.
        why: String,
    },
    /// Something did not come true in time.
    #[error("{what} did not happen within {limit:?}; last seen: {seen}")]
    Waited {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// What was there instead.
        seen: String,
    },
    /// The job has ended and will not come back.
    #[error("the job is {state}; the JobManager's log is {}", log.display())]
    JobEnded {
        /// Flink's word for it.
        state: String,
        /// Where to read why.
        log: PathBuf,
    },
}

/// A running Flink. Dropping it kills its processes; [`stop`](Self::stop) stops them.
#[derive(Debug)]
pub struct Flink {
    run: RunDir,
    launch: Launch,
    script: PathBuf,
    checkpoints: PathBuf,
    rest: RestApi,
    security: Option<RestSecurity>,
    ready_within: Duration,
    job_id: String,
    task_managers: BTreeMap<String, Process>,
    dismissed: Vec<Process>,
    job_manager: Option<Process>,
}

impl Flink {
    /// Begins to describe a Flink of the given version, for example `"1.20.5"`.
    #[must_use]
    pub fn builder(run: &RunDir, version: &str) -> FlinkBuilder {
        FlinkBuilder::new(run, version)
    }

    /// Brings everything that a Flink of this version needs into the cache, and starts nothing that stays.
    pub async fn fetch(cache: &Cache, version: FlinkVersion, progress: Progress) -> Result<(), FlinkError> {
        let java = tools::java()?;
        let home = cache.flink(version, progress).await?;
        class_archive::ensure(cache, &java, version, &home, progress).await?;
        Ok(())
    }

    /// Certificates for the REST API; `None` without [`FlinkBuilder::secure`].
    #[must_use]
    pub fn security(&self) -> Option<&RestSecurity> {
        self.security.as_ref()
    }

    /// The address of the REST API: `http://127.0.0.1:port`, or `https://localhost:port` with
    /// [`FlinkBuilder::secure`].
    #[must_use]
    pub fn rest_url(&self) -> &str {
        self.rest.url()
    }

    /// The id of the job. Without high availability it changes when the `JobManager` is started again.
    #[must_use]
    pub fn job_id(&self) -> &str {
        &self.job_id
    }

    /// The script that starts one `TaskManager` in the foreground. It takes the `TaskManager`'s id from
    /// `SLUICE_TASK_MANAGER_ID`, writes its output to `<run>/logs/<id>.log`, and leaves a pid file in
    /// the run folder, so that the lab stops what somebody else has started with it.
    #[must_use]
    pub fn task_manager_script(&self) -> &Path {
        &self.script
    }

    /// The folder of the checkpoints.
    #[must_use]
    pub fn checkpoint_folder(&self) -> &Path {
        &self.checkpoints
    }

    /// Starts a `TaskManager` and does not wait for it to register.
    pub fn start_task_manager(&mut self, id: &str) -> Result<(), FlinkError> {
        let launch = Launch::new("sh").arg(&self.script).env("SLUICE_TASK_MANAGER_ID", id);
        let process = Process::start(&self.run, id, &launch)?;
        self.task_managers.insert(id.to_owned(), process);
        Ok(())
    }

    /// Kills a `TaskManager` that the lab has started (SIGKILL). `false` if there is none of that id.
    pub fn kill_task_manager(&mut self, id: &str) -> bool {
        self.task_managers.remove(id).map(Process::kill).is_some()
    }

    /// Stops a `TaskManager` that the lab has started: it takes leave of the `JobManager`, which restarts
    /// the job at once if it had work. `false` if there is none of that id.
    pub async fn stop_task_manager(&mut self, id: &str) -> bool {
        match self.task_managers.remove(id) {
            Some(process) => {
                process.stop(GRACE).await;
                true
            }
            None => false,
        }
    }

    /// Asks several `TaskManagers` to stop at the same moment and does not wait, as whoever lowers the
    /// replicas of a Deployment does.
    pub fn dismiss_task_managers<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) {
        for id in ids {
            if let Some(mut process) = self.task_managers.remove(id) {
                process.ask_to_stop();
                self.dismissed.push(process);
            }
        }
    }

    /// Freezes the `JobManager`: its ports stay open and nothing answers. The `TaskManagers` give it up
    /// when their heartbeats time out.
    pub fn pause_job_manager(&mut self) {
        self.job_manager.iter_mut().for_each(Process::pause);
    }

    /// Lets a frozen `JobManager` go on.
    pub fn resume_job_manager(&mut self) {
        self.job_manager.iter_mut().for_each(Process::resume);
    }

    /// Kills the `JobManager` (SIGKILL). Without high availability it remembers nothing.
    pub fn kill_job_manager(&mut self) {
        if let Some(job_manager) = self.job_manager.take() {
            job_manager.kill();
        }
    }

    /// Starts the `JobManager` again on the same REST port. With [high availability] the job goes on from
    /// its last checkpoint; without, it is a new job with a new id and without the old one's state.
    ///
    /// [high availability]: FlinkBuilder::high_availability
    pub async fn start_job_manager(&mut self) -> Result<(), FlinkError> {
        if self.job_manager.is_none() {
            self.job_manager = Some(Process::start(&self.run, "jobmanager", &self.launch)?);
        }
        self.wait_for_job().await
    }

    /// An error if the `JobManager` or one of the lab's `TaskManagers` has ended by itself.
    pub fn check(&mut self) -> Result<(), FlinkError> {
        self.job_manager.iter_mut().try_for_each(Process::check)?;
        self.task_managers.values_mut().try_for_each(Process::check)?;
        Ok(())
    }

    /// The lab's processes that run now: name and process id.
    #[must_use]
    pub fn running(&self) -> Vec<(String, u32)> {
        self.job_manager
            .iter()
            .chain(self.task_managers.values())
            .map(|process| (process.name().to_owned(), process.pid()))
            .collect()
    }

    /// What the job is doing.
    pub async fn job_status(&self) -> Result<JobStatus, FlinkError> {
        self.rest.job(&self.job_id).await
    }

    /// The `TaskManagers` that are registered.
    pub async fn task_managers(&self) -> Result<Vec<TaskManager>, FlinkError> {
        self.rest.task_managers().await
    }

    /// How many checkpoints there were, and the last one.
    pub async fn checkpoints(&self) -> Result<Checkpoints, FlinkError> {
        self.rest.checkpoints(&self.job_id).await
    }

    /// What the `JobManager` is configured with, by its own account.
    pub async fn configuration(&self) -> Result<BTreeMap<String, String>, FlinkError> {
        self.rest.configuration().await
    }

    /// How often the job was restarted, rescaling included.
    pub async fn restarts(&self) -> Result<u64, FlinkError> {
        self.rest.restarts(&self.job_id).await
    }

    /// Waits until the job runs with this parallelism: its widest step has it, and every task runs.
    pub async fn wait_running(&mut self, parallelism: u32, limit: Duration) -> Result<JobStatus, FlinkError> {
        let deadline = Deadline::after(limit);
        loop {
            self.check()?;
            let seen = self.job_status().await;
            match &seen {
                Ok(status) if status.runs_at(parallelism) => return seen,
                Ok(status) if status.has_ended() => {
                    let log = self.run.logs().join("jobmanager.log");
                    return Err(FlinkError::JobEnded { state: status.state.clone(), log });
                }
                _ if deadline.is_over() => {
                    let seen = seen.map_or_else(|error| error.to_string(), |status| status.to_string());
                    let what = format!("a running job with parallelism {parallelism}");
                    return Err(FlinkError::Waited { what, limit, seen });
                }
                _ => deadline.rest().await,
            }
        }
    }

    /// Waits for a checkpoint that completes from now on.
    pub async fn wait_checkpoint(&mut self, limit: Duration) -> Result<Checkpoints, FlinkError> {
        let deadline = Deadline::after(limit);
        let mut before = None;
        loop {
            self.check()?;
            let seen = self.checkpoints().await;
            if let Ok(checkpoints) = &seen
                && checkpoints.completed > *before.get_or_insert(checkpoints.completed)
            {
                return seen;
            }
            if deadline.is_over() {
                let seen = seen.map_or_else(|error| error.to_string(), |seen| format!("{seen:?}"));
                return Err(FlinkError::Waited { what: "a new completed checkpoint".into(), limit, seen });
            }
            deadline.rest().await;
        }
    }

    /// Stops everything, all at once.
    pub async fn stop(mut self) {
        let mut all: Vec<Process> = std::mem::take(&mut self.task_managers).into_values().collect();
        all.append(&mut self.dismissed);
        all.extend(self.job_manager.take());
        all.iter_mut().for_each(Process::ask_to_stop);
        let deadline = Deadline::after(GRACE);
        for process in &mut all {
            process.wait(deadline.remaining()).await;
        }
    }

    /// Waits until the `JobManager` knows its job, and remembers its id.
    async fn wait_for_job(&mut self) -> Result<(), FlinkError> {
        let deadline = Deadline::after(self.ready_within);
        loop {
            self.check()?;
            if let Ok(Some(id)) = self.rest.first_job().await {
                self.job_id = id;
                return Ok(());
            }
            if deadline.is_over()
                && let Some(job_manager) = &self.job_manager
            {
                return Err(job_manager.not_ready(deadline.limit()).into());
            }
            deadline.rest().await;
        }
    }
}
