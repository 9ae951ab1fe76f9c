//! What a run came to, as text and as JSON.

use super::WritePlan;
use super::segments::{Outage, Seen, SegmentsSeen};
use super::tally::Tally;
use super::writer::{Ended, Start};
use crate::report::{Latencies, LatencySummary, round};
use serde::Serialize;
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::Instant;

/// Runs of missing events that the text shows for each writer; the JSON has them all.
const RUNS_SHOWN: usize = 5;
/// Changes of the number of segments that the text shows.
const CHANGES_SHOWN: usize = 12;

/// A run, from its start to the last acknowledgement.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Summary {
    kind: &'static str,
    controller: String,
    scope: String,
    stream: String,
    shape: String,
    event_bytes: usize,
    started: String,
    ended: String,
    /// From the start to the last acknowledgement.
    seconds: f64,
    /// What ended it: `schedule`, `signal` or `failure`.
    ended_by: &'static str,
    /// The failures, one line each; empty when all is well.
    errors: Vec<String>,
    /// Events that were due in the time the run lasted; absent when as many as possible were.
    due: Option<u64>,
    written: u64,
    acknowledged: u64,
    /// Events sent a second time because the outcome of the first was unknown: each may be in the
    /// stream twice.
    retries: u64,
    failed: u64,
    /// Events per second that were due.
    wanted_rate: Option<f64>,
    /// Events per second from the start to the last one sent, acknowledged in the end.
    rate: f64,
    max_behind_seconds: f64,
    /// From the intended time to the acknowledgement; absent when nothing was acknowledged.
    ack_latency_ms: Option<LatencySummary>,
    /// The segments of the stream whenever their number changed.
    segments: Vec<SegmentsSeen>,
    /// When the controller did not answer.
    controller_outages: Vec<Outage>,
    writers: Vec<WriterSummary>,
}

/// One writer. With `acknowledged == written` the events 0 to `written - 1` are in the stream.
#[derive(Clone, Debug, Serialize)]
struct WriterSummary {
    writer: u32,
    written: u64,
    acknowledged: u64,
    retries: u64,
    failed: u64,
    max_behind_seconds: f64,
    /// First and last sequence number of each run of events whose acknowledgement did not come: they
    /// may be in the stream or not.
    unacknowledged: Vec<[u64; 2]>,
}

/// How the run ended, as the flow of `write` knows it.
pub(super) struct Ending {
    pub(super) now: Instant,
    /// When a signal asked to stop, after the start.
    pub(super) stopped: Option<Duration>,
    /// Whether a second signal cut the wait for acknowledgements short.
    pub(super) left: bool,
    pub(super) writers: Vec<Ended>,
    pub(super) errors: Vec<String>,
    pub(super) seen: Seen,
}

impl Summary {
    pub(super) fn new(
        plan: &WritePlan,
        tallies: &[Arc<Tally>],
        start: Start,
        latencies: &Latencies,
        ending: &Ending,
    ) -> Self {
        let writers: Vec<WriterSummary> = (plan.first_writer..)
            .zip(tallies)
            .map(|(writer, tally)| WriterSummary::new(writer, tally, &ending.writers))
            .collect();
        let sum = |of: fn(&WriterSummary) -> u64| writers.iter().map(of).sum::<u64>();
        let elapsed = start.elapsed(ending.now);
        let stopped = ending.stopped.unwrap_or(elapsed);
        let end = plan.limits.end(&plan.load).map_or(stopped, |end| end.min(stopped));
        let due = plan.limits.due_before(&plan.load, end);
        let last_sent = tallies.iter().map(|tally| tally.last_sent()).max();
        let max_lag = tallies.iter().map(|tally| tally.max_lag()).max();
        let sending = end.max(last_sent.unwrap_or_default());
        let acknowledged = sum(|writer| writer.acknowledged);
        Self {
            kind: "summary",
            controller: plan.session.controllers.to_string(),
            scope: plan.stream.scope.clone(),
            stream: plan.stream.stream.clone(),
            shape: plan.load.to_string(),
            event_bytes: plan.event_size.bytes(),
            started: format!("{:.3}", start.wall),
            ended: format!("{:.3}", start.wall_at(ending.now)),
            seconds: round(elapsed.as_secs_f64()),
            ended_by: match (ending.errors.is_empty(), ending.stopped) {
                (false, _) => "failure",
                (true, Some(_)) => "signal",
                (true, None) => "schedule",
            },
            errors: ending.errors.clone(),
            due,
            written: sum(|writer| writer.written),
            acknowledged,
            retries: sum(|writer| writer.retries),
            failed: sum(|writer| writer.failed),
            wanted_rate: due.map(|due| per_second(due, end)),
            rate: per_second(acknowledged, sending),
            max_behind_seconds: round(max_lag.unwrap_or_default().as_secs_f64()),
            segments: ending.seen.segments.clone(),
            controller_outages: ending.seen.outages.clone(),
            ack_latency_ms: LatencySummary::new(latencies),
            writers,
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} of {} events acknowledged by {}/{} in {:.1} s; ended by {}",
            self.acknowledged, self.written, self.scope, self.stream, self.seconds, self.ended_by
        );
        let wanted = self.wanted_rate.map_or_else(|| "all it can".to_owned(), |rate| format!("{rate:.1}/s"));
        let _ = writeln!(
            text,
            "  rate     wanted {wanted}, got {:.1}/s; furthest behind {:.3} s",
            self.rate, self.max_behind_seconds
        );
        if let Some(latency) = &self.ack_latency_ms {
            let _ = writeln!(text, "  latency  from intended time to acknowledgement: {latency}");
        }
        let _ = write!(text, "  retries  {}, failed {}", self.retries, self.failed);
        let note = if self.retries > 0 { " (a retried event may be in the stream twice)" } else { "" };
        let _ = writeln!(text, "{note}");
        if !self.segments.is_empty() {
            let _ = writeln!(text, "  segments {}", history(&self.segments));
        }
        for outage in &self.controller_outages {
            let to = outage.to.map_or_else(|| "the end".to_owned(), |to| format!("{to:.0} s"));
            let _ = writeln!(text, "  away     the controller, from {:.0} s to {to}", outage.from);
        }
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
    fn new(writer: u32, tally: &Tally, ended: &[Ended]) -> Self {
        let written = tally.written.load(Relaxed);
        let acknowledged = tally.acknowledged.load(Relaxed);
        let runs = ended
            .iter()
            .find(|ended| ended.writer == writer)
            .map(|ended| ended.unacknowledged.as_slice())
            .unwrap_or_default();
        Self {
            writer,
            written,
            acknowledged,
            retries: tally.retries.load(Relaxed),
            failed: written - acknowledged,
            max_behind_seconds: round(tally.max_lag().as_secs_f64()),
            unacknowledged: runs.iter().map(|run| [*run.start(), *run.end()]).collect(),
        }
    }

    fn text(&self) -> String {
        let writer = self.writer;
        if self.failed == 0 {
            return match self.written.checked_sub(1) {
                Some(last) => format!("writer {writer} events {writer}.0 to {writer}.{last} acknowledged"),
                None => format!("writer {writer} no events"),
            };
        }
        let runs: Vec<String> =
            self.unacknowledged.iter().take(RUNS_SHOWN).map(|[first, last]| range(*first..=*last)).collect();
        let more = match self.unacknowledged.len().saturating_sub(RUNS_SHOWN) {
            // A writer that was cut short could not say any more.
            _ if runs.is_empty() => "it was cut short, which ones is unknown".to_owned(),
            0 => format!("not: {}", runs.join(", ")),
            more => format!("not: {} and {more} more runs", runs.join(", ")),
        };
        format!("writer {writer} {} of {} events acknowledged; {more}", self.acknowledged, self.written)
    }
}

/// `1, 3 from 61 s, 2 from 180 s`; the latest ones of a long history.
fn history(segments: &[SegmentsSeen]) -> String {
    let hidden = segments.len().saturating_sub(CHANGES_SHOWN);
    let shown: Vec<String> = segments[hidden..]
        .iter()
        .enumerate()
        .map(|(index, seen)| match index + hidden {
            0 => seen.segments.to_string(),
            _ => format!("{} from {:.0} s", seen.segments, seen.seconds),
        })
        .collect();
    let before = if hidden > 0 { format!("... {hidden} changes before, ") } else { String::new() };
    format!("{before}{}", shown.join(", "))
}

fn per_second(events: u64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 { round(events as f64 / seconds) } else { 0.0 }
}

fn range(run: RangeInclusive<u64>) -> String {
    if run.start() == run.end() { run.start().to_string() } else { format!("{} to {}", run.start(), run.end()) }
}
