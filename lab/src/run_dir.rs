//! The one folder of a run: data, logs, pid files, and the ports that go with it.
//!
//! ```text
//! <run>/logs/<process>.log   what each process printed
//! <run>/pids/<process>.pid   who is running (see `pid_file`)
//! <run>/pravega/  <run>/flink/   data and configuration
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use crate::cache::{Cache, CacheError};
use crate::pid_file;
use crate::ports::{Ports, PortsError};

/// How long processes of an earlier run may take to stop. Their data goes next.
const GRACE_FOR_LEFTOVERS: Duration = Duration::from_secs(3);

/// Why a run folder cannot be used.
#[derive(Debug, Error)]
pub enum RunDirError {
    /// It cannot be created or emptied.
    #[error("cannot use {} as the folder of a run", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The cache folder, where ports are reserved, is not known.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// `SLUICE_LAB_PORT_BASE` is not a port.
    #[error("SLUICE_LAB_PORT_BASE is {0:?}, which is not a port number")]
    PortBase(String),
}

/// The folder and the ports of one run. Cheap to clone; the last clone that is dropped kills whatever
/// still runs by the pid files in it, and removes the folder if it was a fresh one and the run passed.
#[derive(Debug, Clone)]
pub struct RunDir(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    remove_if_passed: bool,
    passed: AtomicBool,
    ports: Mutex<Ports>,
}

impl RunDir {
    /// A new folder of its own under the system's folder for temporary files.
    ///
    /// It is removed at the end if [`passed`](Self::passed) was called and `SLUICE_KEEP` is not set;
    /// otherwise it is kept, and its path printed, so that the logs of a failure can be read. One
    /// without any log is not worth keeping.
    pub fn fresh() -> Result<Self, RunDirError> {
        let parent = std::env::temp_dir();
        let path = tempfile::Builder::new()
            .prefix("sluice-lab-")
            .tempdir_in(&parent)
            .map_err(|source| RunDirError::Folder { path: parent, source })?
            .keep();
        let keep = std::env::var_os("SLUICE_KEEP").is_some_and(|value| !value.is_empty());
        Self::prepare(path, !keep)
    }

    /// The given folder, which is kept. Processes that an earlier run left in it are stopped, and what
    /// that run wrote is removed; other files in the folder are left alone.
    pub fn at(path: impl Into<PathBuf>) -> Result<Self, RunDirError> {
        let path: PathBuf = path.into();
        fs::create_dir_all(&path)
            .and_then(|()| path.canonicalize())
            .map_err(|source| RunDirError::Folder { path, source })
            .and_then(|path| Self::prepare(path, false))
    }

    fn prepare(path: PathBuf, remove_if_passed: bool) -> Result<Self, RunDirError> {
        let locks = Cache::open()?.port_locks();
        let ports = match std::env::var("SLUICE_LAB_PORT_BASE") {
            Ok(base) => match base.parse() {
                Ok(base) => Ports::from_base(&locks, base),
                Err(_) => return Err(RunDirError::PortBase(base)),
            },
            Err(_) => Ports::anywhere(&locks),
        };
        let inner = Inner { path, remove_if_passed, passed: AtomicBool::new(false), ports: Mutex::new(ports) };
        let run = Self(Arc::new(inner));
        pid_file::stop_leftovers(&run.pids(), GRACE_FOR_LEFTOVERS);
        for folder in ["logs", "pids", "pravega", "flink"] {
            let folder = run.path().join(folder);
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => fs::create_dir_all(&folder),
            }
            .map_err(|source| RunDirError::Folder { path: folder, source })?;
        }
        Ok(run)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Where the logs are.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.path().join("logs")
    }

    /// Where the pid files are. A process that somebody else starts for this run may put its own
    /// there (see [`pid_file`]), and is then stopped with the run.
    #[must_use]
    pub fn pids(&self) -> PathBuf {
        self.path().join("pids")
    }

    /// A free port on the loopback that stays reserved for this run.
    pub fn port(&self) -> Result<u16, PortsError> {
        self.ports().take()
    }

    /// This very port, reserved for this run; an error if it is in use.
    pub fn exact_port(&self, port: u16) -> Result<u16, PortsError> {
        self.ports().take_exactly(port)
    }

    /// From now on, ports are taken upwards from `base`.
    pub fn set_port_base(&self, base: u16) -> Result<(), RunDirError> {
        *self.ports() = Ports::from_base(&Cache::open()?.port_locks(), base);
        Ok(())
    }

    fn ports(&self) -> std::sync::MutexGuard<'_, Ports> {
        self.0.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All went well: a fresh folder may be removed at the end.
    pub fn passed(&self) {
        self.0.passed.store(true, Ordering::Relaxed);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        pid_file::stop_leftovers(&self.path.join("pids"), Duration::ZERO);
        if !self.remove_if_passed {
            return;
        }
        let failed = !self.passed.load(Ordering::Relaxed) || std::thread::panicking();
        let has_logs = fs::read_dir(self.path.join("logs")).is_ok_and(|mut logs| logs.next().is_some());
        if !failed || !has_logs {
            let _ = fs::remove_dir_all(&self.path);
        } else {
            eprintln!("lab: the logs of this run are kept in {}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_folder_goes_only_if_the_run_passed() -> anyhow::Result<()> {
        let run = RunDir::fresh()?;
        let path = run.path().to_owned();
        assert!(path.join("logs").is_dir());
        run.passed();
        drop(run);
        assert!(!path.exists());

        let run = RunDir::fresh()?;
        let path = run.path().to_owned();
        fs::write(run.logs().join("a.log"), "a")?;
        drop(run);
        assert!(path.exists());
        fs::remove_dir_all(path)?;
        Ok(())
    }

    #[test]
    fn a_given_folder_keeps_what_is_not_ours() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("mine.txt"), "mine")?;
        fs::create_dir_all(folder.path().join("logs"))?;
        fs::write(folder.path().join("logs/old.log"), "old")?;
        let run = RunDir::at(folder.path())?;
        assert!(!run.logs().join("old.log").exists());
        run.passed();
        drop(run);
        assert!(folder.path().join("mine.txt").exists());
        Ok(())
    }
}
