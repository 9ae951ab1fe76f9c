//! Takes the history to where it outlives the agent: a file, a ConfigMap, both or neither. Stands beside the
//! loop and never holds it up; what goes wrong is told and tried again.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use jiff::Timestamp;

use crate::{
    clock,
    observe::Trouble,
    report::{
        history_config_map::{ConfigMapOptions, HistoryConfigMap},
        history_file::{HistoryFile, Kept},
        metrics::Metrics,
        status::Shared,
    },
};

/// Where the history is kept.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "History")]
pub struct HistoryArgs {
    /// Where decisions, changes and the numbers of the plot are kept beyond the agent's end. New lines are
    /// appended as they come. With a process pool the default is history.jsonl in --pool-dir; otherwise they
    /// are only kept in memory. A file that cannot be understood is set aside as FILE.bad.
    #[arg(long, env = "SLUICE_HISTORY_FILE", value_name = "FILE")]
    pub history_file: Option<PathBuf>,

    /// The same in a ConfigMap of the Deployment's namespace, written at most once a minute. Needs the right to
    /// get and patch it, and to create it where it is not there yet.
    #[arg(long, env = "SLUICE_HISTORY_CONFIG_MAP", value_name = "NAME", requires = "deployment")]
    pub history_config_map: Option<String>,
}

/// How often it looks for what is new.
const LOOK: Duration = Duration::from_secs(1);

/// How often the file is replaced as a whole, and with it the samples.
const REPLACE_FILE: Duration = Duration::from_mins(5);

/// How soon it is tried again after it could not be written.
const RETRY_FILE: Duration = Duration::from_secs(10);

/// How often the ConfigMap is written if there are new entries, and if there are only new samples.
const WRITE_CONFIG_MAP: Duration = Duration::from_mins(1);
const REFRESH_CONFIG_MAP: Duration = Duration::from_mins(10);

/// The same trouble is logged again after this long.
const REPEAT_TROUBLE: Duration = Duration::from_mins(1);

/// Keeps the history.
#[derive(Debug)]
pub struct HistoryKeeper {
    shared: Shared,
    metrics: Arc<Metrics>,
    file: Option<Place<HistoryFile>>,
    config_map: Option<Place<HistoryConfigMap>>,
    logged: Option<Timestamp>,
}

/// A place and how much of the history is in it.
#[derive(Debug)]
struct Place<P> {
    at: P,
    /// How many entries there had been when it was last written to; `None` if it must be written whole.
    seen: Option<u64>,
    /// When it was last written whole, or that was tried.
    written: Option<Timestamp>,
}

impl<P> Place<P> {
    fn new(at: P) -> Self {
        Self { at, seen: None, written: None }
    }

    fn is_due(&self, now: Timestamp, after: Duration) -> bool {
        // A clock that was set back must not keep the place from being written.
        self.written.is_none_or(|written| now < written || written + after <= now)
    }
}

impl HistoryKeeper {
    /// Reads what an earlier agent left, from the file or else from the ConfigMap, into `shared`.
    pub async fn open(
        file: Option<PathBuf>,
        config_map: Option<ConfigMapOptions>,
        shared: Shared,
        metrics: Arc<Metrics>,
    ) -> Self {
        let mut kept = Kept::default();
        let file = file.map(|path| {
            let (file, found) = HistoryFile::open(path);
            kept = found;
            Place::new(file)
        });
        let mut keeper = Self { shared, metrics, file, config_map: None, logged: None };
        if let Some(options) = config_map {
            match HistoryConfigMap::open(options).await {
                Ok((place, found)) => {
                    if kept.entries.is_empty() {
                        kept = found;
                    }
                    keeper.config_map = Some(Place::new(place));
                }
                Err(error) => keeper.tell(clock::now(), &Trouble::new("history", "config_map", &error)),
            }
        }
        if !kept.entries.is_empty() {
            tracing::info!(entries = kept.entries.len(), "the history of an earlier agent is gone on with");
        }
        keeper.shared.restore(kept);
        keeper
    }

    /// Keeps it until dropped.
    pub async fn run(&mut self) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.keep(clock::now(), false).await;
        }
    }

    /// The agent ends: everything is written once more.
    pub async fn close(mut self) {
        self.keep(clock::now(), true).await;
    }

    async fn keep(&mut self, now: Timestamp, at_once: bool) {
        let mut troubles = Vec::new();
        if let Some(file) = &mut self.file
            && let Err(error) = keep_in_file(file, now, &self.shared, at_once)
        {
            troubles.push(Trouble::new("history", "file", &error));
        }
        if let Some(config_map) = &mut self.config_map {
            let count = self.shared.history_count();
            let after = if config_map.seen == Some(count) { REFRESH_CONFIG_MAP } else { WRITE_CONFIG_MAP };
            if at_once || config_map.is_due(now, after) {
                config_map.written = Some(now);
                match config_map.at.write(&self.shared.kept()).await {
                    Ok(()) => config_map.seen = Some(count),
                    Err(error) => troubles.push(Trouble::new("history", "config_map", &error)),
                }
            }
        }
        for trouble in troubles {
            self.tell(now, &trouble);
        }
    }

    fn tell(&mut self, now: Timestamp, trouble: &Trouble) {
        self.metrics.troubled(std::slice::from_ref(trouble));
        if self.logged.is_none_or(|logged| now < logged || logged + REPEAT_TROUBLE <= now) {
            self.logged = Some(now);
            tracing::warn!(source = trouble.source, kind = trouble.kind, "{}", trouble.message);
        }
    }
}

fn keep_in_file(
    file: &mut Place<HistoryFile>,
    now: Timestamp,
    shared: &Shared,
    at_once: bool,
) -> Result<(), crate::report::history_file::SaveError> {
    let count = shared.history_count();
    let seen = file.seen.filter(|_| !at_once && !file.is_due(now, REPLACE_FILE));
    match seen {
        Some(seen) if seen == count => Ok(()),
        Some(seen) => {
            let appended = file.at.append(&shared.history_since(seen));
            // What may have been appended in part is replaced as a whole.
            file.seen = appended.is_ok().then_some(count);
            appended
        }
        None if !at_once && !file.is_due(now, RETRY_FILE) => Ok(()),
        None => {
            file.written = Some(now);
            file.at.replace(&shared.kept())?;
            file.seen = Some(count);
            Ok(())
        }
    }
}
