//! Makes Flink's processes start quicker: an archive of the classes they load (Java's class data
//! sharing), recorded once per version of Flink and of Java, and kept in the cache.
//!
//! A `TaskManager` that loads from it needs two thirds of the processor time until its task runs, and
//! the lab starts many. It is recorded from an idle `JobManager` and `TaskManager` that have found each
//! other. If that does not work out, the lab goes on without.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::FlinkError;
use super::conf::{Conf, Mode, TaskManagerMemory};
use super::distribution::{Classes, Distribution};
use super::rest_api::RestApi;
use crate::cache::{Cache, CacheError, FlinkVersion};
use crate::clock::Deadline;
use crate::ports::Ports;
use crate::process::Process;
use crate::progress::{Progress, Task};
use crate::tools::Java;

/// The first Java that can write such an archive when a process ends.
const FIRST_JAVA: u32 = 13;
/// How long the two processes may take to find each other.
const LIMIT_OF_START: Duration = Duration::from_mins(1);
/// How long they may take to write their archives.
const LIMIT_OF_WRITING: Duration = Duration::from_mins(2);
const HEAP_OF_JOB_MANAGER: u32 = 192;

/// The archive of this Flink on this Java; recorded if it is not there.
pub async fn ensure(
    cache: &Cache,
    java: &Java,
    version: FlinkVersion,
    home: &Path,
    progress: Progress,
) -> Result<Classes, FlinkError> {
    if java.major < FIRST_JAVA {
        return Ok(Classes::Plain);
    }
    let archive = home.join(format!("classes-java-{}", java.version));
    if !archive.is_dir() {
        let item = format!("flink-{version}");
        let _lock = cache.lock(&item, progress).await?;
        if !archive.is_dir() {
            let staging = cache.staging(&item)?;
            let mut task = progress.task(format!("preparing Flink {version} to start quickly (once)"));
            match record(cache, java, version, home, staging.path(), &mut task).await {
                Ok(ready) => {
                    Cache::publish(&ready, &archive)?;
                    task.done("ready");
                }
                Err(error) => {
                    task.done(&format!("did not work out, going on without: {error}"));
                    return Ok(Classes::Plain);
                }
            }
        }
    }
    Ok(Classes::LoadFrom(archive))
}

/// Starts the two, waits until they know each other, ends them, and returns the folder in which they
/// have left their archives.
async fn record(
    cache: &Cache,
    java: &Java,
    version: FlinkVersion,
    home: &Path,
    staging: &Path,
    task: &mut Task,
) -> Result<std::path::PathBuf, FlinkError> {
    let ready = staging.join("ready");
    fs::create_dir(&ready).map_err(|source| CacheError::Folder { path: ready.clone(), source })?;
    let mut ports = Ports::anywhere(&cache.port_locks());
    let memory = TaskManagerMemory::default();
    let conf = Conf {
        version,
        mode: Mode::Default,
        rpc_port: ports.take()?,
        rest_port: ports.take()?,
        slots: 1,
        parallelism: 1,
        memory,
        checkpoint_interval: Duration::from_mins(1),
        zookeeper: None,
        quick: true,
        options: BTreeMap::from([("taskmanager.resource-id".to_owned(), "recording".to_owned())]),
    };
    let recording = Classes::RecordInto(ready.clone());
    let distribution = Distribution::new(java.clone(), home.to_owned(), staging, recording)?;
    distribution.write_configuration(&conf)?;

    let start = |name: &str, launch| Process::start_with_log(name, &launch, staging.join(format!("{name}.log")));
    let mut job_manager = start("jobmanager", distribution.idle_job_manager(HEAP_OF_JOB_MANAGER))?;
    let mut task_manager = start("taskmanager", distribution.task_manager(&memory, None))?;
    let rest = RestApi::new(conf.rest_port);
    let deadline = Deadline::after(LIMIT_OF_START);
    while rest.task_managers().await.is_ok_and(|registered| registered.is_empty()) || !rest.answers().await {
        job_manager.check()?;
        task_manager.check()?;
        if deadline.is_over() {
            return Err(task_manager.not_ready(deadline.limit()).into());
        }
        task.at("loading classes");
        deadline.rest().await;
    }
    let deadline = Deadline::after(LIMIT_OF_WRITING);
    task_manager.ask_to_stop();
    job_manager.ask_to_stop();
    for process in [&mut task_manager, &mut job_manager] {
        while process.wait(Duration::from_millis(200)).await.is_none() {
            if deadline.is_over() {
                return Err(process.not_ready(deadline.limit()).into());
            }
            task.at("writing them down");
        }
    }
    for role in ["jobmanager", "taskmanager"] {
        if !ready.join(format!("{role}.jsa")).is_file() {
            let what = format!("Flink {version}");
            return Err(CacheError::Incomplete { what, missing: "an archive of classes" }.into());
        }
    }
    Ok(ready)
}
