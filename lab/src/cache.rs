//! The folder that outlives runs: the jars of Pravega and Flink, fetched once.
//!
//! Everything is fetched beside its final place and renamed into it when complete, under a lock per
//! item. So a folder that exists is whole, an interrupted download leaves nothing behind that counts,
//! and two labs that start together fetch once.

mod flink;
mod pravega;
mod prometheus;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use thiserror::Error;

pub use flink::FlinkVersion;
pub use prometheus::PrometheusTools;

use crate::process::{Launch, Process, ProcessError};
use crate::progress::{Progress, Task};
use crate::tools::MissingTool;

/// How long one download may take before the lab gives up.
const LIMIT_OF_A_DOWNLOAD: Duration = Duration::from_mins(30);
/// How often the progress of a download is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// Why something could not be had from the cache or its registry.
#[derive(Debug, Error)]
pub enum CacheError {
    /// Neither `XDG_CACHE_HOME` nor `HOME` is set.
    #[error("no cache folder: set XDG_CACHE_HOME or HOME")]
    NoHome,
    /// A program that is needed to fetch it is missing.
    #[error(transparent)]
    Tool(#[from] MissingTool),
    /// The cache folder cannot be written.
    #[error("cannot write to the cache at {}", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The program that fetches could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It ran and did not succeed.
    #[error("cannot fetch {what} with {with}:\n{why}")]
    Fetch {
        /// What was to be fetched.
        what: String,
        /// The program that fetches.
        with: &'static str,
        /// The lines of its output that tell why.
        why: String,
    },
    /// What came is not what was expected.
    #[error("{what} came without {missing}")]
    Incomplete {
        /// What was fetched.
        what: String,
        /// What it lacks.
        missing: &'static str,
    },
    /// Not a version the lab can run.
    #[error("{0:?} is not a Flink version between 1.17 and 2.3, such as 1.20.5")]
    Version(String),
}

/// The cache folder.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$XDG_CACHE_HOME/sluice`, or `~/.cache/sluice`.
    pub fn open() -> Result<Self, CacheError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = set("XDG_CACHE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| set("HOME").map(|home| home.join(".cache")))
            .ok_or(CacheError::NoHome)?;
        Ok(Self::at(base.join("sluice")))
    }

    /// A cache in the given folder.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where labs reserve ports from each other.
    #[must_use]
    pub fn port_locks(&self) -> PathBuf {
        self.root.join("ports")
    }

    /// Waits for the lock of one item; it is free again when the file is dropped.
    pub(crate) async fn lock(&self, item: &str, progress: Progress) -> Result<File, CacheError> {
        let path = self.root.join(format!("{item}.lock"));
        let failed = |source| CacheError::Folder { path: path.clone(), source };
        fs::create_dir_all(&self.root).map_err(failed)?;
        let file = File::create(&path).map_err(failed)?;
        let mut waiting: Option<Task> = None;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            waiting
                .get_or_insert_with(|| progress.task(format!("waiting for another lab to fetch {item}")))
                .at("still waiting");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// A folder to fetch into, on the same file system as the final place. What an interrupted lab
    /// left there is removed first; the caller holds the lock of the item.
    pub(crate) fn staging(&self, item: &str) -> Result<TempDir, CacheError> {
        let prefix = format!(".{item}-");
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(&self.root)
            .map_err(|source| CacheError::Folder { path: self.root.clone(), source })
    }

    /// Moves a complete folder to its final place.
    pub(crate) fn publish(from: &Path, to: &Path) -> Result<(), CacheError> {
        fs::rename(from, to).map_err(|source| CacheError::Folder { path: to.to_owned(), source })
    }
}

/// A registry client that is run to fetch something.
struct Fetch {
    what: String,
    with: &'static str,
    launch: Launch,
    log: PathBuf,
}

impl Fetch {
    /// Runs it to its end and calls `look` a few times a second. Dropped half-way, it is killed.
    async fn run(self, mut look: impl FnMut(&Path)) -> Result<(), CacheError> {
        let mut process = Process::start_with_log(self.with, &self.launch, self.log.clone())?;
        let deadline = crate::clock::Deadline::after(LIMIT_OF_A_DOWNLOAD);
        let why = loop {
            match process.wait(BETWEEN_LOOKS).await {
                Some(status) if status.success() => return Ok(()),
                Some(_) => break complaints(&self.log),
                None if deadline.is_over() => {
                    break format!("  not finished after {:?}", deadline.limit());
                }
                None => look(&self.log),
            }
        };
        Err(CacheError::Fetch { what: self.what, with: self.with, why })
    }
}

/// The lines of a log that say what went wrong; its last lines if none does.
fn complaints(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let errors: Vec<&str> =
        lines.iter().copied().filter(|line| line.to_uppercase().contains("ERROR")).take(8).collect();
    let shown = if errors.is_empty() { &lines[lines.len().saturating_sub(8)..] } else { &errors[..] };
    shown.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// All jars of a folder, by name: the class path must not depend on the order of the file system.
pub(crate) fn jars(folder: &Path) -> Result<Vec<PathBuf>, CacheError> {
    let failed = |source| CacheError::Folder { path: folder.to_owned(), source };
    let mut jars: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(failed)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jar"))
        .collect();
    jars.sort();
    Ok(jars)
}

/// The size of the largest file in a folder: of a download, the thing itself.
fn largest_in(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .map(|entry| {
            if entry.path().is_dir() {
                largest_in(&entry.path())
            } else {
                entry.metadata().map_or(0, |meta| meta.len())
            }
        })
        .max()
        .unwrap_or(0)
}

/// The bytes of all files beneath a folder.
fn bytes_in(folder: &Path) -> u64 {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes_in(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_interrupted_download_leaves_nothing() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let cache = Cache::at(folder.path());
        let _lock = cache.lock("thing", Progress::Silent).await?;
        let crashed = cache.staging("thing")?.keep();
        let staging = cache.staging("thing")?;
        assert!(!crashed.exists());
        drop(staging);
        let names: Vec<_> = fs::read_dir(folder.path())?.flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["thing.lock"]);
        Ok(())
    }

    #[tokio::test]
    async fn one_lab_at_a_time() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let cache = Cache::at(folder.path());
        let lock = cache.lock("thing", Progress::Silent).await?;
        let second = tokio::time::timeout(Duration::from_millis(600), cache.lock("thing", Progress::Silent));
        assert!(second.await.is_err(), "must wait");
        drop(lock);
        cache.lock("thing", Progress::Silent).await?;
        Ok(())
    }

    #[tokio::test]
    async fn a_failed_download_tells_why() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let fetch = Fetch {
            what: "a thing".into(),
            with: "sh",
            launch: Launch::new("sh").args(["-c", "echo fetching; echo 'ERROR: no such thing'; exit 1"]),
            log: folder.path().join("log"),
        };
        let message = fetch.run(|_| ()).await.expect_err("must fail").to_string();
        assert_eq!(message, "cannot fetch a thing with sh:\n  ERROR: no such thing");
        Ok(())
    }
}
