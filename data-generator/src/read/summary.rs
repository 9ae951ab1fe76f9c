//! What a run of `read` came to, as text and as JSON.

use super::checks::Counts;
use super::progress::Sample;
use super::shared::{GroupEvents, Shared};
use crate::report::{Latencies, LatencySummary, round};
use roaring::RoaringTreemap;
use serde::Serialize;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Runs of missing events that are shown for each writer.
const RUNS_SHOWN: usize = 5;

/// A run, from its start to the last saved position.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Summary {
    kind: &'static str,
    controller: String,
    scope: String,
    stream: String,
    group: String,
    /// The process, as its ledger and its readers are named.
    name: String,
    readers: u32,
    iterations: u64,
    started: String,
    ended: String,
    seconds: f64,
    /// `signal`, `events`, `idle`, `end of stream` or `failure`.
    ended_by: &'static str,
    errors: Vec<String>,
    /// Whether all positions are saved: whoever goes on reads nothing twice.
    positions_saved: bool,
    #[serde(flatten)]
    counts: Counts,
    /// From the first event to the last.
    busy_seconds: f64,
    /// Events per second in that time.
    rate: f64,
    /// From the intended time to the end of the processing; absent when nothing was processed.
    latency_ms: Option<LatencySummary>,
    /// At the end; absent when it is unknown.
    lag_bytes: Option<u64>,
    segments_acquired: u64,
    segments_released: u64,
    segments_finished: u64,
    readers_struck_off: u64,
    readers_evicted: u64,
    troubles: u64,
    /// Bytes that retention had cut off before they could be read.
    cut_off_bytes: u64,
    writers: Vec<WriterSummary>,
}

/// What this process has seen of one writer. What is missing here others may have read.
#[derive(Clone, Debug, Serialize)]
struct WriterSummary {
    writer: u32,
    /// Different events.
    events: u64,
    last: u64,
    /// Of the events 0 to `last`.
    missing: u64,
    /// The first runs of them, first and last of each.
    missing_runs: Vec<[u64; 2]>,
}

/// How the run ended.
pub(super) struct Ending {
    pub(super) started: jiff::Timestamp,
    pub(super) ended: jiff::Timestamp,
    pub(super) by: &'static str,
    pub(super) errors: Vec<String>,
    pub(super) positions_saved: bool,
}

impl Summary {
    pub(super) fn new(
        shared: &Shared,
        sample: &Sample,
        latencies: &Latencies,
        took: Duration,
        ending: &Ending,
    ) -> Self {
        let plan = &shared.plan;
        let counts = sample.counts;
        let of = |count: fn(&GroupEvents) -> &AtomicU64| count(&shared.events).load(Relaxed);
        let busy = shared.checks().busy_for().as_secs_f64();
        Self {
            kind: "summary",
            controller: plan.session.controllers.to_string(),
            scope: plan.stream.scope.name.clone(),
            stream: plan.stream.stream.name.clone(),
            group: plan.group.clone(),
            name: plan.name.clone(),
            readers: plan.readers,
            iterations: plan.iterations,
            started: format!("{:.3}", ending.started),
            ended: format!("{:.3}", ending.ended),
            seconds: round(took.as_secs_f64()),
            ended_by: ending.by,
            errors: ending.errors.clone(),
            positions_saved: ending.positions_saved,
            counts,
            busy_seconds: round(busy),
            rate: if busy > 0.0 { round(counts.events as f64 / busy) } else { 0.0 },
            latency_ms: LatencySummary::new(latencies),
            lag_bytes: sample.lag_bytes,
            segments_acquired: of(|events| &events.acquired),
            segments_released: of(|events| &events.released),
            segments_finished: of(|events| &events.finished),
            readers_struck_off: sample.struck_off,
            readers_evicted: sample.evicted,
            troubles: sample.troubles,
            cut_off_bytes: of(|events| &events.cut_off),
            writers: shared.checks().writers.iter().map(|(writer, seen)| WriterSummary::new(*writer, seen)).collect(),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let Counts { events, bytes, redelivered, duplicates, out_of_order, foreign } = self.counts;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{events} events ({bytes} bytes) of {}/{} processed by {} in {:.1} s; ended by {}",
            self.scope, self.stream, self.name, self.seconds, self.ended_by
        );
        let lag = self.lag_bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{bytes} bytes"));
        let _ = writeln!(text, "  rate     {:.1}/s from the first to the last; left behind: {lag}", self.rate);
        if let Some(latency) = &self.latency_ms {
            let _ = writeln!(text, "  latency  from intended time to the end of processing: {latency}");
        }
        let _ = writeln!(
            text,
            "  twice    {redelivered} redelivered (same place of the stream), {duplicates} duplicates (same id at another place)"
        );
        if out_of_order + foreign + self.cut_off_bytes > 0 {
            let _ = writeln!(
                text,
                "  others   {out_of_order} out of order, {foreign} not ours, {} bytes cut off by retention before they were read",
                self.cut_off_bytes
            );
        }
        let _ = writeln!(
            text,
            "  group    {} segments taken, {} given back, {} read to the end; {} readers struck off, {} of ours struck off by others",
            self.segments_acquired,
            self.segments_released,
            self.segments_finished,
            self.readers_struck_off,
            self.readers_evicted
        );
        for writer in &self.writers {
            let _ = writeln!(text, "  {}", writer.text());
        }
        for error in &self.errors {
            let _ = writeln!(text, "  error    {error}");
        }
        text
    }
}

impl WriterSummary {
    fn new(writer: u32, seen: &RoaringTreemap) -> Self {
        let last = seen.max().unwrap_or_default();
        let events = seen.len();
        Self {
            writer,
            events,
            last,
            missing: last + 1 - events,
            missing_runs: missing_runs(seen, last).take(RUNS_SHOWN).collect(),
        }
    }

    fn text(&self) -> String {
        let Self { writer, events, last, missing, .. } = self;
        if *missing == 0 {
            return format!("writer {writer} events {writer}.0 to {writer}.{last}, none missing");
        }
        let runs: Vec<String> = self.missing_runs.iter().map(|[first, last]| format!("{first}-{last}")).collect();
        format!(
            "writer {writer} {events} of the events {writer}.0 to {writer}.{last}; {missing} not here ({}...)",
            runs.join(", ")
        )
    }
}

/// The gaps in what was seen, up to `last`.
pub(super) fn missing_runs(seen: &RoaringTreemap, last: u64) -> impl Iterator<Item = [u64; 2]> {
    let mut next = 0;
    seen.iter().chain([last + 1]).filter_map(move |sequence| {
        let gap = (sequence > next).then(|| [next, sequence - 1]);
        next = sequence + 1;
        gap
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_found() {
        let seen = [1, 2, 5].into_iter().collect::<RoaringTreemap>();
        assert_eq!(missing_runs(&seen, 7).collect::<Vec<_>>(), [[0, 0], [3, 4], [6, 7]]);
        assert_eq!(missing_runs(&(0..4).collect(), 3).count(), 0);
    }
}
