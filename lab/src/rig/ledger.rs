//! What the job has counted, by the files that it committed exactly once (`--ledger`): one event id a
//! line, `dup` before it if Flink's keyed state had that id already.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::generator::Written;
use crate::clock::Deadline;

/// The folder of committed files.
#[derive(Clone, Debug)]
pub struct Ledger(PathBuf);

/// The ledger held against what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Events acknowledged by Pravega.
    pub written: u64,
    /// Different events in the ledger.
    pub counted: u64,
    /// Acknowledged, but not in the ledger.
    pub lost: u64,
    /// In the ledger more than once, or twice in Flink's state.
    pub duplicated: u64,
    /// In the ledger, but never acknowledged.
    pub unknown: u64,
}

impl Proof {
    /// Every event exactly once.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.written == self.counted && self.lost == 0 && self.duplicated == 0 && self.unknown == 0
    }
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { written, counted, lost, duplicated, unknown } = self;
        write!(
            f,
            "{written} events written, {counted} counted, {lost} lost, {duplicated} duplicated, {unknown} unknown"
        )
    }
}

impl Ledger {
    /// The ledger in this folder; the job makes it.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Holds the committed files against what was written.
    pub fn prove(&self, written: &Written) -> Result<Proof> {
        let mut seen: BTreeMap<u32, Vec<bool>> = BTreeMap::new();
        for (writer, events) in &written.writers {
            seen.insert(*writer, vec![false; usize::try_from(*events)?]);
        }
        let mut proof = Proof { written: written.events(), ..Proof::default() };
        for file in committed(&self.0)? {
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            for line in text.lines() {
                let Some(id) = line.strip_prefix("dup ").or(Some(line)).and_then(|id| id.split_once('.')) else {
                    bail!("{}: '{line}' is no event id", file.display());
                };
                let (writer, sequence): (u32, usize) = (id.0.parse()?, id.1.parse()?);
                match seen.get_mut(&writer).and_then(|events| events.get_mut(sequence)) {
                    Some(true) => proof.duplicated += 1,
                    Some(event) => *event = true,
                    None => proof.unknown += 1,
                }
            }
        }
        let flags = || seen.values().flatten();
        proof.counted = flags().filter(|seen| **seen).count() as u64;
        proof.lost = proof.written - proof.counted;
        Ok(proof)
    }

    /// Waits until every event is in the ledger (it is written at checkpoints), then looks again a
    /// little later, so that what would come twice has time to.
    pub async fn settle(&self, written: &Written, limit: Duration) -> Result<Proof> {
        let deadline = Deadline::after(limit);
        loop {
            let proof = self.prove(written)?;
            if proof.lost == 0 {
                tokio::time::sleep(Duration::from_secs(5)).await;
                return self.prove(written);
            }
            if deadline.is_over() {
                return Ok(proof);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// Files that are not committed yet begin with a dot.
fn committed(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return Ok(files) };
    for entry in entries {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_duplicates_and_strangers_are_told_apart() -> Result<()> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("part-0"), "7.0\n7.1\n7.1\n")?;
        fs::write(folder.path().join("part-1"), "dup 7.0\n8.0\n9.9\n")?;
        fs::write(folder.path().join(".part-2.inprogress"), "7.2\n")?;
        let written = Written { writers: [(7, 3), (8, 1)].into(), retries: 0 };
        let proof = Ledger::new(folder.path().into()).prove(&written)?;
        assert_eq!(proof, Proof { written: 4, counted: 3, lost: 1, duplicated: 2, unknown: 1 });
        assert!(!proof.holds());
        Ok(())
    }
}
