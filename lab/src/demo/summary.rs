//! What the run came to.

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use super::record::{BETWEEN_LOOKS, Record, SegmentChange};
use crate::rig::Proof;

/// The closing words of the demo.
#[derive(Debug)]
pub struct Summary {
    rows: Vec<Row>,
    restarts: u64,
    proof: Proof,
    seconds: f64,
}

/// One change that the agent made.
#[derive(Debug)]
struct Row {
    direction: String,
    from: u64,
    to: u64,
    /// From the change of the stream to the decision, in seconds; `None` if the stream had not changed
    /// (an empty pool that was filled).
    decided_after: Option<f64>,
    took: f64,
    outcome: String,
    restarts: Option<u64>,
}

impl Summary {
    /// Reads the changes out of the agent's history.
    pub fn new(record: &Record, history: &[Value], proof: Proof) -> Self {
        let ended = history.iter().filter(|entry| entry["event"] == "ended");
        let rows: Vec<_> = ended.filter_map(|entry| Row::new(entry, &record.segment_changes)).collect();
        let restarts = rows.iter().filter_map(|row| row.restarts).sum();
        Self { rows, restarts, proof, seconds: record.elapsed() }
    }
}

impl Row {
    fn new(entry: &Value, stream: &[SegmentChange]) -> Option<Self> {
        let change = &entry["change"];
        let started: Timestamp = change["started"].as_str()?.parse().ok()?;
        let ended: Timestamp = entry["at"].as_str()?.parse().ok()?;
        let to = change.pointer("/to/task_managers")?.as_u64()?;
        // The agent may well see a change before the recorder does, which looks five times a second.
        let cause = stream.iter().rfind(|seen| seen.at <= started + BETWEEN_LOOKS && seen.to == to);
        Some(Self {
            direction: change["direction"].as_str()?.to_owned(),
            from: change.pointer("/from/task_managers")?.as_u64()?,
            to,
            decided_after: cause.map(|cause| started.duration_since(cause.at).as_secs_f64().max(0.0)),
            took: ended.duration_since(started).as_secs_f64(),
            outcome: entry["outcome"].as_str().unwrap_or("failed").to_owned(),
            restarts: entry["cost"]["restarts"].as_u64(),
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nSummary after {:.0} s", self.seconds)?;
        writeln!(f, "  change    segment change → decision   decision → proven   restarts   outcome")?;
        for row in &self.rows {
            let decided = row.decided_after.map_or_else(|| "(empty pool)".to_owned(), |s| format!("{s:.2} s"));
            let restarts = row.restarts.map_or_else(|| "?".to_owned(), |n| n.to_string());
            writeln!(
                f,
                "  {:>4} {}→{}   {decided:>24}   {:>15.1} s   {restarts:>8}   {}",
                row.direction, row.from, row.to, row.took, row.outcome
            )?;
        }
        writeln!(f, "  (down: the decision waits for the scale-down window, here 20 s)")?;
        let Proof { written, counted, lost, duplicated, .. } = self.proof;
        writeln!(f, "  restarts of the job: {}", self.restarts)?;
        writeln!(
            f,
            "  events written: {written}, counted by the job: {counted}, lost: {lost}, duplicated: {duplicated}"
        )
    }
}
