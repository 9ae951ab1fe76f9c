//! The job that a Flink runs.

use std::path::{Path, PathBuf};

use crate::cache::FlinkVersion;

/// Where the build puts the jars, in a folder for each version of Flink.
const JARS: &str = "jobmanager/job/target";

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
    /// Whether it begins with what is written from now on, and not with the beginning of the stream.
    pub from_now_on: bool,
    /// Where to write the id of each event, exactly once; only for tests that prove it.
    pub ledger: Option<PathBuf>,
    /// Where to write down at once when each event came out; only for measurements.
    pub trace: Option<PathBuf>,
}

impl BusyReader {
    /// The job's jar for a version of Flink, beneath the root of the repository: the one that was built
    /// for that version, or else the one for the default version. The job uses only what all versions
    /// have, so one jar runs on each; builds for several are there to tell if that changes.
    #[must_use]
    pub fn jar_in(repository: &Path, version: FlinkVersion) -> PathBuf {
        let built_for = |version| repository.join(format!("{JARS}/flink-{version}/busy-reader.jar"));
        let own = built_for(version);
        if own.is_file() { own } else { built_for(FlinkVersion::DEFAULT) }
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
        if reader.from_now_on {
            add("--start", "latest".into());
        }
        if let Some(ledger) = reader.ledger {
            add("--ledger", format!("file://{}", ledger.display()));
        }
        if let Some(trace) = reader.trace {
            add("--trace", trace.display().to_string());
        }
        Self { jar: reader.jar, main: "io.pravega.sluice.job.BusyReader".into(), args }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tests_ask_for_is_not_there_otherwise() {
        let plain = BusyReader {
            jar: "reader.jar".into(),
            controller: "tcp://a:1".into(),
            scope: "s".into(),
            stream: "t".into(),
            iterations: 3,
            from_now_on: false,
            ledger: None,
            trace: None,
        };
        let line = |reader: BusyReader| Job::from(reader).args.join(" ");
        let usual = "--controller tcp://a:1 --scope s --stream t --iterations 3";
        assert_eq!(line(plain.clone()), usual);
        let watched = BusyReader { from_now_on: true, ledger: Some("/l".into()), trace: Some("/t".into()), ..plain };
        assert_eq!(line(watched), format!("{usual} --start latest --ledger file:///l --trace /t"));
    }

    #[test]
    fn one_jar_serves_the_versions_without_a_build_of_their_own() -> anyhow::Result<()> {
        let repository = tempfile::tempdir()?;
        let folder = repository.path().join(JARS).join("flink-2.3.0");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("busy-reader.jar"), "")?;
        let jar = |version: &str| -> anyhow::Result<String> {
            let jar = BusyReader::jar_in(repository.path(), version.parse()?);
            Ok(jar.strip_prefix(repository.path().join(JARS))?.display().to_string())
        };
        assert_eq!(jar("2.3.0")?, "flink-2.3.0/busy-reader.jar");
        assert_eq!(jar("2.1.3")?, "flink-1.20.5/busy-reader.jar");
        Ok(())
    }
}
