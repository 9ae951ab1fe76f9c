//! The ledger: a file in which a process puts down what it has delivered, line by line, before it
//! saves its positions. Killed at any moment it leaves an account that is complete up to a tenth of a
//! second before, and never behind the saved positions. `reconcile` reads the ledgers of all.
//!
//! The first line names the stream, the group and the process; each further one is what one lease
//! delivered between two offsets of its segment:
//!
//! ```text
//! {"segment":1,"lease":4,"from":2280,"to":2736,"events":2,"ids":{"0":"17-18"}}
//! ```

use super::lease::{Entry, Hold, Runs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The first line of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) stream: String,
    pub(super) group: String,
    /// The process.
    pub(super) name: String,
    pub(super) started: String,
}

/// A further line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) segment: i64,
    pub(super) lease: u64,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) events: u64,
    /// By writer, its sequence numbers: `5-9,11`.
    pub(super) ids: BTreeMap<u32, String>,
}

impl Line {
    pub(super) fn new(hold: &Hold, entry: &Entry) -> Self {
        Self {
            segment: hold.segment,
            lease: hold.number,
            from: entry.from,
            to: entry.to,
            events: entry.events,
            ids: entry.ids.iter().map(|(writer, runs)| (*writer, in_words(runs))).collect(),
        }
    }
}

/// A ledger that is being written.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    file: File,
}

impl Ledger {
    /// Creates `NAME.ledger` in this folder, and the folder.
    pub(super) fn create(folder: &Path, head: &Head) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.ledger", head.name));
        let file = OpenOptions::new().create_new(true).append(true).open(&path)?;
        let mut ledger = Self { path, file };
        ledger.append(&[head])?;
        Ok(ledger)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds lines, in one piece.
    pub(super) fn append<T: Serialize>(&mut self, lines: &[T]) -> io::Result<()> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        self.file.write_all(&text)
    }
}

/// Reads a ledger. The last line may be torn: then its process was killed while it wrote it, and had
/// not saved the positions in it.
pub(super) fn read(path: &Path) -> Result<(Head, Vec<Line>), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut lines = whole.lines().enumerate();
    let bad = |(number, error): (usize, serde_json::Error)| format!("line {}: {error}", number + 1);
    let (_, first) = lines.next().ok_or("it is empty")?;
    let head = serde_json::from_str(first).map_err(|error| bad((0, error)))?;
    let lines: Result<Vec<Line>, String> =
        lines.map(|(number, line)| serde_json::from_str(line).map_err(|error| bad((number, error)))).collect();
    Ok((head, lines?))
}

fn in_words(runs: &Runs) -> String {
    let mut text = String::new();
    for (first, last) in runs {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = if first == last { write!(text, "{comma}{first}") } else { write!(text, "{comma}{first}-{last}") };
    }
    text
}

/// The runs of a text as [`Line::ids`] holds it.
pub(super) fn runs(text: &str) -> Result<Runs, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is not a number"));
    let run = |part: &str| match part.split_once('-') {
        Some((first, last)) => Ok((number(first)?, number(last)?)),
        None => number(part).map(|only| (only, only)),
    };
    text.split(',').filter(|part| !part.is_empty()).map(run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::checks::Seen;

    #[test]
    fn runs_read_back_as_they_were_written() {
        let all = vec![(5, 9), (11, 11), (3, 4)];
        assert_eq!(in_words(&all), "5-9,11,3-4");
        assert_eq!(runs("5-9,11,3-4"), Ok(all));
        assert_eq!(runs(""), Ok(Vec::new()));
        assert!(runs("5-x").is_err());
    }

    #[test]
    fn a_torn_last_line_does_not_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let head = Head { stream: "s/t".into(), group: "g".into(), name: "p".into(), started: "now".into() };
        let mut ledger = Ledger::create(folder.path(), &head).expect("created");
        let hold = Hold::new(1, 4, 0);
        assert!(hold.begin());
        let seen = |sequence| Seen { writer: 0, sequence, latency_us: 0, offset: 0 };
        hold.done(456, 2, &[seen(17), seen(18)]);
        let line = Line::new(&hold, &hold.take_entry().expect("something"));
        ledger.append(std::slice::from_ref(&line)).expect("written");
        ledger.file.write_all(b"{\"segment\":1,\"le").expect("written");
        assert_eq!(read(ledger.path()), Ok((head.clone(), vec![line])));
        assert!(Ledger::create(folder.path(), &head).is_err(), "an account of another run must not be overwritten");
    }
}
