//! `reconcile`: the ledgers of all readers against the summaries of all writers.
//!
//! A lease of a segment begins where the one before it had last saved its position. So what a lease
//! delivered beyond the beginning of a later lease of the same segment was delivered again by that
//! one: these are the *redeliveries*. Everything else was delivered once, each place of the stream,
//! and an id that stands at two places is a *duplicate* that a writer's retry has made.

use super::ledger::{self, Head, Line};
use super::summary::missing_runs;
use crate::args::ReconcileArgs;
use crate::console;
use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Runs of lost events that are shown for each writer.
const RUNS_SHOWN: usize = 10;

/// Why there is no good result.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// Acknowledged events that nobody has read.
    #[error("{0} events were acknowledged and not read")]
    Lost(u64),
    /// A file that cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// What a writer's summary says of itself, as far as it matters here.
#[derive(Debug, Deserialize)]
struct WriterRun {
    scope: String,
    stream: String,
    writers: Vec<Writer>,
}

#[derive(Debug, Deserialize)]
struct Writer {
    #[serde(rename = "writer")]
    id: u32,
    written: u64,
    retries: u64,
    unacknowledged: Vec<[u64; 2]>,
}

/// The result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Account {
    /// Processes that read.
    readers: usize,
    /// Events delivered to all of them together, with those that were so twice.
    delivered: u64,
    /// Different events among them.
    different: u64,
    /// Events delivered again because their reader had died before it saved its position.
    redelivered: u64,
    /// Places of the stream that hold an event which also stands at an earlier place.
    duplicates: u64,
    /// Events that writers sent again because they could not know whether the first try had arrived:
    /// the most that duplicates can be.
    retries: Option<u64>,
    /// Events that writers have written; absent without their summaries.
    written: Option<u64>,
    acknowledged: Option<u64>,
    /// Acknowledged and not read; without summaries the gaps in the numbers.
    lost: u64,
    lost_runs: BTreeMap<u32, Vec<[u64; 2]>>,
    /// Read although the writer got no acknowledgement: those were not lost either.
    read_unacknowledged: u64,
    /// Read and of a writer whose summary is not here.
    of_unknown_writers: u64,
}

/// Runs the command.
pub(crate) fn run(args: &ReconcileArgs) -> Result<(), ReconcileError> {
    let mut heads: Vec<Head> = Vec::new();
    let mut lines = Vec::new();
    for path in files(&args.ledgers)? {
        let (head, of_file) = ledger::read(&path).map_err(|reason| in_file(&path, reason))?;
        if let Some(first) = heads.first().filter(|first| (&first.stream, &first.group) != (&head.stream, &head.group))
        {
            let reason = format!(
                "it is of {} and group {}, others are of {} and group {}; reconcile each alone",
                head.stream, head.group, first.stream, first.group
            );
            return Err(in_file(&path, reason));
        }
        heads.push(head);
        lines.extend(of_file);
    }
    let mut writers = BTreeMap::new();
    for path in &args.written {
        let text = std::fs::read_to_string(path).map_err(|error| in_file(path, error.to_string()))?;
        let run: WriterRun = serde_json::from_str(&text).map_err(|error| in_file(path, error.to_string()))?;
        let stream = format!("{}/{}", run.scope, run.stream);
        if heads.iter().any(|head| head.stream != stream) {
            return Err(in_file(path, format!("it is of {stream}, the ledgers are not")));
        }
        for writer in run.writers {
            let id = writer.id;
            if writers.insert(id, writer).is_some() {
                let reason = format!("writer {id} is in another summary, too; give each run its own --first-writer");
                return Err(in_file(path, reason));
            }
        }
    }
    let account = settle(heads.len(), &lines, &writers).map_err(|reason| in_file(Path::new("ledger"), reason))?;
    if args.json {
        console::json_line(&account);
    } else {
        console::text(&account.text(), false);
    }
    if account.lost > 0 { Err(ReconcileError::Lost(account.lost)) } else { Ok(()) }
}

fn in_file(path: &Path, reason: String) -> ReconcileError {
    ReconcileError::File { path: path.to_owned(), reason }
}

/// The ledgers among these, and in these folders.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ReconcileError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(|error| in_file(path, error.to_string()))?;
        let before = files.len();
        files.extend(
            entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "ledger")),
        );
        if files.len() == before {
            return Err(in_file(path, "no ledgers in this folder".to_owned()));
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn settle(readers: usize, lines: &[Line], written: &BTreeMap<u32, Writer>) -> Result<Account, String> {
    let starts = lease_starts(lines);
    let mut account = Account { readers, ..Account::default() };
    let mut all: BTreeMap<u32, RoaringTreemap> = BTreeMap::new();
    let mut once: BTreeMap<u32, RoaringTreemap> = BTreeMap::new();
    let mut at_different_places = 0;
    for line in lines {
        account.delivered += line.events;
        let again = starts
            .get(&line.segment)
            .is_some_and(|leases| leases.range(line.lease + 1..).any(|(_, start)| *start <= line.from));
        let mut of_ours = 0;
        for (writer, text) in &line.ids {
            for (first, last) in ledger::runs(text)? {
                of_ours += last + 1 - first;
                all.entry(*writer).or_default().insert_range(first..=last);
                if !again {
                    once.entry(*writer).or_default().insert_range(first..=last);
                }
            }
        }
        if again {
            account.redelivered += line.events;
        } else {
            at_different_places += of_ours;
        }
    }
    account.different = count(&all);
    account.duplicates = at_different_places - count(&once);
    if written.is_empty() {
        for (writer, seen) in &all {
            account.lose(*writer, missing_runs(seen, seen.max().unwrap_or_default()));
        }
    } else {
        account.compare(&all, written);
    }
    Ok(account)
}

/// Where each lease of each segment begins. A lease that delivered nothing has none; it has not moved
/// the position either.
fn lease_starts(lines: &[Line]) -> BTreeMap<i64, BTreeMap<u64, i64>> {
    let mut starts: BTreeMap<i64, BTreeMap<u64, i64>> = BTreeMap::new();
    for line in lines {
        let start = starts.entry(line.segment).or_default().entry(line.lease).or_insert(line.from);
        *start = line.from.min(*start);
    }
    starts
}

fn count(seen: &BTreeMap<u32, RoaringTreemap>) -> u64 {
    seen.values().map(RoaringTreemap::len).sum()
}

impl Account {
    fn compare(&mut self, all: &BTreeMap<u32, RoaringTreemap>, written: &BTreeMap<u32, Writer>) {
        let (mut events, mut acknowledged, mut retries) = (0, 0, 0);
        for (id, writer) in written {
            let mut expected = RoaringTreemap::new();
            expected.insert_range(0..writer.written);
            let mut unacknowledged = RoaringTreemap::new();
            for [first, last] in &writer.unacknowledged {
                unacknowledged.insert_range(*first..=*last);
            }
            let none = RoaringTreemap::new();
            let seen = all.get(id).unwrap_or(&none);
            self.read_unacknowledged += (&unacknowledged & seen).len();
            expected -= &unacknowledged;
            events += writer.written;
            acknowledged += expected.len();
            retries += writer.retries;
            expected -= seen;
            self.lose(*id, runs_of(&expected).into_iter());
        }
        self.of_unknown_writers =
            all.iter().filter(|(id, _)| !written.contains_key(id)).map(|(_, seen)| seen.len()).sum();
        (self.written, self.acknowledged, self.retries) = (Some(events), Some(acknowledged), Some(retries));
    }

    fn lose(&mut self, writer: u32, runs: impl Iterator<Item = [u64; 2]>) {
        for run in runs {
            self.lost += run[1] + 1 - run[0];
            let shown = self.lost_runs.entry(writer).or_default();
            if shown.len() < RUNS_SHOWN {
                shown.push(run);
            }
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let or_unknown = |number: Option<u64>| number.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} events written, {} acknowledged, {} different ones read by {} processes; {} lost",
            or_unknown(self.written),
            or_unknown(self.acknowledged),
            self.different,
            self.readers,
            self.lost
        );
        let _ =
            writeln!(text, "  redelivered  {} (read again from a dead reader's last saved position)", self.redelivered);
        let _ = writeln!(
            text,
            "  duplicates   {} (in the stream twice; the writers sent {} events again)",
            self.duplicates,
            or_unknown(self.retries)
        );
        if self.read_unacknowledged > 0 {
            let _ = writeln!(text, "  read although unacknowledged  {}", self.read_unacknowledged);
        }
        if self.of_unknown_writers > 0 {
            let _ = writeln!(text, "  of writers whose summary is not here  {}", self.of_unknown_writers);
        }
        for (writer, runs) in &self.lost_runs {
            let runs: Vec<String> = runs.iter().map(|[first, last]| format!("{first}-{last}")).collect();
            let _ = writeln!(text, "  writer {writer} lost {}", runs.join(", "));
        }
        text
    }
}

fn runs_of(set: &RoaringTreemap) -> Vec<[u64; 2]> {
    let mut runs: Vec<[u64; 2]> = Vec::new();
    for sequence in set {
        match runs.last_mut() {
            Some([_, last]) if *last + 1 == sequence => *last = sequence,
            _ => runs.push([sequence, sequence]),
        }
    }
    runs
}

#[cfg(test)]
mod tests;
