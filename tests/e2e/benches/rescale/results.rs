//! What was measured, and the file that keeps it: one JSON object a line.

use std::{
    fmt, fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Error, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::{driver::Driver, session::Session};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// What a change costs, by who drives it.
    Changes,
    /// How long the job takes to follow the stream.
    Follow,
}

impl Part {
    /// Whom it compares.
    pub fn drivers(self) -> &'static [Driver] {
        match self {
            Self::Changes => &[Driver::Adaptive, Driver::Reactive, Driver::Bare, Driver::Stock],
            Self::Follow => &[Driver::Spare, Driver::Adaptive, Driver::Metrics],
        }
    }

    /// How many sessions it takes to have each figure so often: one session follows the stream twice.
    pub fn sessions(self, repeats: u32) -> u32 {
        match self {
            Self::Changes => repeats,
            Self::Follow => repeats.div_ceil(2),
        }
    }

    /// The changes of one session.
    pub fn changes(self, quick: bool) -> &'static [(u32, u32)] {
        match (self, quick) {
            (Self::Changes, false) => &[(1, 4), (4, 2), (2, 8), (8, 1)],
            (Self::Changes, true) => &[(1, 3), (3, 1)],
            (Self::Follow, false) => &[(1, 2), (2, 3)],
            (Self::Follow, true) => &[(1, 2)],
        }
    }
}

/// Which session a row is from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Key {
    pub part: Part,
    pub flink: String,
    pub driver: Driver,
    pub repeat: u32,
}

/// One line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "kebab-case")]
pub enum Row {
    /// What Flink was configured with.
    Settings {
        #[serde(flatten)]
        key: Key,
        settings: Vec<String>,
    },
    /// One change of width. Times in milliseconds.
    Change {
        #[serde(flatten)]
        key: Key,
        from: u32,
        to: u32,
        /// From the change of the stream at the controller to the job running at the new width.
        follow_ms: i64,
        /// From the decision to the job running at the new width.
        decision_ms: i64,
        restarts: u64,
        /// Records that came out again.
        replayed: usize,
        /// Records written per second.
        rate: u32,
        /// Longest silence in the output from the decision to the end.
        silence_ms: i64,
        /// The same in a quiet time of the same length.
        noise_ms: i64,
        /// How late a record was at most.
        late_ms: i64,
        /// Restarts and replayed records from the moment on at which the first TaskManager was gone.
        removal_restarts: Option<u64>,
        removal_replayed: Option<usize>,
    },
    /// A session that came to nothing.
    Failed {
        #[serde(flatten)]
        key: Key,
        why: String,
    },
}

impl Row {
    /// What Flink was configured with.
    pub fn settings(session: &Session, settings: Vec<String>) -> Self {
        Self::Settings { key: session.key(), settings }
    }

    /// A session that came to nothing.
    pub fn failed(session: &Session, error: &Error) -> Self {
        Self::Failed { key: session.key(), why: format!("{error:#}") }
    }

    /// The session that it is from.
    pub fn key(&self) -> &Key {
        match self {
            Self::Settings { key, .. } | Self::Change { key, .. } | Self::Failed { key, .. } => key,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings { settings, .. } => write!(f, "{}", settings.join(", ")),
            Self::Failed { why, .. } => write!(f, "failed: {why}"),
            Self::Change {
                from,
                to,
                follow_ms,
                decision_ms,
                restarts,
                replayed,
                silence_ms,
                noise_ms,
                late_ms,
                removal_restarts,
                removal_replayed,
                ..
            } => {
                write!(
                    f,
                    "{from}→{to}: {restarts} restarts, {replayed} replayed, silent {silence_ms} ms (noise \
                     {noise_ms}), {decision_ms} ms after the decision and {follow_ms} ms after the stream, late at \
                     most {late_ms} ms"
                )?;
                if let (Some(restarts), Some(replayed)) = (removal_restarts, removal_replayed) {
                    write!(f, "; removal: {restarts} restarts, {replayed} replayed")?;
                }
                Ok(())
            }
        }
    }
}

impl Session {
    /// Names the session.
    pub fn key(&self) -> Key {
        Key { part: self.part, flink: self.flink.clone(), driver: self.driver, repeat: self.repeat }
    }
}

/// All rows so far.
pub struct Results {
    path: PathBuf,
    rows: Vec<Row>,
}

impl Results {
    /// What the file has; nothing if it is not there or not wanted.
    pub fn open(path: &Path, fresh: bool) -> Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        if fresh {
            fs::write(path, "")?;
        }
        let text = if path.is_file() { fs::read_to_string(path)? } else { String::new() };
        let row = |line: &str| serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()));
        Ok(Self { path: path.to_owned(), rows: text.lines().map(row).collect::<Result<_>>()? })
    }

    /// All rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether a session was played to its end.
    pub fn has(&self, session: &Session) -> bool {
        let key = session.key();
        self.rows.iter().any(|row| matches!(row, Row::Change { .. }) && *row.key() == key)
    }

    /// Keeps more.
    pub fn add(&mut self, rows: Vec<Row>) -> Result<()> {
        let mut file = fs::File::options().create(true).append(true).open(&self.path)?;
        for row in rows {
            writeln!(file, "{}", serde_json::to_string(&row)?)?;
            self.rows.push(row);
        }
        Ok(())
    }
}
