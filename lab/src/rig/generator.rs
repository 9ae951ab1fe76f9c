//! The data generator as a process: the load, and what it swears to have written.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::binary;
use crate::process::{Launch, Process};
use crate::run_dir::RunDir;

/// What to write where.
#[derive(Clone, Debug)]
pub struct Load {
    /// What the lab calls the process.
    pub name: String,
    /// The controllers, separated by commas.
    pub controller: String,
    /// Scope of the stream.
    pub scope: String,
    /// The stream.
    pub stream: String,
    /// `--first-writer`: ids of its own for each load on one stream.
    pub first_writer: u32,
    /// Shape and further flags.
    pub flags: Vec<String>,
}

/// A running generator.
#[derive(Debug)]
pub struct Generator {
    process: Process,
    summary: PathBuf,
    read: u64,
    rate: f64,
}

/// What a generator has written, by its own account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Events acknowledged by each writer; their sequence numbers run from 0.
    pub writers: BTreeMap<u32, u64>,
    /// Events that may be in the stream twice.
    pub retries: u64,
}

impl Written {
    /// All events.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.writers.values().sum()
    }

    /// Reads the summary that a generator has written on its end (`--summary`); an error if an event was not
    /// acknowledged.
    pub fn read(summary: &Path) -> Result<Self> {
        let text = fs::read_to_string(summary).context("the generator's summary")?;
        let summary: Value = serde_json::from_str(&text)?;
        let mut written = Self { retries: summary["retries"].as_u64().unwrap_or_default(), ..Self::default() };
        for writer in summary["writers"].as_array().context("the summary names no writers")? {
            let id = writer["writer"].as_u64().and_then(|id| u32::try_from(id).ok()).context("a writer's id")?;
            let (sent, acknowledged) = (writer["written"].as_u64(), writer["acknowledged"].as_u64());
            ensure!(sent.is_some() && sent == acknowledged, "writer {id}: {acknowledged:?} of {sent:?} acknowledged");
            written.writers.insert(id, acknowledged.unwrap_or_default());
        }
        Ok(written)
    }

    /// Adds another load on the same stream.
    pub fn add(&mut self, other: Self) {
        self.writers.extend(other.writers);
        self.retries += other.retries;
    }
}

impl Generator {
    /// Starts writing; the generator creates scope and stream if they are missing.
    pub fn start(run: &RunDir, load: &Load) -> Result<Self> {
        let summary = run.path().join(format!("{}.summary.json", load.name));
        let launch = Launch::new(binary("data-generator")?)
            .args(["write", "--controller", &load.controller, "--scope", &load.scope, "--stream", &load.stream])
            .args(["--first-writer", &load.first_writer.to_string(), "--progress", "json", "--summary"])
            .arg(&summary)
            .args(&load.flags);
        let process = Process::start(run, &load.name, &launch)?;
        Ok(Self { process, summary, read: 0, rate: 0.0 })
    }

    /// Events per second acknowledged lately. Zero once it has ended.
    pub fn rate(&mut self) -> f64 {
        let mut fresh = String::new();
        let read = fs::File::open(self.process.log()).and_then(|mut log| {
            log.seek(SeekFrom::Start(self.read))?;
            log.read_to_string(&mut fresh)
        });
        // A line that is not whole yet is read again next time.
        if read.is_ok()
            && let Some(end) = fresh.rfind('\n')
        {
            self.read += end as u64 + 1;
            let mut samples = fresh[..end].lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(last) = samples.rfind(|sample| sample["kind"] == "progress") {
                self.rate = last["rate"].as_f64().unwrap_or_default();
            }
        }
        if self.process.ended().is_some() {
            self.rate = 0.0;
        }
        self.rate
    }

    /// Waits for its end and reads what it has written.
    pub async fn finish(mut self, limit: Duration) -> Result<Written> {
        let status = self.process.wait(limit).await;
        let status = status.with_context(|| format!("the generator still writes after {} s", limit.as_secs()))?;
        ensure!(
            status.success(),
            "the generator failed: {}",
            self.process.check().map_or_else(|e| e.to_string(), |()| String::new())
        );
        Written::read(&self.summary)
    }

    /// Asks it to stop (SIGTERM): it waits for its acknowledgements.
    pub async fn stop(mut self) -> Result<Written> {
        self.process.ask_to_stop();
        self.finish(Duration::from_mins(1)).await
    }
}
