//! The job that a Flink runs.

use std::path::{Path, PathBuf};

use crate::cache::FlinkVersion;

/// A jar, the class in it that builds the job, and that class's arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The jar with the job and everything it needs besides Flink.
    pub jar: PathBuf,
    /// The class whose `main` builds the job.
    pub main: String,
    /// What that `main` gets.
    pub args: Vec<String>,
}

/// Sluice's own job: reads a stream and counts bases, busily.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusyReader {
    /// Its jar; see [`jar_in`](Self::jar_in).
    pub jar: PathBuf,
    /// The Pravega controllers: `tcp://host:port[,host:port]`.
    pub controller: String,
    /// The scope to read from.
    pub scope: String,
    /// The stream to read.
    pub stream: String,
    /// How often each event is counted: the work per event.
    pub iterations: u32,
    /// Where to write the id of each event, exactly once; only for tests that prove it.
    pub ledger: Option<PathBuf>,
}

impl BusyReader {
    /// Where the build puts the job's jar for a version of Flink, beneath the root of the repository.
    #[must_use]
    pub fn jar_in(repository: &Path, version: FlinkVersion) -> PathBuf {
        repository.join(format!("jobmanager/job/target/flink-{version}/busy-reader.jar"))
    }
}

impl From<BusyReader> for Job {
    fn from(reader: BusyReader) -> Self {
        let mut args = Vec::new();
        let mut add = |name: &str, value: String| args.extend([name.to_owned(), value]);
        add("--controller", reader.controller);
        add("--scope", reader.scope);
        add("--stream", reader.stream);
        add("--iterations", reader.iterations.to_string());
        if let Some(ledger) = reader.ledger {
            add("--ledger", format!("file://{}", ledger.display()));
        }
        Self { jar: reader.jar, main: "io.pravega.sluice.job.BusyReader".into(), args }
    }
}
