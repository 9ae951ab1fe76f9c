//! Progress while the writers run: one sample a second, shown in the way that was asked for.

use super::WritePlan;
use super::metrics::WriteMetrics;
use super::segments::Seen;
use super::tally::Tally;
use super::writer::Start;
use crate::report::{Display, Latencies, percentile_ms, round};
use serde::Serialize;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::Instant;

/// Less is noise of the timer and of the machine, seconds.
const BEHIND_WORTH_SAYING: f64 = 0.1;

/// What is known at one moment, over all writers.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Sample {
    pub(super) kind: &'static str,
    /// Wall clock.
    pub(super) time: String,
    /// Seconds since the start.
    pub(super) seconds: f64,
    /// Events per second that the shape wants now; absent when it wants as many as possible.
    pub(super) wanted_rate: Option<f64>,
    /// Events per second acknowledged since the sample before.
    pub(super) rate: f64,
    pub(super) written: u64,
    pub(super) acknowledged: u64,
    pub(super) outstanding: u64,
    pub(super) retries: u64,
    pub(super) failed: u64,
    /// How far the writer that is furthest behind is behind.
    pub(super) behind_seconds: f64,
    pub(super) max_behind_seconds: f64,
    /// Segments of the stream; absent while that is unknown.
    pub(super) segments: Option<usize>,
    pub(super) controller_answers: bool,
    /// From the intended time to the acknowledgement, since the sample before; absent when nothing
    /// was acknowledged.
    pub(super) ack_p50_ms: Option<f64>,
    pub(super) ack_p99_ms: Option<f64>,
}

/// Takes and shows samples, and adds up the latencies.
pub(super) struct Progress {
    plan: Arc<WritePlan>,
    tallies: Vec<Arc<Tally>>,
    start: Start,
    display: Display,
    latencies: Latencies,
    last: (Duration, u64),
    metrics: WriteMetrics,
}

impl Progress {
    pub(super) fn new(
        plan: &Arc<WritePlan>,
        tallies: &[Arc<Tally>],
        start: Start,
        latencies: Latencies,
        metrics: WriteMetrics,
    ) -> Self {
        Self {
            plan: Arc::clone(plan),
            tallies: tallies.to_vec(),
            start,
            display: Display::new(plan.progress),
            latencies,
            last: (Duration::ZERO, 0),
            metrics,
        }
    }

    /// Takes a sample and shows it. `stopping`: nothing is wanted any more.
    pub(super) fn sample(&mut self, now: Instant, stopping: bool, seen: &Seen) {
        let sample = self.take(now, stopping, seen);
        self.display.show(&sample, Sample::line);
    }

    /// The longest wait for an acknowledgement, over all writers.
    pub(super) fn waiting(&self, now: Instant) -> Duration {
        let elapsed = self.start.elapsed(now);
        let waits = self.tallies.iter().map(|tally| tally.waiting(elapsed));
        waits.max().unwrap_or_default()
    }

    /// Every latency of the run, once the writers are done.
    pub(super) fn into_latencies(mut self) -> Latencies {
        self.collect_latencies();
        self.display.end();
        self.latencies
    }

    fn take(&mut self, now: Instant, stopping: bool, seen: &Seen) -> Sample {
        let elapsed = self.start.elapsed(now);
        let sum = |of: fn(&Tally) -> u64| self.tallies.iter().map(|tally| of(tally)).sum::<u64>();
        // Acknowledged before written: a writer that is quicker than we are must not seem to have
        // more of the former.
        let acknowledged = sum(|tally| tally.acknowledged.load(Relaxed));
        let written = sum(|tally| tally.written.load(Relaxed));
        let retries = sum(|tally| tally.retries.load(Relaxed));
        let failed = sum(|tally| tally.failed.load(Relaxed));
        let lag = self.tallies.iter().map(|tally| tally.lag(elapsed)).max();
        let max_lag = self.tallies.iter().map(|tally| tally.max_lag()).max();
        let lag = lag.unwrap_or_default();
        let recent = self.collect_latencies();
        let over = stopping || (self.plan.limits.end(&self.plan.load)).is_some_and(|end| elapsed >= end);
        let (last_elapsed, last_acknowledged) = self.last;
        self.last = (elapsed, acknowledged);
        let seconds = elapsed.saturating_sub(last_elapsed).as_secs_f64();
        let sample = Sample {
            kind: "progress",
            time: format!("{:.3}", self.start.wall_at(now)),
            seconds: round(elapsed.as_secs_f64()),
            wanted_rate: if over { Some(0.0) } else { self.plan.load.rate(elapsed).map(round) },
            rate: if seconds > 0.0 { round((acknowledged - last_acknowledged) as f64 / seconds) } else { 0.0 },
            written,
            acknowledged,
            outstanding: written - acknowledged,
            retries,
            failed,
            behind_seconds: round(lag.as_secs_f64()),
            max_behind_seconds: round(max_lag.unwrap_or_default().max(lag).as_secs_f64()),
            segments: seen.now(),
            controller_answers: seen.controller_answers(),
            ack_p50_ms: percentile_ms(&recent, 0.5),
            ack_p99_ms: percentile_ms(&recent, 0.99),
        };
        self.metrics.update(&sample, &recent);
        sample
    }

    /// Adds what the writers measured since the last time to the total, and returns it.
    fn collect_latencies(&mut self) -> Latencies {
        let mut recent = Latencies::new_from(&self.latencies);
        for tally in &self.tallies {
            // Same bounds on both sides, so nothing can fall outside them.
            let _ = recent.add(tally.take_latencies());
        }
        let _ = self.latencies.add(&recent);
        recent
    }
}

impl Sample {
    fn line(&self) -> String {
        let wanted = self.wanted_rate.map_or_else(|| "all it can".to_owned(), |rate| format!("{rate:.0}/s"));
        let mut line = format!("{:.0} s: wanted {wanted}, got {:.0}/s", self.seconds, self.rate);
        let mut add = |text: std::fmt::Arguments<'_>| {
            // Writing to a string cannot fail.
            let _ = line.write_fmt(text);
        };
        if self.behind_seconds >= BEHIND_WORTH_SAYING {
            add(format_args!(", {:.1} s BEHIND", self.behind_seconds));
        }
        add(format_args!(", {} acknowledged, {} outstanding", self.acknowledged, self.outstanding));
        if let Some(ms) = self.ack_p99_ms {
            add(format_args!(", ack p99 {ms:.0} ms"));
        }
        if let Some(segments) = self.segments {
            add(format_args!(", {segments} segment{}", if segments == 1 { "" } else { "s" }));
        }
        if self.retries + self.failed > 0 {
            add(format_args!(", {} retries, {} failed", self.retries, self.failed));
        }
        if !self.controller_answers {
            add(format_args!(", controller away"));
        }
        line
    }
}
