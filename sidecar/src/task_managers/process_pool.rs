//! TaskManagers as local child processes, for a machine without Kubernetes. The pool plays the part
//! that a `ReplicaSet` plays there: the wanted members are on record (`record.rs`), and each
//! observation brings the processes (`process.rs`) in line with the record (`keeper.rs`).
//!
//! TaskManagers outlive the agent, killed or ended, and the next agent on the same folder adopts
//! them. Only [`ProcessPool::shut_down`] stops them all.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use keeper::Keeper;
use sluice_core::{Pool, TaskManagers};

use crate::clock::instant;

mod command;
mod keeper;
mod process;
mod record;
#[cfg(test)]
mod tests;

/// How often [`ProcessPool::shut_down`] looks whether all have ended.
const SHUT_DOWN_POLL: Duration = Duration::from_millis(50);

/// How long after SIGKILL a process may take to disappear before [`ProcessPool::shut_down`] gives up.
const SHUT_DOWN_GRACE: Duration = Duration::from_secs(10);

/// How a process pool is run.
#[derive(Clone, Debug)]
pub struct ProcessPoolOptions {
    /// The folder that the pool keeps its record and its members' logs in; made if missing. One
    /// agent at a time.
    pub dir: PathBuf,
    /// The program that runs one TaskManager in the foreground, and its arguments. `{id}` in an
    /// argument becomes the member's name, which is also in the environment as
    /// `SLUICE_TASK_MANAGER_ID`.
    pub command: Vec<String>,
    /// How long a TaskManager may take to end after SIGTERM before SIGKILL follows.
    pub stop_timeout: Duration,
}

impl ProcessPoolOptions {
    /// The usual time that a TaskManager is given to end after SIGTERM.
    pub const STOP_TIMEOUT: Duration = Duration::from_secs(30);
}

/// The pool of TaskManagers on this machine.
#[derive(Clone, Debug)]
pub struct ProcessPool {
    dir: PathBuf,
    stop_timeout: Duration,
    keeper: Arc<Mutex<Keeper>>,
}

impl ProcessPool {
    /// Takes the pool in `options.dir` over: TaskManagers that an earlier agent left running are
    /// members again. Nothing is started or stopped before the first observation.
    pub fn open(options: ProcessPoolOptions) -> Result<Self, PoolError> {
        Self::from_keeper(options, Keeper::open)
    }

    /// Opens the pool only to look at it, beside the agent that may be running it: nothing is
    /// started, stopped or written, and [`Self::set_replicas`] is refused.
    pub fn open_read_only(options: ProcessPoolOptions) -> Result<Self, PoolError> {
        Self::from_keeper(options, Keeper::open_read_only)
    }

    fn from_keeper(
        mut options: ProcessPoolOptions,
        open: fn(ProcessPoolOptions) -> Result<Keeper, PoolError>,
    ) -> Result<Self, PoolError> {
        command::check(&options.command)?;
        options.dir = std::path::absolute(&options.dir).map_err(PoolError::io("find", &options.dir))?;
        let (dir, stop_timeout) = (options.dir.clone(), options.stop_timeout);
        Ok(Self { dir, stop_timeout, keeper: Arc::new(Mutex::new(open(options)?)) })
    }

    /// The wanted number and the members that run. Members that died are started again, and those
    /// that were to stop and have not in time are killed.
    pub async fn observe(&self) -> Result<Pool, PoolError> {
        self.with_keeper(|keeper| keeper.observe(instant())).await
    }

    /// Writes down that `replicas` members are wanted, then starts and stops without waiting. On
    /// the way down members that do not run go first, then those named in `stop`, then the newest;
    /// never more than are too many.
    pub async fn set_replicas(&self, replicas: TaskManagers, stop: &[String]) -> Result<(), PoolError> {
        let stop = stop.to_vec();
        self.with_keeper(move |keeper| keeper.set_replicas(replicas, &stop, instant())).await
    }

    /// Stops every member and returns when all have ended. The pool is empty afterwards.
    pub async fn shut_down(&self) -> Result<(), PoolError> {
        let deadline = instant() + self.stop_timeout + SHUT_DOWN_GRACE;
        self.with_keeper(|keeper| keeper.set_replicas(TaskManagers(0), &[], instant())).await?;
        loop {
            let left = self.with_keeper(|keeper| keeper.still_there(instant())).await?;
            if left.is_empty() {
                return Ok(());
            }
            if instant() >= deadline {
                return Err(PoolError::StillRunning { members: left.join(", ") });
            }
            tokio::time::sleep(SHUT_DOWN_POLL).await;
        }
    }

    /// What it is, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("process pool in {}", self.dir.display())
    }

    /// Files and processes are touched on a blocking thread. A caller that gives up waiting does
    /// not leave anything half done: the work goes on to its end.
    async fn with_keeper<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Keeper) -> Result<T, PoolError> + Send + 'static,
    ) -> Result<T, PoolError> {
        let keeper = Arc::clone(&self.keeper);
        let work = move || work(&mut keeper.lock().unwrap_or_else(PoisonError::into_inner));
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(ended) => Err(PoolError::io("work on", &self.dir)(io::Error::other(ended))),
        }
    }
}

/// Why the process pool could not be opened, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The command cannot start a TaskManager.
    #[error("--task-manager-command: {0}")]
    Command(String),
    /// A file or folder of the pool.
    #[error("process pool: cannot {action} {path}: {cause}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With which file or folder.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The record is not one. An empty pool in its place would start every TaskManager twice.
    #[error(
        "process pool: {path} is not a record of this pool ({why}); stop the TaskManagers that still run, \
         then move the file away to begin with an empty pool"
    )]
    Corrupt {
        /// The record.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Another agent works on the same folder.
    #[error(
        "process pool: another agent{holder} uses {path}; stop that one, or give this one a folder of its own with \
         --pool-dir"
    )]
    Locked {
        /// The folder.
        path: String,
        /// ` (process 123)`, if known.
        holder: String,
    },
    /// A process could not be made. The wish is on record and is tried again.
    #[error("process pool: cannot start {id}: {cause}")]
    Spawn {
        /// The member.
        id: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The pool was opened to look at it.
    #[error("process pool in {path} is open for reading only")]
    ReadOnly {
        /// The folder.
        path: String,
    },
    /// Members that neither SIGTERM nor SIGKILL ended in time.
    #[error("process pool: still running although killed: {members}")]
    StillRunning {
        /// Names and process ids.
        members: String,
    },
}

impl PoolError {
    /// A short name for logs and labels, out of a closed set.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Command(_) => "command",
            Self::Io { .. } => "io",
            Self::Corrupt { .. } => "corrupt",
            Self::Locked { .. } => "locked",
            Self::Spawn { .. } => "spawn",
            Self::ReadOnly { .. } => "read_only",
            Self::StillRunning { .. } => "still_running",
        }
    }

    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |cause| Self::Io { action, path, cause }
    }
}
