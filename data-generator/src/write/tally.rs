//! What a writer has done so far, shared with whoever reports it.

use crate::report::Latencies;
use hdrhistogram::CreationError;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// An empty histogram, to two digits; a longer latency than an hour counts as an hour. The bounds are valid ones, so it fails only if that changes.
pub(super) fn no_latencies() -> Result<Latencies, CreationError> {
    Latencies::new_with_bounds(1, 3_600_000_000, 2)
}

/// Counters of one writer. Each is written by the writer alone and only ever grows.
#[derive(Debug)]
pub(super) struct Tally {
    /// Events handed to the client; a retry does not count again.
    pub(super) written: AtomicU64,
    /// Events that Pravega has acknowledged.
    pub(super) acknowledged: AtomicU64,
    /// Events handed to the client once more.
    pub(super) retries: AtomicU64,
    /// Events that were given up.
    pub(super) failed: AtomicU64,
    /// Intended time of the next event, microseconds after the start; `u64::MAX` when there is none.
    next_due_us: AtomicU64,
    /// The furthest behind that the writer has been seen, microseconds.
    max_lag_us: AtomicU64,
    /// When the last event was sent, microseconds after the start.
    last_sent_us: AtomicU64,
    /// When the oldest unacknowledged event was sent, microseconds after the start; `u64::MAX` when
    /// there is none.
    oldest_sent_us: AtomicU64,
    /// From the intended time to the acknowledgement, since it was last taken.
    latencies: Mutex<Latencies>,
}

impl Tally {
    /// `latencies` is an empty histogram.
    pub(super) fn new(latencies: Latencies) -> Self {
        Self {
            written: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            next_due_us: AtomicU64::new(u64::MAX),
            max_lag_us: AtomicU64::new(0),
            last_sent_us: AtomicU64::new(0),
            oldest_sent_us: AtomicU64::new(u64::MAX),
            latencies: Mutex::new(latencies),
        }
    }

    pub(super) fn set_next_due(&self, at: Option<Duration>) {
        self.next_due_us.store(at.map_or(u64::MAX, micros), Relaxed);
    }

    pub(super) fn set_oldest_sent(&self, since_start: Option<Duration>) {
        self.oldest_sent_us.store(since_start.map_or(u64::MAX, micros), Relaxed);
    }

    /// One more event written, so long after the start, of which so long too late.
    pub(super) fn note_written(&self, since_start: Duration, lag: Duration) {
        self.written.fetch_add(1, Relaxed);
        self.last_sent_us.store(micros(since_start), Relaxed);
        self.max_lag_us.fetch_max(micros(lag), Relaxed);
    }

    pub(super) fn note_latencies(&self, of: impl Iterator<Item = Duration>) {
        let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        for latency in of {
            latencies.saturating_record(micros(latency));
        }
    }

    pub(super) fn take_latencies(&self) -> Latencies {
        let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = Latencies::new_from(&*latencies);
        mem::replace(&mut *latencies, empty)
    }

    /// How far the writer is behind: the age of the next event that is due and not sent. Counts among
    /// the furthest, also if that event is never sent.
    pub(super) fn lag(&self, since_start: Duration) -> Duration {
        let lag = overdue(self.next_due_us.load(Relaxed), since_start);
        self.max_lag_us.fetch_max(micros(lag), Relaxed);
        lag
    }

    /// The furthest behind it has been.
    pub(super) fn max_lag(&self) -> Duration {
        Duration::from_micros(self.max_lag_us.load(Relaxed))
    }

    /// When the last event was sent, after the start.
    pub(super) fn last_sent(&self) -> Duration {
        Duration::from_micros(self.last_sent_us.load(Relaxed))
    }

    /// How long the oldest unacknowledged event has been waiting.
    pub(super) fn waiting(&self, since_start: Duration) -> Duration {
        overdue(self.oldest_sent_us.load(Relaxed), since_start)
    }
}

fn overdue(at_us: u64, since_start: Duration) -> Duration {
    since_start.saturating_sub(Duration::from_micros(at_us))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> Tally {
        Tally::new(no_latencies().expect("valid bounds"))
    }

    #[test]
    fn a_writer_with_nothing_due_is_not_behind() {
        let tally = tally();
        let now = Duration::from_secs(100);
        assert_eq!(tally.lag(now), Duration::ZERO);
        tally.set_next_due(Some(Duration::from_secs(101)));
        assert_eq!(tally.lag(now), Duration::ZERO);
        tally.set_next_due(Some(Duration::from_secs(97)));
        assert_eq!(tally.lag(now), Duration::from_secs(3));
    }

    #[test]
    fn the_largest_lag_stays() {
        let tally = tally();
        tally.note_written(Duration::from_secs(5), Duration::from_secs(2));
        tally.note_written(Duration::from_secs(6), Duration::from_secs(1));
        assert_eq!(tally.last_sent(), Duration::from_secs(6));
        assert_eq!(tally.max_lag(), Duration::from_secs(2));
    }

    #[test]
    fn latencies_are_taken_out() {
        let tally = tally();
        tally.note_latencies([Duration::from_millis(5), Duration::from_hours(2)].into_iter());
        let taken = tally.take_latencies();
        assert_eq!(taken.len(), 2);
        assert!(taken.max() >= 3_500_000_000);
        assert_eq!(tally.take_latencies().len(), 0);
    }
}
