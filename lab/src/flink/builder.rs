//! What can be chosen about a Flink, and its start.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use super::conf::{Conf, Mode, TaskManagerMemory};
use super::distribution::{self, Distribution};
use super::rest_api::RestApi;
use super::security::RestSecurity;
use super::{Flink, FlinkError, Job, class_archive, script};
use crate::cache::{Cache, FlinkVersion};
use crate::progress::Progress;
use crate::run_dir::RunDir;
use crate::tools;

/// Describes a Flink to be started.
#[derive(Debug, Clone)]
pub struct FlinkBuilder {
    run: RunDir,
    version: String,
    cache: Option<Cache>,
    progress: Progress,
    job: Option<Job>,
    mode: Mode,
    rest_port: Option<u16>,
    slots: u32,
    parallelism: u32,
    memory: TaskManagerMemory,
    job_manager_heap: u32,
    checkpoint_interval: Duration,
    zookeeper: Option<String>,
    quick: bool,
    secure: bool,
    options: BTreeMap<String, String>,
    ready_within: Duration,
}

impl FlinkBuilder {
    pub(super) fn new(run: &RunDir, version: &str) -> Self {
        Self {
            run: run.clone(),
            version: version.to_owned(),
            cache: None,
            progress: Progress::detect(),
            job: None,
            mode: Mode::Reactive,
            rest_port: None,
            slots: 1,
            parallelism: 1,
            memory: TaskManagerMemory::default(),
            job_manager_heap: 192,
            checkpoint_interval: Duration::from_secs(10),
            zookeeper: None,
            quick: true,
            secure: false,
            options: BTreeMap::new(),
            ready_within: Duration::from_mins(2),
        }
    }

    /// Where the distributions are kept; the user's cache folder if not given.
    #[must_use]
    pub fn cache(mut self, cache: &Cache) -> Self {
        self.cache = Some(cache.clone());
        self
    }

    /// How progress is shown.
    #[must_use]
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// The job to run; one must be given.
    #[must_use]
    pub fn job(mut self, job: impl Into<Job>) -> Self {
        self.job = Some(job.into());
        self
    }

    /// Which scheduler runs the job; reactive if not given.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The port of the REST API; any free one if not given.
    #[must_use]
    pub fn rest_port(mut self, port: u16) -> Self {
        self.rest_port = Some(port);
        self
    }

    /// Slots of each `TaskManager`; 1 if not given.
    #[must_use]
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots.max(1);
        self
    }

    /// The width that an adaptive job starts with; 1 if not given. A reactive one takes what slots it finds.
    #[must_use]
    pub fn parallelism(mut self, parallelism: u32) -> Self {
        self.parallelism = parallelism.max(1);
        self
    }

    /// The memory of each `TaskManager`.
    #[must_use]
    pub fn task_manager_memory(mut self, memory: TaskManagerMemory) -> Self {
        self.memory = memory;
        self
    }

    /// The heap of the `JobManager` in MiB; 192 if not given.
    #[must_use]
    pub fn job_manager_heap(mut self, mebibytes: u32) -> Self {
        self.job_manager_heap = mebibytes;
        self
    }

    /// How often a checkpoint is taken; every 10 s if not given.
    #[must_use]
    pub fn checkpoint_interval(mut self, interval: Duration) -> Self {
        self.checkpoint_interval = interval;
        self
    }

    /// Keeps what the `JobManager` must not forget in this `ZooKeeper` (`host:port`, for example that of
    /// [`Pravega::zookeeper`](crate::Pravega::zookeeper)), so that a killed one that is started again
    /// carries the job on from its last checkpoint.
    #[must_use]
    pub fn high_availability(mut self, zookeeper: impl Into<String>) -> Self {
        self.zookeeper = Some(zookeeper.into());
        self
    }

    /// Leaves Flink at its own timeouts. If not called, the lab sets those that make it rescale at
    /// once and notice a killed `TaskManager` after seconds.
    #[must_use]
    pub fn stock_timeouts(mut self) -> Self {
        self.quick = false;
        self
    }

    /// With TLS on the REST API, which also asks its clients for a certificate: [`Flink::security`] has the
    /// files. Without, if not called.
    #[must_use]
    pub fn secure(mut self) -> Self {
        self.secure = true;
        self
    }

    /// Sets an option of Flink's configuration, over whatever the lab would set.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl Into<String>) -> Self {
        self.options.insert(name.to_owned(), value.into());
        self
    }

    /// Every process serves its metrics to Prometheus on the first of these ports that it finds free. The
    /// reporter listens on all addresses: Flink has no option for that.
    #[must_use]
    pub fn metrics(self, ports: &[u16]) -> Self {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        self.option(
            "metrics.reporter.prometheus.factory.class",
            "org.apache.flink.metrics.prometheus.PrometheusReporterFactory",
        )
        .option("metrics.reporter.prometheus.port", ports.join(","))
    }

    /// How long the `JobManager` may take to start; two minutes if not given.
    #[must_use]
    pub fn ready_within(mut self, limit: Duration) -> Self {
        self.ready_within = limit;
        self
    }

    /// Starts the `JobManager` and waits until it knows its job. No `TaskManager` is started.
    pub async fn start(self) -> Result<Flink, FlinkError> {
        let java = tools::java()?;
        let version: FlinkVersion = self.version.parse()?;
        let mut job = self.job.ok_or(FlinkError::NoJob)?;
        if !job.jar.is_file() {
            return Err(FlinkError::NoJar { path: job.jar });
        }
        let cache = self.cache.map_or_else(Cache::open, Ok)?;
        let home = cache.flink(version, self.progress).await?;
        let run = self.run;
        let folder = run.path().join("flink");
        let rest_port = match self.rest_port {
            Some(port) => run.exact_port(port)?,
            None => run.port()?,
        };
        let security = self.secure.then(|| RestSecurity::create(&folder.join("security"), &java)).transpose();
        let security = security.map_err(|source| FlinkError::Write { path: folder.join("security"), source })?;
        let mut options: BTreeMap<_, _> = security.iter().flat_map(RestSecurity::options).collect();
        options.extend(self.options);
        let rest = match &security {
            Some(security) => RestApi::secure(rest_port, security)
                .map_err(|source| FlinkError::Write { path: security.ca_file(), source })?,
            None => RestApi::new(rest_port),
        };
        let conf = Conf {
            version,
            mode: self.mode,
            rpc_port: run.port()?,
            rest_port,
            slots: self.slots,
            parallelism: self.parallelism,
            memory: self.memory,
            checkpoint_interval: self.checkpoint_interval,
            zookeeper: self.zookeeper,
            quick: self.quick,
            options,
        };
        let classes = class_archive::ensure(&cache, &java, version, &home, self.progress).await?;
        let distribution = Distribution::new(java, home, &folder, classes)?;
        distribution.write_configuration(&conf)?;
        // A copy: a build that replaces the jar must not take classes from a job that runs.
        let copy = folder.join("job.jar");
        fs::copy(&job.jar, &copy).map_err(|source| FlinkError::Write { path: copy.clone(), source })?;
        job.jar = copy;
        let task_manager = distribution.task_manager(&self.memory, Some(&job.jar));
        let script = folder.join("taskmanager.sh");
        distribution::write(&script, &script::text(&run, &task_manager))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
            .map_err(|source| FlinkError::Write { path: script.clone(), source })?;

        let mut flink = Flink {
            launch: distribution.job_manager(self.job_manager_heap, &job),
            script,
            checkpoints: folder.join("checkpoints"),
            rest,
            security,
            ready_within: self.ready_within,
            job_id: String::new(),
            task_managers: BTreeMap::new(),
            dismissed: Vec::new(),
            job_manager: None,
            run,
        };
        let task = self.progress.task(format!("starting Flink {version}"));
        flink.start_job_manager().await?;
        task.done("ready");
        Ok(flink)
    }
}
