//! The command lines of Flink's processes, from an unpacked distribution and a configuration.

use std::fs;
use std::path::{Path, PathBuf};

use super::conf::{Conf, TaskManagerMemory};
use super::{FlinkError, Job};
use crate::cache;
use crate::java::JavaProcess;
use crate::process::Launch;
use crate::tools::Java;

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

/// What to do about the archive of loaded classes (see `class_archive`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Classes {
    /// There is none.
    Plain,
    /// Load them from the archives in this folder.
    LoadFrom(PathBuf),
    /// Write archives into this folder when the processes end.
    RecordInto(PathBuf),
}

/// An unpacked distribution, with a folder for its configuration and data.
#[derive(Debug)]
pub struct Distribution {
    java: Java,
    home: PathBuf,
    folder: PathBuf,
    jars: Vec<PathBuf>,
    classes: Classes,
}

impl Distribution {
    /// The distribution in `home`, with configuration and data in `folder`.
    pub fn new(java: Java, home: PathBuf, folder: &Path, classes: Classes) -> Result<Self, FlinkError> {
        let jars = cache::jars(&home.join("lib"))?;
        Ok(Self { java, home, folder: folder.to_owned(), jars, classes })
    }

    /// Writes the files that all processes read.
    pub fn write_configuration(&self, conf: &Conf) -> Result<(), FlinkError> {
        write(&self.conf().join(conf.file_name()), &conf.text(&self.folder))?;
        write(&self.conf().join("log4j.properties"), LOG4J)?;
        // Its folder must exist.
        write(&self.folder.join("tmp/.keep"), "")
    }

    /// A `JobManager` that runs one job.
    pub fn job_manager(&self, heap: u32, job: &Job) -> Launch {
        let main = "org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint";
        let process = self.job_manager_process(main, heap, Some(&job.jar)).args(["--job-classname", &job.main]);
        self.environment(process.args(&job.args).launch())
    }

    /// A `JobManager` that waits for jobs.
    pub fn idle_job_manager(&self, heap: u32) -> Launch {
        let main = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint";
        self.environment(self.job_manager_process(main, heap, None).launch())
    }

    fn job_manager_process(&self, main: &str, heap: u32, job: Option<&Path>) -> JavaProcess {
        self.java("jobmanager", main, heap, job)
            .option("-XX:MaxMetaspaceSize=192m")
            .args(["--configDir", &self.conf().to_string_lossy()])
    }

    /// A `TaskManager`; where it runs the tasks of a job it needs the job's jar.
    pub fn task_manager(&self, memory: &TaskManagerMemory, job: Option<&Path>) -> Launch {
        let main = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner";
        let process = self
            .java("taskmanager", main, memory.heap(), job)
            .direct_memory(memory.direct())
            .option(format!("-XX:MaxMetaspaceSize={}m", memory.metaspace))
            .option("-XX:ReservedCodeCacheSize=48m")
            .args(["--configDir", &self.conf().to_string_lossy()]);
        self.environment(process.launch())
    }

    fn java(&self, role: &str, main: &str, heap: u32, job: Option<&Path>) -> JavaProcess {
        let mut process = JavaProcess::new(&self.java, main, heap)
            .property("log4j.configurationFile", format!("file:{}/log4j.properties", self.conf().display()))
            // The job's jar comes last, because the archive of classes holds for whatever begins as the
            // class path did when it was made; and not in `usrlib`, because where that folder exists
            // every version wants the job's class in it.
            .class_path(&self.jars)
            .class_path(job);
        process = match &self.classes {
            Classes::Plain => process,
            Classes::LoadFrom(folder) => {
                process.option(format!("-XX:SharedArchiveFile={}/{role}.jsa", folder.display()))
            }
            Classes::RecordInto(folder) => {
                process.option(format!("-XX:ArchiveClassesAtExit={}/{role}.jsa", folder.display()))
            }
        };
        for package in OPENED_PACKAGES {
            process = process.option(format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
        }
        for package in ["sun.net.util", "sun.security.util"] {
            process = process.option(format!("--add-exports=java.base/{package}=ALL-UNNAMED"));
        }
        process
    }

    fn conf(&self) -> PathBuf {
        self.folder.join("conf")
    }

    /// What Flink's own scripts would set.
    fn environment(&self, launch: Launch) -> Launch {
        launch
            .env("FLINK_CONF_DIR", self.conf())
            .env("FLINK_LIB_DIR", self.home.join("lib"))
            .env("FLINK_PLUGINS_DIR", self.home.join("plugins"))
    }
}

/// Writes a file, and the folder it is in.
pub fn write(path: &Path, text: &str) -> Result<(), FlinkError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, text))
        .map_err(|source| FlinkError::Write { path: path.to_owned(), source })
}
