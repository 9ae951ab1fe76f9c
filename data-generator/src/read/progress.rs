//! What is known at one moment, over the readers of this process; shown once a second, and the source
//! of the metrics and of the summary.

use super::checks::Counts;
use super::shared::Shared;
use crate::clock;
use crate::report::{Display, Latencies, percentile_ms, round};
use serde::Serialize;
use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What is known at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Sample {
    pub(super) kind: &'static str,
    /// Wall clock.
    pub(super) time: String,
    /// Seconds since the start.
    pub(super) seconds: f64,
    /// Events per second processed since the sample before.
    pub(super) rate: f64,
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// Segments that the readers of this process hold.
    pub(super) segments: usize,
    /// Bytes in those segments that are not processed; absent while that is unknown.
    pub(super) lag_bytes: Option<u64>,
    /// The same as a number of events, if they are as large as those processed.
    pub(super) lag_events: Option<u64>,
    /// From the intended time to the end of the processing, since the sample before; absent when
    /// nothing was processed.
    pub(super) latency_p50_ms: Option<f64>,
    pub(super) latency_p99_ms: Option<f64>,
    /// Times that positions were saved.
    pub(super) saves: u64,
    pub(super) struck_off: u64,
    pub(super) evicted: u64,
    pub(super) troubles: u64,
}

/// Takes and shows samples, and adds up the latencies.
pub(super) struct Progress {
    shared: Arc<Shared>,
    display: Display,
    started: Instant,
    latencies: Latencies,
    newest: Arc<Newest>,
    last: (Instant, u64),
    /// Since when nothing has been processed.
    quiet_since: Instant,
}

/// The newest sample and all latencies, for whoever asks.
#[derive(Debug)]
pub(super) struct Newest {
    inner: Mutex<(Sample, Latencies)>,
}

impl Newest {
    pub(super) fn new(latencies: Latencies) -> Self {
        Self { inner: Mutex::new((Sample::default(), latencies)) }
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&Sample, &Latencies) -> T) -> T {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        look(&inner.0, &inner.1)
    }
}

impl Progress {
    /// `latencies` is an empty histogram.
    pub(super) fn new(shared: &Arc<Shared>, newest: &Arc<Newest>, latencies: Latencies) -> Self {
        let now = clock::now();
        Self {
            shared: Arc::clone(shared),
            display: Display::new(shared.plan.progress),
            started: now,
            latencies,
            newest: Arc::clone(newest),
            last: (now, 0),
            quiet_since: now,
        }
    }

    /// Takes a sample and shows it.
    pub(super) fn sample(&mut self) -> Sample {
        let sample = self.take();
        self.display.show(&sample, Sample::line);
        sample
    }

    /// For how long nothing has been processed.
    pub(super) fn quiet_for(&self) -> Duration {
        clock::now() - self.quiet_since
    }

    /// The last sample and every latency of the run, once the readers are done.
    pub(super) fn finish(mut self) -> (Sample, Latencies, Duration) {
        let mut sample = self.take();
        sample.rate = 0.0;
        self.display.end();
        (sample, self.latencies, clock::now() - self.started)
    }

    fn take(&mut self) -> Sample {
        let now = clock::now();
        let counts = self.shared.counts();
        let recent = self.shared.take_latencies();
        // Same bounds on both sides, so nothing can fall outside them.
        let _ = self.latencies.add(&recent);
        let (last, events) = self.last;
        if counts.events > events {
            self.quiet_since = now;
        }
        self.last = (now, counts.events);
        let seconds = (now - last).as_secs_f64();
        let (segments, lag_bytes) = {
            let holds = self.shared.holds();
            let behind: Option<Vec<u64>> = holds.values().map(|hold| hold.behind()).collect();
            (holds.len(), behind.map(|all| all.iter().sum()))
        };
        let per_event = counts.bytes.checked_div(counts.events).map(|bytes| bytes + 8);
        let happened = &self.shared.events;
        let sample = Sample {
            kind: "progress",
            time: format!("{:.3}", clock::wall()),
            seconds: round((now - self.started).as_secs_f64()),
            rate: if seconds > 0.0 { round((counts.events - events) as f64 / seconds) } else { 0.0 },
            counts,
            segments,
            lag_bytes,
            lag_events: match (lag_bytes, per_event) {
                (Some(0), _) => Some(0),
                (Some(bytes), Some(size)) => Some(bytes.div_ceil(size)),
                _ => None,
            },
            latency_p50_ms: percentile_ms(&recent, 0.5),
            latency_p99_ms: percentile_ms(&recent, 0.99),
            saves: happened.saves.load(Relaxed),
            struck_off: happened.struck_off.load(Relaxed),
            evicted: happened.evicted.load(Relaxed),
            troubles: self.shared.troubles.count(),
        };
        let mut newest = self.newest.inner.lock().unwrap_or_else(PoisonError::into_inner);
        newest.0.clone_from(&sample);
        newest.1.clone_from(&self.latencies);
        sample
    }
}

impl Sample {
    /// Whether everything there is has been processed, as far as is known.
    pub(super) fn has_caught_up(&self) -> bool {
        self.lag_bytes == Some(0)
    }

    fn line(&self) -> String {
        let or_dash = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
        let Counts { events, redelivered, duplicates, out_of_order, foreign, .. } = self.counts;
        let mut line = format!(
            "{:.0} s: {:.0}/s, {events} events, {} segments, {} behind, latency p50 {} p99 {}",
            self.seconds,
            self.rate,
            self.segments,
            or_dash(self.lag_events.map(|events| events.to_string())),
            or_dash(self.latency_p50_ms.map(|ms| format!("{ms:.0} ms"))),
            or_dash(self.latency_p99_ms.map(|ms| format!("{ms:.0} ms"))),
        );
        for (count, what) in [
            (redelivered, "redelivered"),
            (duplicates, "duplicates"),
            (out_of_order, "out of order"),
            (foreign, "not ours"),
        ] {
            if count > 0 {
                let _ = write!(line, ", {count} {what}");
            }
        }
        line
    }
}
