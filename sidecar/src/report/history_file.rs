//! The history as text, and the file that it outlives the agent in: one line of JSON that says what it is,
//! with the samples of the plot, and one line for each entry.
//!
//! New entries are appended as they come; now and then the whole is replaced at once, so that it stays as
//! short as the history in memory. Whatever is wrong with the file is told and never stops the agent.

use std::{
    ffi::OsString,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::report::{history::Entry, samples::Samples};

const VERSION: u32 = 1;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    sluice_history: u32,
    samples: Samples,
}

/// What is kept: entries, oldest first, and samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The samples.
    pub samples: Samples,
}

/// Why a history cannot be read, or not whole.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum Damage {
    #[error("it is of version {0}, this agent writes {VERSION}")]
    Version(u32),
    #[error("its first line does not say that it is a history: {0}")]
    NotOne(serde_json::Error),
    #[error("line {line} is broken ({why}), {good} entries before it are good")]
    Line { line: usize, why: serde_json::Error, good: usize },
    #[error("its samples contradict themselves")]
    Samples,
}

impl Kept {
    /// As text.
    pub fn to_text(&self) -> serde_json::Result<String> {
        let mut text = serde_json::to_string(&Head { sluice_history: VERSION, samples: self.samples.clone() })?;
        for entry in &self.entries {
            text.push('\n');
            text.push_str(&serde_json::to_string(entry)?);
        }
        text.push('\n');
        Ok(text)
    }

    /// Reads such a text: what can be read of it, and what is wrong with the rest.
    #[must_use]
    pub fn from_text(text: &str) -> (Self, Option<Damage>) {
        #[derive(Deserialize)]
        struct Version {
            sluice_history: u32,
        }
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        match serde_json::from_str::<Version>(first) {
            Ok(Version { sluice_history: VERSION }) => {}
            Ok(Version { sluice_history: other }) => return (Self::default(), Some(Damage::Version(other))),
            Err(error) => return (Self::default(), Some(Damage::NotOne(error))),
        }
        let samples = serde_json::from_str::<Head>(first).ok().and_then(|head| head.samples.sound());
        let mut damage = samples.is_none().then_some(Damage::Samples);
        let mut entries = Vec::new();
        for (index, line) in lines.enumerate() {
            match serde_json::from_str(line) {
                Ok(entry) => entries.push(entry),
                Err(why) => {
                    damage = Some(Damage::Line { line: index + 2, why, good: entries.len() });
                    break;
                }
            }
        }
        (Self { entries, samples: samples.unwrap_or_default() }, damage)
    }
}

/// The file.
#[derive(Debug)]
pub struct HistoryFile {
    path: PathBuf,
}

impl HistoryFile {
    /// Reads what an earlier agent left. A file that cannot be understood, or not to its end, is set aside
    /// as `FILE.bad`.
    #[must_use]
    pub fn open(path: PathBuf) -> (Self, Kept) {
        let kept = match fs::read(&path) {
            Ok(bytes) => {
                let (kept, damage) = Kept::from_text(&String::from_utf8_lossy(&bytes));
                if let Some(damage) = damage {
                    set_aside(&path, &damage);
                }
                kept
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "the history file cannot be read; starting without history");
                Kept::default()
            }
        };
        (Self { path }, kept)
    }

    /// Replaces the whole at once.
    pub fn replace(&self, kept: &Kept) -> Result<(), SaveError> {
        let temporary = beside(&self.path, ".tmp");
        let replaced = kept.to_text().map_err(io::Error::from).and_then(|text| {
            fs::write(&temporary, text)?;
            fs::rename(&temporary, &self.path)
        });
        replaced.map_err(|source| SaveError { path: self.path.clone(), source })
    }

    /// Adds entries at the end.
    pub fn append(&self, entries: &[Entry]) -> Result<(), SaveError> {
        let appended = (|| {
            let mut text = String::new();
            for entry in entries {
                text.push_str(&serde_json::to_string(entry)?);
                text.push('\n');
            }
            fs::OpenOptions::new().append(true).open(&self.path)?.write_all(text.as_bytes())
        })();
        appended.map_err(|source| SaveError { path: self.path.clone(), source })
    }
}

/// The history cannot be saved. The agent goes on without.
#[derive(Debug, Error)]
#[error("--history-file {}: cannot be written: {source}", path.display())]
pub struct SaveError {
    path: PathBuf,
    source: io::Error,
}

fn set_aside(path: &Path, damage: &Damage) {
    let aside = beside(path, ".bad");
    let moved = fs::rename(path, &aside).is_ok();
    tracing::warn!(
        file = %path.display(), problem = %damage, set_aside = %aside.display(), moved,
        "the history file cannot be understood, or not to its end; it is set aside"
    );
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use sluice_core::{Decision, Hold};

    use super::*;
    use crate::report::history::History;

    fn entries() -> Vec<Entry> {
        let mut history = History::new(10);
        for (n, hold) in
            [Hold::InStep, Hold::NotLeader { leader: "b".into() }, Hold::Paused { by: "<b>&\n\"me\"".into() }]
                .into_iter()
                .enumerate()
        {
            assert!(history.decision(Timestamp::UNIX_EPOCH + Duration::from_secs(n as u64), &Decision::Hold(hold)));
        }
        history.entries().cloned().collect()
    }

    #[test]
    fn what_was_replaced_and_appended_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        let (file, nothing) = HistoryFile::open(path.clone());
        assert_eq!(nothing, Kept::default());
        let entries = entries();
        file.replace(&Kept { entries: entries[..1].to_vec(), samples: Samples::default() }).unwrap();
        file.append(&entries[1..]).unwrap();
        assert_eq!(HistoryFile::open(path.clone()).1, Kept { entries, samples: Samples::default() });
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn damage_is_told_and_set_aside_and_what_is_good_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        let text = Kept { entries: entries(), samples: Samples::default() }.to_text().unwrap();
        let truncated = &text[..text.len() - 20];
        let head = text.lines().next().unwrap();
        for (damage, good) in [
            (String::new(), 0),
            ("not json\n".into(), 0),
            ("{\"sluice_history\":99,\"of\":\"another kind\"}\n".into(), 0),
            ("{\"sluice_history\":1,\"samples\":[{\"every\":2}]}\n".into(), 0),
            (head[..head.len() / 2].into(), 0),
            (truncated.into(), 2),
            (format!("{text}\u{fffd}\n"), 3),
        ] {
            fs::write(&path, &damage).unwrap();
            assert_eq!(HistoryFile::open(path.clone()).1.entries, entries()[..good], "{damage}");
            assert!(!path.exists(), "{damage}");
            assert_eq!(fs::read_to_string(dir.path().join("history.jsonl.bad")).unwrap(), damage);
        }
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_that_names_the_flag() {
        let (file, _) = HistoryFile::open("/proc/history.jsonl".into());
        let error = file.replace(&Kept::default()).unwrap_err().to_string();
        assert!(error.contains("--history-file /proc/history.jsonl"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            let _ = Kept::from_text(&text);
            let _ = Kept::from_text(&format!("{{\"sluice_history\":1,\"samples\":[]}}\n{text}"));
        }
    }
}
