//! What can be chosen about a Flink, and its start.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::conf::{Conf, Mode, TaskManagerMemory};
use super::rest_api::RestApi;
use super::{Flink, FlinkError, Job, script};
use crate::cache::{Cache, FlinkVersion};
use crate::java::JavaProcess;
use crate::process::Launch;
use crate::progress::Progress;
use crate::run_dir::RunDir;
use crate::tools;

const LOG4J: &str = "\
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = out
appender.out.name = out
appender.out.type = CONSOLE
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %-5p %c{1} - %m%n
";

/// What Flink needs of the inside of Java; the same list for all its versions.
const OPENED_PACKAGES: [&str; 13] = [
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.text",
    "java.time",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "java.util.concurrent.locks",
    "sun.nio.ch",
];

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
    memory: TaskManagerMemory,
    job_manager_heap: u32,
    checkpoint_interval: Duration,
    quick: bool,
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
            memory: TaskManagerMemory::default(),
            job_manager_heap: 192,
            checkpoint_interval: Duration::from_secs(10),
            quick: true,
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

    /// Leaves Flink at its own timeouts. If not called, the lab sets those that make it rescale at
    /// once and notice a killed `TaskManager` after seconds.
    #[must_use]
    pub fn stock_timeouts(mut self) -> Self {
        self.quick = false;
        self
    }

    /// Sets an option of Flink's configuration, over whatever the lab would set.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl Into<String>) -> Self {
        self.options.insert(name.to_owned(), value.into());
        self
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
        let job = self.job.ok_or(FlinkError::NoJob)?;
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
        let conf = Conf {
            version,
            mode: self.mode,
            rpc_port: run.port()?,
            rest_port,
            slots: self.slots,
            memory: self.memory,
            checkpoint_interval: self.checkpoint_interval,
            quick: self.quick,
            options: self.options,
        };
        let conf_folder = folder.join("conf");
        write(&conf_folder.join(conf.file_name()), &conf.text(&folder))?;
        write(&conf_folder.join("log4j.properties"), LOG4J)?;
        write(&folder.join("tmp/.keep"), "")?;

        let distribution = Distribution { home, conf: conf_folder, job_jar: job.jar.clone() };
        let task_manager = distribution.environment(distribution.task_manager(&java, &self.memory)?);
        let script = folder.join("taskmanager.sh");
        write(&script, &script::text(&run, &task_manager))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
            .map_err(|source| FlinkError::Write { path: script.clone(), source })?;

        let job_manager = distribution.job_manager(&java, self.job_manager_heap, &job)?;
        let mut flink = Flink {
            launch: distribution.environment(job_manager),
            script,
            checkpoints: folder.join("checkpoints"),
            rest: RestApi::new(rest_port),
            ready_within: self.ready_within,
            job_id: String::new(),
            task_managers: BTreeMap::new(),
            job_manager: None,
            run,
        };
        let task = self.progress.task(format!("starting Flink {version}"));
        flink.start_job_manager().await?;
        task.done("ready");
        Ok(flink)
    }
}

/// An unpacked distribution with a configuration and a job.
struct Distribution {
    home: PathBuf,
    conf: PathBuf,
    job_jar: PathBuf,
}

impl Distribution {
    fn job_manager(&self, java: &tools::Java, heap: u32, job: &Job) -> Result<Launch, FlinkError> {
        let main = "org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint";
        let mut process = self.java(java, main, heap)?.option("-XX:MaxMetaspaceSize=192m").args([
            "--configDir",
            &self.conf.to_string_lossy(),
            "--job-classname",
            &job.main,
        ]);
        process = process.args(&job.args);
        Ok(process.launch())
    }

    fn task_manager(&self, java: &tools::Java, memory: &TaskManagerMemory) -> Result<Launch, FlinkError> {
        let process = self
            .java(java, "org.apache.flink.runtime.taskexecutor.TaskManagerRunner", memory.heap())?
            .direct_memory(memory.direct())
            .option(format!("-XX:MaxMetaspaceSize={}m", memory.metaspace))
            .option("-XX:ReservedCodeCacheSize=48m")
            .args(["--configDir", &self.conf.to_string_lossy()]);
        Ok(process.launch())
    }

    fn java(&self, java: &tools::Java, main: &str, heap: u32) -> Result<JavaProcess, FlinkError> {
        let mut process = JavaProcess::new(java, main, heap)
            .property("log4j.configurationFile", format!("file:{}/log4j.properties", self.conf.display()))
            .class_path(self.jars()?)
            // Not in `usrlib`: if that folder exists, every version wants the job's class in it.
            .class_path([&self.job_jar]);
        for package in OPENED_PACKAGES {
            process = process.option(format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
        }
        for package in ["sun.net.util", "sun.security.util"] {
            process = process.option(format!("--add-exports=java.base/{package}=ALL-UNNAMED"));
        }
        Ok(process)
    }

    fn jars(&self) -> Result<Vec<PathBuf>, FlinkError> {
        crate::cache::jars(&self.home.join("lib")).map_err(FlinkError::from)
    }

    /// What Flink's own scripts would set.
    fn environment(&self, launch: Launch) -> Launch {
        launch
            .env("FLINK_CONF_DIR", &self.conf)
            .env("FLINK_LIB_DIR", self.home.join("lib"))
            .env("FLINK_PLUGINS_DIR", self.home.join("plugins"))
    }
}

fn write(path: &Path, text: &str) -> Result<(), FlinkError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, text))
        .map_err(|source| FlinkError::Write { path: path.to_owned(), source })
}
